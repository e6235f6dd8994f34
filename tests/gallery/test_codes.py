"""Codes of 8 bits: their limits hold, and what they leave out is never an answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.gallery import codes, matrix
from arcwise.gallery.codes import TemplateCodes, coded, multiplied, product
from arcwise.gallery.matrix import TemplateMatrix

session = product()
needs_product = pytest.mark.skipif(
    session is None, reason="this processor, or no ONNX Runtime, multiplies codes inexactly"
)


def units(draw: np.random.Generator, count: int, dim: int, rank: int) -> np.ndarray:
    """Unit vectors (N, D) float32 near a subspace, as embeddings are."""
    vectors = draw.normal(size=(count, rank)) @ draw.normal(size=(rank, dim))
    vectors += 0.1 * draw.normal(size=(count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def test_codes_are_wrong_by_what_they_say() -> None:
    draw = np.random.default_rng(0)
    vectors = np.concatenate([units(draw, 900, 48, 5), np.eye(48, dtype=np.float32)[:3]])
    whole, scales, wrong = coded(vectors)
    assert np.abs(whole.astype(int)).max() == 127
    expected = np.linalg.norm(vectors - whole * scales[:, None].astype(np.float64), axis=1)
    assert wrong == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert wrong[-3:].max() < 1e-6
    given_queries = units(draw, 20, 48, 5)
    queries, of_queries, wrong_of_queries = coded(given_queries)
    rough = (queries.astype(int) @ whole.T.astype(int)) * of_queries[:, None] * scales
    limits = wrong_of_queries[:, None] + (1 + wrong_of_queries[:, None]) * wrong + 1e-5
    true = given_queries.astype(np.float64) @ vectors.T.astype(np.float64)
    assert (np.abs(true - rough) <= limits).all()


@needs_product
@pytest.mark.parametrize("queries", [1, 2, 7, 64])
def test_the_product_is_exact(queries: int) -> None:
    draw = np.random.default_rng(queries)
    for extreme in (False, True):
        low, high = (255, 256) if extreme else (0, 256)
        q = draw.integers(low, high, (queries, 130), dtype=np.uint8)
        c = draw.choice([-127, 127], (130, 515)).astype(np.int8)
        assert (multiplied(session, q, c) == q.astype(int) @ c.astype(int)).all()


@needs_product
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([1, 3, 40]))
def test_the_answers_are_those_without_codes(seed: int, k: int, each: int) -> None:
    """Rows come and go; identities have one template, a few, or most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "WIDTH", 64)
        draw = np.random.default_rng(seed)
        with_codes, without = TemplateMatrix(24), TemplateMatrix(24)
        patch.setattr(matrix, "_CODED", 1)
        queries = units(draw, 9, 24, 4).astype(np.float64)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        live: list[int] = []
        for step in range(4):
            count = int(draw.integers(1, 150))
            first = 1000 * step
            vectors = units(draw, count, 24, 4)
            names = [f"p{draw.integers(0, 1 + 200 // each)}" for _ in range(count)]
            for one in (with_codes, without):
                one.append(np.arange(first, first + count), names, vectors, ["{}"] * count)
            live += range(first, first + count)
            gone = draw.choice(live, int(draw.integers(0, len(live))), replace=False).tolist()
            live = [one for one in live if one not in gone]
            for one in (with_codes, without):
                one.remove(gone)
            rows = np.flatnonzero(draw.random(len(live)) < draw.random())
            found, some = with_codes.search(queries, k), with_codes.search(queries, k, rows)
            patch.setattr(matrix, "_CODED", 10**9)
            assert found == without.search(queries, k)
            assert some == without.search(queries, k, rows)
            patch.setattr(matrix, "_CODED", 1)
            for query, answer in zip(queries, found, strict=True):
                assert with_codes.search(query[None], k) == [answer]
        assert with_codes._codes is not None
        assert without._codes is None


@needs_product
def test_few_rows_remain_of_a_large_gallery() -> None:
    draw = np.random.default_rng(1)
    vectors = units(draw, 40_000, 64, 30)
    kept = TemplateCodes(64, session)
    kept.append(vectors[:100])
    kept.append(vectors[100:])
    owners = np.arange(40_000) // 4
    queries = np.concatenate([vectors[:5], units(draw, 5, 64, 30)])
    for query, rows in zip(queries, kept.candidates(queries, owners, 5, 30), strict=True):
        assert rows is not None
        true = vectors.astype(np.float64) @ query.astype(np.float64)
        best = [true[owners == one].max() for one in np.unique(owners[np.argsort(-true)[:200]])]
        fifth = np.sort(best)[-5]
        assert set(np.flatnonzero(true >= fifth).tolist()) <= set(rows.tolist())
        assert len(rows) < 2000
