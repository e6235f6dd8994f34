from dataclasses import replace

import numpy as np
import pytest

from arcwise.clustering.fc_es import selected_edges
from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.impostors import ENOUGH, FEWEST, impostors_of
from arcwise.clustering.links import AGREEMENT, AROUND, BY_CHANCE, links
from arcwise.evaluation import calibrate


def identities(count: int, each: int, spread: float, dim: int = 32, seed: int = 0):
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.normal(size=(count, dim)), each, axis=0)
    vectors = centres + spread * draw.normal(size=centres.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(count), each)


def test_score_equals_its_equation() -> None:
    vectors, _ = identities(30, 4, 0.5)
    found = impostors_of(vectors)
    similarity = vectors @ vectors.T
    rest = [np.delete(row, place) for place, row in enumerate(similarity)]
    median, high = np.array([np.quantile(row, [0.5, 0.9]) for row in rest]).T
    own = (similarity - median[:, None]) / ((high - median)[:, None] / 1.2815515655446004)
    i, j = np.triu_indices(120, 1)
    expected = (own[i, j] + own[j, i]) / 2
    np.testing.assert_allclose(found.score(i, j, similarity[i, j]), expected, rtol=2e-3)


def test_limit_has_so_many_impostors() -> None:
    vectors, ids = identities(500, 3, 0.5)
    found = impostors_of(vectors)
    i, j = np.nonzero(ids[:, None] != ids)
    score = found.score(i, j, (vectors @ vectors.T)[i, j])
    for expected in (5.0, 30.0):
        above = np.count_nonzero(score >= found.limit(expected)) / len(vectors)
        assert above == pytest.approx(expected, rel=0.5)


def test_a_group_that_is_all_alike_gets_no_more_links() -> None:
    """One half of the identities share a direction; its impostors are as unusual as the others."""
    vectors, ids = identities(300, 2, 0.5)
    alike = ids < 150
    vectors[alike] += 0.8 * np.eye(32, dtype=np.float32)[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = impostors_of(vectors)
    similarity = vectors @ vectors.T
    i, j = np.nonzero((ids[:, None] != ids) & (alike[:, None] == alike))
    cosine, score = similarity[i, j], found.score(i, j, similarity[i, j])
    ratios = []
    for value in (cosine, score):
        above = value >= np.quantile(value, 0.99)
        ratios.append(above[alike[i]].mean() / max(above[~alike[i]].mean(), 1e-4))
    assert ratios[0] > 20
    assert ratios[1] < 4


def test_few_or_equal_embeddings() -> None:
    few = impostors_of(np.eye(16, dtype=np.float32))
    assert (few.centre == 0).all()
    assert (few.spread == 0.25).all()
    assert str(FEWEST) in few.reason
    equal = impostors_of(np.tile(np.eye(16, dtype=np.float32)[0], (100, 1)))
    assert (equal.spread == 0.25).all()


def test_limits_of_a_calibration() -> None:
    vectors, ids = identities(300, 4, 0.5)
    thresholds = calibrate(vectors, ids, draws=10)
    found = impostors_of(vectors, thresholds)
    assert "300 identities" in found.reason
    for one in thresholds[1:]:
        limit = found.limit(one.far * 1199)
        assert found.cosine(limit) == pytest.approx(one.threshold, abs=1e-5)
    between = found.cosine(found.limit(3e-3 * 1199))
    assert thresholds[1].threshold < between < thresholds[2].threshold
    assert found.cosine(found.limit(1e-6 * 1199)) > thresholds[-1].threshold
    assert not impostors_of(vectors, thresholds[:1]).calibration


def test_a_calibration_on_few_is_left_out() -> None:
    """But not where the embeddings are too few to have limits of their own."""
    vectors, ids = identities(300, 4, 0.5)
    thresholds = calibrate(vectors, ids, draws=2)
    for count, used in ((ENOUGH, True), (ENOUGH - 1, False)):
        few = [replace(one, identities=count) for one in thresholds]
        found = impostors_of(vectors, few)
        assert bool(found.calibration) is used
        assert (str(count) in found.note) is not used
        assert impostors_of(vectors[: FEWEST - 1], few).calibration
    assert impostors_of(vectors[: FEWEST - 1]).note


def test_agreement_equals_its_equation() -> None:
    vectors, _ = identities(20, 5, 0.6)
    impostors = impostors_of(vectors)
    found = links(nearest_neighbours(vectors, 30), impostors)
    around = impostors.limit(AROUND)
    copy = impostors.score_of(1.0) - around
    value = np.zeros((100, 100))
    a, b = found.pairs.T
    score = impostors.score(a, b, found.similarity)
    assert score.min() >= around
    value[a, b] = value[b, a] = np.clip(score - around, 1e-6, copy)
    np.fill_diagonal(value, copy)
    for (i, j), agreement in zip(found.pairs.tolist(), found.agreement.tolist(), strict=True):
        expected = np.minimum(value[i], value[j]).sum() / np.maximum(value[i], value[j]).sum()
        assert agreement == pytest.approx(expected, rel=1e-4)
    linked = (found.agreement >= AGREEMENT) | (score >= impostors.limit(BY_CHANCE))
    assert (found.linked == linked).all()
    assert 0 < linked.sum() < len(linked)


def test_a_threshold_decides_alone() -> None:
    vectors, _ = identities(40, 5, 0.6)
    found = links(nearest_neighbours(vectors, 30), impostors_of(vectors), 0.45)
    assert (found.linked == (found.similarity >= 0.45)).all()
    expected = np.count_nonzero(np.triu(vectors @ vectors.T, 1) >= 0.45)
    assert found.linked.sum() == expected
    assert "your threshold" in str(found)


def test_duplicates_are_linked() -> None:
    vectors, _ = identities(1, 60, 0.0)
    assert links(nearest_neighbours(vectors, 30), impostors_of(vectors)).linked.all()


def test_fc_es_equals_its_equations() -> None:
    vectors, _ = identities(12, 5, 0.5, seed=3)
    neighbours = nearest_neighbours(vectors, 8)
    edges, probability = selected_edges(neighbours, 0.3)
    lists = [[i, *row] for i, row in enumerate(neighbours.index.tolist())]
    share = []
    for i, row in enumerate(lists):
        d = 2 - 2 * vectors[row].astype(np.float64) @ vectors[i]
        p = np.exp(-d / 0.5)
        share.append(dict(zip(row, p / p.sum(), strict=True)))
    expected = {}
    for i, row in enumerate(lists):
        for j in row[1:]:
            both = share[i].keys() & share[j].keys()
            p = sum(share[i][m] + share[j][m] for m in both) / 2
            if p < 0.3:
                break
            expected[i, j] = p
    assert 0 < len(expected) < 60 * 8
    assert [tuple(edge) for edge in edges.tolist()] == list(expected)
    np.testing.assert_allclose(probability, list(expected.values()), rtol=1e-5)
