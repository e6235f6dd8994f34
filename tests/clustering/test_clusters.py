from pathlib import Path

import numpy as np
import pytest

import arcwise
from arcwise.clustering.clusters import find_clusters
from arcwise.clustering.constraints import Constraints
from arcwise.clustering.links import AGREEMENT
from arcwise.clustering.methods import METHODS
from arcwise.errors import ArcwiseError
from arcwise.evaluation import clustering


def identities(count: int, each: int, spread: float = 0.4, seed: int = 0):
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.normal(size=(count, 32)), each, axis=0)
    vectors = centres + spread * draw.normal(size=centres.shape)
    return vectors.astype(np.float32), np.repeat(np.arange(count), each)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_what_is_far_apart(method: str) -> None:
    vectors, ids = identities(80, 5, 0.2)
    options = {"threshold": 0.7} if method in ("dbscan", "components") else {}
    options |= {"clusters": 80} if method == "k-means" else {}
    labels = arcwise.cluster(vectors, method, **options)
    if method != "fc-es":  # whose published limit is for larger sets
        least = 0.8 if method == "k-means" else 0.93
        assert float(clustering(ids, labels, draws=2).bcubed_f) >= least
    assert labels.dtype == np.int64
    first = np.unique(labels, return_index=True)[1]
    assert (first == np.sort(first)).all()
    assert (labels == arcwise.cluster(vectors, method, **options)).all()


@pytest.mark.parametrize("method", METHODS)
def test_constraints_hold_in_every_method(method: str) -> None:
    vectors, _ = identities(20, 4, 0.2)
    must, cannot = [[0, 5], [9, 30]], [[12, 13], [0, 1]]
    options = {"threshold": 0.7} if METHODS[method].by_threshold else {}
    options |= {"clusters": 20} if method == "k-means" else {}
    labels = arcwise.cluster(vectors, method, must_link=must, cannot_link=cannot, **options)
    assert all(labels[a] == labels[b] for a, b in must)
    assert all(labels[a] != labels[b] for a, b in cannot)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "k-means"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points(method: str, count: int) -> None:
    labels = arcwise.cluster(np.eye(count, 8), method)
    assert labels.shape == (count,)
    assert labels[0] == 0


def test_length_of_vectors_does_not_matter() -> None:
    vectors, _ = identities(30, 4)
    longer = vectors * np.random.default_rng(0).uniform(0.1, 9, (120, 1))
    assert (arcwise.cluster(vectors) == arcwise.cluster(longer)).all()


def test_duplicates_are_one_cluster() -> None:
    vectors, _ = identities(100, 1)
    labels = arcwise.cluster(np.concatenate([vectors, vectors, vectors[:1]]))
    assert (labels[:100] == labels[100:200]).all()
    assert labels[200] == labels[0]
    assert len(np.unique(labels)) > 70
    assert (arcwise.cluster(np.ones((90, 4))) == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_says_what_joined(method: str) -> None:
    """A method that a similarity decides says which; another one says none, and takes none."""
    vectors, _ = identities(30, 3)
    options = {"clusters": 30} if method == "k-means" else {}
    if METHODS[method].by_threshold:
        found = find_clusters(vectors, method, threshold=0.432)
        assert found.threshold == 0.432
        assert "0.432" in found.made_by
    else:
        found = find_clusters(vectors, method, **options)
        assert (found.threshold, found.reason) == (None, "")
        assert not set("0123456789") & set(found.made_by)
        with pytest.raises(ArcwiseError, match=method):
            find_clusters(vectors, method, threshold=0.432, **options)
    if method != "k-means":
        with pytest.raises(ArcwiseError, match="k-means"):
            find_clusters(vectors, method, clusters=3)


def test_no_similarity_above_one_is_named() -> None:
    """In two dimensions random directions are so similar that no cosine is unusual."""
    draw = np.random.default_rng(0)
    for count in (20, 300):
        found = find_clusters(draw.normal(size=(count, 2)))
        assert found.links.threshold <= 1
        assert found.links.around <= 1
        assert "copies" in found.made_by


def test_bad_input() -> None:
    vectors, _ = identities(10, 2)
    with pytest.raises(ArcwiseError, match="NaN"):
        arcwise.cluster(np.where(np.eye(20, 32) > 0, np.nan, vectors))
    with pytest.raises(ArcwiseError, match=r"\(0, 4\)"):
        arcwise.cluster(np.zeros((0, 4)))
    with pytest.raises(ArcwiseError, match="hdbscan"):
        arcwise.cluster(vectors, "hdbscn")
    with pytest.raises(ArcwiseError, match="from 1 to 20"):
        arcwise.cluster(vectors, "k-means", clusters=21)
    with pytest.raises(ArcwiseError, match="2"):
        arcwise.cluster(vectors, threshold=2.0)
    with pytest.raises(ArcwiseError, match="rows 0 and 1"):
        arcwise.cluster(vectors, must_link=[[0, 1]], cannot_link=[[0, 1]])


def test_fixed_rows_keep_their_clusters() -> None:
    vectors, ids = identities(30, 4)
    fixed = np.where(np.arange(120) % 4 == 0, ids, -1)
    labels = find_clusters(vectors, constraints=Constraints(fixed=fixed)).labels
    assert float(clustering(ids, labels, draws=2).bcubed_f) > 0.95
    known = np.flatnonzero(fixed >= 0)
    assert len(np.unique(labels[known])) == 30


def test_confidence_equals_its_definition() -> None:
    vectors, _ = identities(25, 4, 0.9)
    found = find_clusters(vectors)
    agreement = np.zeros((100, 100))
    a, b = found.links.pairs.T
    agreement[a, b] = agreement[b, a] = found.links.agreement
    for row in range(100):
        means = {}
        for label in range(found.count):
            others = np.flatnonzero((found.labels == label) & (np.arange(100) != row))
            means[label] = agreement[row, others].mean() if len(others) else AGREEMENT
        own = means.pop(int(found.labels[row]))
        best = max(means, key=means.__getitem__)
        if means[best] > 0:
            assert found.confidence[row] == pytest.approx(own / (own + means[best]))
            assert means[int(found.next_to[row])] == pytest.approx(means[best])
        else:
            assert found.next_to[row] == -1
    assert 0 < found.doubtful.mean() < 1


@pytest.mark.parametrize(("name", "bar"), [("lfw", 0.984), ("fgnet", 0.732)])
def test_best_hand_chosen_thresholds_are_reached(data_dir: Path, name: str, bar: float) -> None:
    """BCubed F of the best rows whose threshold was chosen by hand for each set."""
    data = np.load(data_dir / f"features/{name}_mobilefacenet.npz")
    labels = arcwise.cluster(data["feature"])
    ids = np.unique(data["person"], return_inverse=True)[1]
    assert float(clustering(ids, labels, draws=2).bcubed_f) > bar
