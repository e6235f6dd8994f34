"""Wrong labels that were put in, and those known of a real set, are listed first."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.check.label_noise import (
    close_identities,
    nearest_pairs,
    outliers,
    pairs_above,
    suspicious_similarity,
)


def clusters(seed: int, identities: int, each: int, spread: float = 0.4) -> np.ndarray:
    """(identities x each, 32) float32 unit rows, identity by identity."""
    rng = np.random.default_rng(seed)
    means = np.linalg.qr(rng.normal(size=(32, 32)))[0][:identities]
    rows = np.repeat(means, each, 0) + rng.normal(size=(identities * each, 32)) * spread / 32**0.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def of(vectors: np.ndarray, owner: np.ndarray) -> list[tuple[int, int]]:
    least = suspicious_similarity(vectors, owner)
    assert least is not None
    links = close_identities(pairs_above(vectors, least), owner)
    return list(zip(links.a.tolist(), links.b.tolist(), strict=True))


def test_clean_labels_raise_no_suspicion() -> None:
    vectors, owner = clusters(0, 20, 5), np.repeat(np.arange(20), 5)
    assert of(vectors, owner) == []
    assert len(outliers(vectors, owner).rows) == 0


def test_one_wrong_label_is_found_by_both() -> None:
    vectors, owner = clusters(0, 20, 5), np.repeat(np.arange(20), 5)
    owner[12] = 7  # an image of identity 2
    (pair,) = of(vectors, owner)
    assert 12 in pair
    assert owner[min(pair, key=lambda row: row == 12)] == 2
    results = outliers(vectors, owner)
    assert (results.rows.tolist(), results.other.tolist()) == ([12], [2])
    assert results.similarity[0] > 0.8
    assert results.own[0] < 0.3


def test_one_identity_under_two_names_is_found() -> None:
    vectors, owner = clusters(0, 20, 6), np.repeat(np.arange(20), 6)
    owner[:3] = 25
    (pair,) = of(vectors, owner)
    assert {owner[row] for row in pair} == {0, 25}
    results = outliers(vectors, owner)
    assert {owner[row] for row in results.rows} <= {0, 25}


def test_rows_without_identity_and_single_pictures_are_passed_over() -> None:
    vectors = clusters(0, 4, 3)
    nobody = np.full(12, -1)
    assert suspicious_similarity(vectors, nobody) is None
    assert len(close_identities(pairs_above(vectors, 0.0), nobody).a) == 0
    assert len(outliers(vectors, nobody).rows) == 0
    singles = np.arange(12)
    assert suspicious_similarity(vectors, singles) is None
    assert len(outliers(vectors, singles).rows) == 0
    one = np.zeros(12, int)
    assert len(outliers(vectors, one).rows) == 0
    assert suspicious_similarity(vectors[:0], nobody[:0]) is None
    assert len(outliers(vectors[:0], nobody[:0]).rows) == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(-0.2, 0.6), st.integers(1, 40))
def test_pairs_are_those_of_the_whole_matrix(seed: int, least: float, tile: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, owner = clusters(seed, 6, 7, 2.0), rng.integers(-1, 5, 42)
    similarity = vectors @ vectors.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arcwise.data.check.label_noise._TILE", tile)
        parts = list(pairs_above(vectors, least))
    got = {(a, b) for part in parts for a, b in zip(part.a.tolist(), part.b.tolist(), strict=True)}
    sure = {(a, b) for a in range(42) for b in range(a + 1, 42) if similarity[a, b] > least + 1e-5}
    near = {(a, b) for a in range(42) for b in range(a + 1, 42) if similarity[a, b] > least - 1e-5}
    assert sure <= got <= near
    assert sum(len(part.a) for part in parts) == len(got)
    best: dict[frozenset[int], float] = {}
    for a, b in got:
        if owner[a] != owner[b] and min(owner[a], owner[b]) >= 0:
            sides = frozenset((int(owner[a]), int(owner[b])))
            best[sides] = max(best.get(sides, -1), float(similarity[a, b]))
    links = close_identities(parts, owner, most=4)
    np.testing.assert_allclose(links.similarity, sorted(best.values())[::-1][:4], atol=1e-5)
    identities = {frozenset(owner[[a, b]]) for a, b in zip(links.a, links.b, strict=True)}
    assert len(identities) == len(links.a)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_outliers_are_those_of_the_definition(seed: int) -> None:
    vectors = clusters(seed, 6, 7, 2.5)
    owner = np.random.default_rng(seed).integers(-1, 9, 42)
    results = outliers(vectors, owner)
    expected = {}
    sizes = {one: int((owner == one).sum()) for one in set(owner.tolist()) - {-1}}
    means = {one: vectors[owner == one].mean(0) for one, size in sizes.items() if size > 1}
    means = {one: mean / np.linalg.norm(mean) for one, mean in means.items()}
    for row, one in enumerate(owner.tolist()):
        if one in means:
            rest = vectors[(owner == one) & (np.arange(42) != row)].mean(0)
            own = vectors[row] @ rest / np.linalg.norm(rest)
            others = {name: vectors[row] @ mean for name, mean in means.items() if name != one}
            best = max(others, key=others.__getitem__, default=None)
            if best is not None and others[best] > own + 1e-6:
                expected[row] = (best, own - others[best])
    assert dict(zip(results.rows.tolist(), results.other.tolist(), strict=True)) == {
        row: other for row, (other, _) in expected.items()
    }
    margins = [expected[row][1] for row in results.rows.tolist()]
    np.testing.assert_allclose(margins, sorted(margins), atol=1e-5)


def test_nearest_pairs_hold_every_copy_even_an_exact_one() -> None:
    vectors = clusters(0, 6, 1)
    vectors = np.concatenate([vectors, vectors[[2, 2, 4]]])
    links = nearest_pairs(vectors, 0.99)
    ties = set(zip(links.a.tolist(), links.b.tolist(), strict=True))
    assert (4, 8) in ties
    assert {row for pair in ties - {(4, 8)} for row in pair} == {2, 6, 7}
    assert (links.similarity > 0.999).all()
    assert len(nearest_pairs(vectors[:1], -1.0).a) == 0


def test_the_known_doubts_about_a_real_data_set_are_found(data_dir: Path) -> None:
    """LFW's names with a cross-name cosine above 0.6, from the same embeddings."""
    features = np.load(data_dir / "features" / "lfw_mobilefacenet.npz")
    vectors = features["feature"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names, owner = np.unique(features["person"], return_inverse=True)
    least = suspicious_similarity(vectors, owner)
    assert least is not None
    links = close_identities(pairs_above(vectors, least), owner)
    results = {frozenset(names[owner[[a, b]]]) for a, b in zip(links.a, links.b, strict=True)}
    with open(data_dir / "lfw112" / "label_noise_candidates.csv", newline="") as file:
        listed = {frozenset((r["person_a"], r["person_b"])) for r in csv.DictReader(file)}
    assert len(listed) == 29
    assert len(results & listed) >= 27
    assert len(results - listed) <= 6
