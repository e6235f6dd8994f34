"""Re-ranking against a dense transcription of the paper, expansion against a loop: with ties."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import KReciprocal, QueryExpansion

MODULE = importlib.import_module("arcwise.evaluation.rerank")


def slow_distance(unit: np.ndarray, k1: int, k2: int, lam: float) -> np.ndarray:
    """Return d* (M, M) of Zhong et al., dense and image by image; of equals the lower row."""
    count = len(unit)
    d = 2 - 2 * (unit @ unit.T).astype(float)
    d /= np.where(d.max(axis=1) > 0, d.max(axis=1), 1.0)[:, None]
    rank = [sorted(range(count), key=lambda j: (j != i, d[i, j], j)) for i in range(count)]

    def reciprocal(p: int, k: int) -> set[int]:
        return {g for g in rank[p][: k + 1] if p in rank[g][: k + 1]}

    shares = np.zeros((count, count))
    for p in range(count):
        own = reciprocal(p, k1)
        more = set(own)
        for q in own:
            theirs = reciprocal(q, round(k1 / 2))
            if len(own & theirs) > 2 / 3 * len(theirs):
                more |= theirs
        inside = sorted(more)
        shares[p, inside] = np.exp(-d[p, inside]) / np.exp(-d[p, inside]).sum()
    shares = np.array([shares[rank[p][:k2]].mean(axis=0) for p in range(count)])
    jaccard = np.array(
        [[1 - np.minimum(a, b).sum() / np.maximum(a, b).sum() for b in shares] for a in shares]
    )
    return (1 - lam) * jaccard + lam * d


def check(queries: np.ndarray, gallery: np.ndarray | None, rerank: KReciprocal) -> None:
    every = queries if gallery is None else np.concatenate([queries, gallery])
    expected = slow_distance(every, rerank.k1, rerank.k2, rerank.lam)
    own = len(queries)
    expected = expected[:own, 0 if gallery is None else own :]
    rows = np.arange(own)[::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", 30)
        patch.setattr(MODULE, "_ROWS", 4)
        result = rerank.fit(queries, gallery).distance(rows)
    np.testing.assert_allclose(result, expected[rows], rtol=0, atol=1e-6)  # cosines are float32


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_the_paper_with_ties(halves: np.ndarray, data: st.DataObject) -> None:
    rows = st.lists(st.integers(0, 15), min_size=2, max_size=14)
    queries = halves[data.draw(rows)]
    gallery = halves[data.draw(rows)] if data.draw(st.booleans()) else None
    k1, k2 = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 12))
    check(queries, gallery, KReciprocal(k1, k2, data.draw(st.sampled_from([0.0, 0.3, 1.0]))))


def test_equals_the_paper_at_its_own_settings() -> None:
    """40 identities of 6 images: most neighbours are not reciprocal, some sets are taken in."""
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(40), 6)
    vectors = generator.normal(size=(40, 16))[ids] + 1.2 * generator.normal(size=(240, 16))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    check(unit[::3], unit, KReciprocal())


def faces(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, D) embeddings and (N,) identities that are often, not always, nearest."""
    generator = np.random.default_rng(seed)
    ids = np.repeat(np.arange(30), 8)
    return generator.normal(size=(30, 12))[ids] + generator.normal(size=(240, 12)), ids


@pytest.mark.parametrize("split", [False, True])
def test_lambda_1_is_the_original_ranking(split: bool) -> None:
    vectors, ids = faces(1)
    gallery = {"gallery": vectors[1::2], "gallery_ids": ids[1::2]} if split else {}
    queries = (vectors[::2], ids[::2]) if split else (vectors, ids)
    plain = evaluation.retrieval(*queries, **gallery)
    same = evaluation.retrieval(*queries, **gallery, rerank=KReciprocal(lam=1.0))
    assert same.ranks.tolist() == plain.ranks.tolist()


def test_neighbourhoods_and_expansion_help_where_identities_are_clusters() -> None:
    vectors, ids = faces(2)
    plain = evaluation.retrieval(vectors, ids).map
    again = evaluation.retrieval(vectors, ids, rerank=KReciprocal(k1=8, k2=3)).map
    expanded = evaluation.retrieval(vectors, ids, expand=QueryExpansion(3)).map
    both = evaluation.retrieval(
        vectors, ids, rerank=KReciprocal(k1=8, k2=3), expand=QueryExpansion(3)
    )
    assert again > plain + 0.02
    assert expanded > plain + 0.02
    assert both.map > plain + 0.02


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_expansion_equals_a_loop_with_ties(halves: np.ndarray, data: st.DataObject) -> None:
    rows = st.lists(st.integers(0, 15), min_size=2, max_size=9)
    queries = halves[data.draw(rows)]
    gallery = halves[data.draw(rows)] if data.draw(st.booleans()) else None
    how = QueryExpansion(data.draw(st.integers(1, 10)), data.draw(st.sampled_from([0.0, 1.0, 3.0])))
    result = how.expand(queries, gallery)
    for i, query in enumerate(queries):
        total = query.astype(float)
        others = [
            (-float(query @ other), j)
            for j, other in enumerate(queries if gallery is None else gallery)
            if gallery is not None or i != j
        ]
        for score, j in sorted(others)[: how.k]:
            total += max(-score, 0.0) ** how.alpha * (queries if gallery is None else gallery)[j]
        length = np.linalg.norm(total)
        np.testing.assert_allclose(result[i], total / length if length else total, atol=1e-6)


def test_an_expanded_query_leaves_the_gallery_unchanged() -> None:
    vectors, ids = faces(3)
    how = QueryExpansion(k=4, alpha=2.0)
    alone = evaluation.retrieval(vectors, ids, expand=how)
    own = np.arange(len(ids))
    spelt_out = evaluation.retrieval(
        how.expand(vectors), ids, gallery=vectors, gallery_ids=ids, media=own, gallery_media=own
    )
    assert alone.ranks.tolist() == spelt_out.ranks.tolist()
    split = evaluation.retrieval(
        vectors[::2], ids[::2], gallery=vectors[1::2], gallery_ids=ids[1::2], expand=how
    )
    by_hand = evaluation.retrieval(
        how.expand(vectors[::2], vectors[1::2]), ids[::2],
        gallery=vectors[1::2], gallery_ids=ids[1::2],
    )  # fmt: skip
    assert split.ranks.tolist() == by_hand.ranks.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KReciprocal(k1=0), "k1 is 0, expected 1"),
        (lambda: KReciprocal(k2=0), "k2 is 0, expected 1"),
        (lambda: KReciprocal(lam=1.5), "lam is 1.5, expected 0 to 1"),
        (lambda: KReciprocal(lam=np.nan), "expected 0 to 1"),
        (lambda: QueryExpansion(k=0), "k is 0, expected 1"),
        (lambda: QueryExpansion(alpha=-1), "alpha is -1"),
        (lambda: QueryExpansion(alpha=np.nan), "alpha is nan"),
        (lambda: KReciprocal().fit(np.ones((1, 2))), "at least two"),
        (lambda: QueryExpansion().expand(np.ones((1, 2))), "others to expand"),
        (lambda: KReciprocal().fit(np.eye(2), np.eye(3)), "one model"),
        (lambda: QueryExpansion().expand(np.eye(2), np.full((2, 2), np.nan)), "NaN"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        call()
