import numpy as np
import pytest

from arcwise.clustering.fc_es import selected_edges
from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.impostors import (
    FEWEST,
    Impostors,
    impostors_of_calibration,
    impostors_of_pairs,
)
from arcwise.clustering.links import links
from arcwise.evaluation import calibrate


def identities(count: int, each: int, spread: float, dim: int = 32, seed: int = 0):
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.normal(size=(count, dim)), each, axis=0)
    vectors = centres + spread * draw.normal(size=centres.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(count), each)


def test_impostors_found_without_labels() -> None:
    vectors, ids = identities(300, 4, 0.5)
    found = impostors_of_pairs(vectors)
    similarity = (vectors @ vectors.T)[ids[:, None] != ids]
    assert found.mean == pytest.approx(similarity.mean(), abs=0.02)
    assert found.deviation == pytest.approx(similarity.std(), rel=0.05)
    threshold = found.threshold(5.0, len(vectors))
    assert found.expected(threshold, len(vectors)) == pytest.approx(5.0)
    above = (similarity >= threshold).mean() * len(vectors)
    assert above == pytest.approx(5.0, rel=0.5)


def test_impostors_of_few_or_equal_embeddings() -> None:
    few = impostors_of_pairs(np.eye(16, dtype=np.float32))
    assert (few.mean, few.deviation) == (0.0, 0.25)
    assert str(FEWEST) in few.reason
    equal = impostors_of_pairs(np.tile(np.eye(16, dtype=np.float32)[0], (100, 1)))
    assert equal.deviation == 0.25


def test_impostors_of_a_calibration() -> None:
    vectors, ids = identities(300, 4, 0.5)
    thresholds = calibrate(vectors, ids, draws=10)
    found = impostors_of_calibration(thresholds)
    assert found is not None
    for one in thresholds[1:]:
        assert found.threshold(one.far * 1199, 1200) == pytest.approx(one.threshold, abs=0.02)
    assert found.threshold(1e-6 * 1199, 1200) > thresholds[-1].threshold
    assert impostors_of_calibration(()) is None


def test_agreement_equals_its_equation() -> None:
    vectors, _ = identities(20, 5, 0.6)
    impostors = Impostors(0.0, 0.15, "")
    neighbours = nearest_neighbours(vectors, 30)
    found = links(neighbours, impostors)
    value = np.zeros((100, 100))
    for (a, b), similarity in zip(found.pairs.tolist(), found.similarity.tolist(), strict=True):
        value[a, b] = value[b, a] = max(similarity - found.around, 1e-6)
    np.fill_diagonal(value, 1 - found.around)
    for (a, b), agreement in zip(found.pairs.tolist(), found.agreement.tolist(), strict=True):
        expected = np.minimum(value[a], value[b]).sum() / np.maximum(value[a], value[b]).sum()
        assert agreement == pytest.approx(expected, rel=1e-5)
    assert 0 < found.agreement.min() <= found.agreement.max() <= 1


def test_links_a_pair_alone_only_above_the_threshold() -> None:
    """Of two that share no neighbour the agreement is (s - t) / (1 - t)."""
    vectors = np.eye(40, dtype=np.float32)
    for similarity, linked in ((0.3, False), (0.35, True), (0.75, True)):
        vectors[1, :2] = similarity, np.sqrt(1 - similarity**2)
        found = links(nearest_neighbours(vectors, 10), Impostors(0.0, 0.16, ""), 0.6)
        assert found.pairs.tolist() == [[0, 1]]
        assert found.linked.tolist() == [linked]
        expected = (similarity - found.around) / (1 - found.around)
        assert found.agreement[0] == pytest.approx(expected, rel=1e-4)


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
