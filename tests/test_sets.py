"""Pooling is the weighted mean of directions, whatever the order, the scale and the padding."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise import sets
from arcwise.errors import ArcwiseError
from tests import oracles


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(7, 5)) * np.arange(1, 8)[:, None]


QUALITY = np.array([0.3, 0.9, 0.05, 0.6, 1.0, 0.2, 0.7])


def reference(rows, weights):
    pooled = np.array(oracles.pooled_set(rows.tolist(), list(weights)))
    return pooled / np.linalg.norm(pooled), np.linalg.norm(pooled)


@pytest.mark.parametrize("kind", ["mean", "norm", "quality"])
def test_each_set_is_the_formula(rows, kind):
    names = np.array(["b", "a", "b", "a", "c", "b", "a"])
    weights = {"mean": np.ones(7), "norm": np.linalg.norm(rows, axis=1), "quality": QUALITY}[kind]
    pooled = {
        "mean": lambda: sets.mean(rows, names),
        "norm": lambda: sets.norm_weighted(rows, names),
        "quality": lambda: sets.quality_weighted(rows, QUALITY, names),
    }[kind]()
    assert pooled.ids.tolist() == ["a", "b", "c"]
    assert pooled.sizes.tolist() == [3, 3, 1]
    for number, name in enumerate(pooled.ids):
        members = names == name
        direction, length = reference(rows[members], weights[members])
        np.testing.assert_allclose(pooled.vectors[number], direction, atol=1e-6)
        assert pooled.lengths[number] == pytest.approx(length)


def test_invariances(rows):
    one = sets.quality_weighted(rows, QUALITY).vectors
    order = np.random.default_rng(1).permutation(7)
    for same in (
        sets.quality_weighted(rows[order], QUALITY[order]),
        sets.quality_weighted(rows, 1e30 * QUALITY),
        sets.quality_weighted(rows, 1e-300 * QUALITY),
        sets.quality_weighted(np.vstack([rows, rows[:1]]), [0.15, *QUALITY[1:], 0.15]),
        sets.quality_weighted(rows * 1e200, QUALITY),
    ):
        np.testing.assert_allclose(same.vectors, one, atol=1e-6)
    equal = sets.quality_weighted(rows, np.full(7, 0.3))
    np.testing.assert_allclose(equal.vectors, sets.mean(rows).vectors, atol=1e-6)


def test_a_quality_that_outweighs_all(rows):
    quality = QUALITY.copy()
    quality[4] = 1e12
    np.testing.assert_allclose(
        sets.quality_weighted(rows, quality).vectors[0],
        rows[4] / np.linalg.norm(rows[4]),
        atol=1e-6,
    )


def test_one_embedding_is_its_direction(rows):
    pooled = sets.quality_weighted(rows[:1], [0.01])
    np.testing.assert_allclose(pooled.vectors[0], rows[0] / np.linalg.norm(rows[0]), atol=1e-6)
    assert pooled.lengths[0] == pytest.approx(1)


def test_qualities_that_are_all_zero_count_alike(rows):
    names = [0, 0, 0, 1, 1, 1, 1]
    pooled = sets.quality_weighted(rows, [0, 0, 0, 1, 0, 0, 0], names)
    assert pooled.unweighted.tolist() == [True, False]
    np.testing.assert_allclose(pooled.vectors[0], sets.mean(rows[:3]).vectors[0], atol=1e-6)
    np.testing.assert_allclose(pooled.vectors[1], rows[3] / np.linalg.norm(rows[3]), atol=1e-6)


def test_masked_embeddings_are_not_there(rows):
    there = np.array([True, False, True, True, False, True, True])
    quality = np.where(there, QUALITY, np.nan)
    masked = sets.quality_weighted(rows, quality, mask=there)
    np.testing.assert_allclose(
        masked.vectors, sets.quality_weighted(rows[there], QUALITY[there]).vectors, atol=1e-6
    )
    assert masked.sizes.tolist() == [5]


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        (lambda r: sets.mean(r[:0]), "empty"),
        (lambda r: sets.mean(r, list("aabbccc"), mask=np.arange(7) > 1), "set a is empty"),
        (lambda r: sets.mean(np.stack([r[0], -r[0]])), "cancel"),
        (lambda r: sets.mean(np.zeros((2, 3))), "all zero"),
        (lambda r: sets.quality_weighted(r, [1, 1, -0.5, 1, 1, 1, 1]), "quality 2"),
        (lambda r: sets.quality_weighted(r, [1, 1, np.nan, 1, 1, 1, 1]), "quality 2"),
        (lambda r: sets.quality_weighted(r, [1, 1]), r"\(7,\)"),
        (lambda r: sets.mean(r, [1, 2]), r"\(7,\)"),
        (lambda r: sets.mean(r, mask=[1] * 7), "bool"),
        (lambda r: sets.mean(np.where(r > 5, np.inf, r)), "not finite"),
        (lambda r: sets.mean(r[0]), r"\(N, D\)"),
    ],
)
def test_mistakes(rows, call, fact):
    with pytest.raises(ArcwiseError, match=fact):
        call(rows)


def test_no_quality_at_all() -> None:
    with pytest.raises(ArcwiseError, match="the model estimates none"):
        sets.quality_weighted(np.eye(2), None)


def test_qualities_that_hardly_differ() -> None:
    spread = sets.QualitySpread.of([0.98, 0.97, 0.99, 0.96])
    assert (spread.images, spread.mean) == (4, pytest.approx(0.975))
    assert "hardly differ" in spread.warning
    assert sets.QualitySpread.of([0.9, 0.3, 0.8]).warning == ""
    half = sets.QualitySpread.of([0.49, 0.485, 0.495, 0.48])  # only ratios count
    assert half.warning == spread.warning
