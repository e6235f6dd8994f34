import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.clustering.constraints import Constraints, constrained
from arcwise.errors import ArcwiseError

NONE = np.zeros((0, 2), np.int64)


def test_nothing_known_changes_nothing() -> None:
    labels = np.array([3, 3, 0, 1, 0])
    result = constrained(labels, Constraints(), NONE, np.zeros(0))
    assert (result == [2, 2, 0, 1, 0]).all()


def test_must_joins_whole_clusters() -> None:
    result = constrained(
        np.array([0, 0, 1, 1, 2]), Constraints(must=np.array([[0, 3]])), NONE, NONE
    )
    assert len(set(result[:4])) == 1
    assert result[4] != result[0]


def test_cannot_parts_along_the_weakest() -> None:
    """0-1-2-3 in a row with one weak pair, which is where the row parts."""
    pairs, strength = np.array([[0, 1], [1, 2], [2, 3]]), np.array([0.9, 0.4, 0.8])
    result = constrained(np.zeros(4, int), Constraints(cannot=np.array([[0, 3]])), pairs, strength)
    assert result[0] == result[1] != result[2] == result[3]


def test_what_no_pair_joins_stays_with_the_largest() -> None:
    pairs = np.array([[0, 1], [1, 2]])
    result = constrained(
        np.zeros(5, int), Constraints(cannot=np.array([[0, 3]])), pairs, np.ones(2)
    )
    assert result[0] == result[1] == result[2] == result[4] != result[3]


def test_fixed_values_part_and_join() -> None:
    fixed = np.array([7, -1, 8, 7, -1])
    pairs, strength = np.array([[0, 1], [1, 2]]), np.array([0.5, 0.6])
    result = constrained(np.array([0, 0, 0, 1, 2]), Constraints(fixed=fixed), pairs, strength)
    assert result[0] == result[3] != result[1] == result[2]


def test_contradictions() -> None:
    must, cannot = np.array([[0, 1], [1, 2]]), np.array([[0, 2]])
    with pytest.raises(ArcwiseError, match="1 and 2"):
        constrained(np.zeros(3, int), Constraints(must, cannot), NONE, NONE)
    named = Constraints(must, cannot, names=["a.jpg", "b.jpg", "c.jpg"])
    with pytest.raises(ArcwiseError, match=r"b\.jpg and c\.jpg"):
        constrained(np.zeros(3, int), named, NONE, NONE)
    with pytest.raises(ArcwiseError, match="itself"):
        constrained(np.zeros(3, int), Constraints(cannot=np.array([[1, 1]])), NONE, NONE)
    with pytest.raises(ArcwiseError, match="0 to 2"):
        constrained(np.zeros(3, int), Constraints(must=np.array([[1, 3]])), NONE, NONE)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_holds_whatever_the_clusters(data: st.DataObject) -> None:
    """Constraints of a hidden truth hold after any clusters, and other clusters stay."""
    count = data.draw(st.integers(2, 12))
    several = st.lists(st.integers(0, 3), min_size=count, max_size=count)
    truth, labels = np.array(data.draw(several)), np.array(data.draw(several))
    rows = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    known = np.array([p for p in data.draw(st.lists(rows, max_size=8)) if p[0] != p[1]] or NONE)
    known = known.reshape(-1, 2).astype(np.int64)
    same = truth[known[:, 0]] == truth[known[:, 1]]
    fixed = np.where(np.array(data.draw(several)) == 0, truth, -1)
    pairs = np.array([(a, b) for a in range(count) for b in range(a)]).reshape(-1, 2)
    strength = np.random.default_rng(0).random(len(pairs))
    result = constrained(labels, Constraints(known[same], known[~same], fixed), pairs, strength)
    assert (result[known[same][:, 0]] == result[known[same][:, 1]]).all()
    assert (result[known[~same][:, 0]] != result[known[~same][:, 1]]).all()
    for a, b in pairs.tolist():
        if min(fixed[a], fixed[b]) >= 0:
            assert (result[a] == result[b]) == (fixed[a] == fixed[b])
    touched = set(labels[known.ravel()]) | set(labels[fixed >= 0])
    for label in set(labels.tolist()) - touched:
        assert len(set(result[labels == label])) == 1
