"""All pairs of embeddings: the block-by-block way equals the plain one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import embedding_pairs, impostor_sample, similarity_matrix
from arcwise.evaluation.embedding_pairs import pair_similarity


def test_all_pairs_equal_a_loop(halves: np.ndarray) -> None:
    ids = list("aabbbcddddeefgha")
    similarity, same = evaluation.all_pairs(halves * 3, ids)
    expected = [
        (float(halves[i] @ halves[j]), ids[i] == ids[j])
        for i, j in itertools.combinations(range(16), 2)
    ]
    assert list(zip(similarity.tolist(), same.tolist(), strict=True)) == expected


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_blocks_change_nothing(halves: np.ndarray, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, 15), min_size=4, max_size=25))
    ids = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(rows), max_size=len(rows)))
    ids[:3] = ["a", "a", "b"]
    plain = evaluation.verification(*evaluation.all_pairs(halves[rows], ids), folds=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity_matrix, "_BLOCK", 7)
        patch.setattr(impostor_sample, "_BINS", data.draw(st.sampled_from([2, 8, 2**20])))
        result = evaluation.verification_from_embeddings(halves[rows], ids, draws=3)
    assert (result.auc, result.eer) == (plain.auc, plain.eer)
    for far in (0.01, 0.1, 0.3, 1.0):
        assert result.tar_at(far) == plain.tar_at(far)
        assert result.threshold_at(far) == plain.threshold_at(far)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_listed_pairs_equal_a_loop(halves: np.ndarray, data: st.DataObject) -> None:
    row = st.integers(0, 15)
    rows = data.draw(st.lists(st.tuples(row, row), max_size=60))
    first, second = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    expected = [float(halves[i] @ halves[j]) for i, j in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_pairs, "_BLOCK", data.draw(st.sampled_from([1, 40, 4096])))
        patch.setattr(embedding_pairs, "_GATHERED", data.draw(st.sampled_from([1, 40, 4096])))
        for cheaper in (0, 1000):  # gathered; by products
            patch.setattr(embedding_pairs, "_CHEAPER", cheaper)
            result = pair_similarity(halves * 5, first, second)
            assert result.dtype == np.float32
            assert result.tolist() == expected


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([0, 1], [1], "first has 2 rows and second 1"),
        ([0, 3], [1, 2], r"first\[1\] is 3, expected 0 to 2"),
        ([0, 1], [1, -1], r"second\[1\] is -1, expected 0 to 2"),
        ([0.0, 1.0], [1, 2], "first is float64 of shape"),
        ([[0], [1]], [1, 2], "expected a flat list of row numbers"),
    ],
)
def test_rows_that_are_not_there(first: list, second: list, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        pair_similarity(np.eye(3), np.array(first), np.array(second))


def test_thinning_moves_intervals_little_and_values_not(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(50), 6)
    vectors = generator.normal(size=(50, 16))[ids] + generator.normal(size=(300, 16))
    whole = evaluation.verification_from_embeddings(vectors, ids)
    monkeypatch.setattr("arcwise.evaluation.impostor_sample._KEEP", 2000)
    monkeypatch.setattr(embedding_pairs, "_HIGHEST", 1000)
    thinned = evaluation.verification_from_embeddings(vectors, ids)
    assert whole.sample is not None
    assert thinned.sample is not None
    assert len(thinned.sample.weight) < len(whole.sample.weight) / 3
    assert thinned.sample.weight.sum() == pytest.approx(whole.impostors, rel=0.1)
    for one, other in ((whole.auc, thinned.auc), (whole.tar_at(0.1), thinned.tar_at(0.1))):
        assert one == other
        assert other.low == pytest.approx(one.low, abs=0.02)
        assert other.high == pytest.approx(one.high, abs=0.02)
    assert thinned.threshold_at(0.01) == whole.threshold_at(0.01)
    assert thinned.far_with(whole.threshold_at(0.01)) == whole.far_with(whole.threshold_at(0.01))
    with pytest.raises(ArcwiseError, match="ask for a lower rate"):
        thinned.threshold_at(0.5)
    with pytest.raises(ArcwiseError, match="ask for a higher threshold"):
        thinned.far_with(-0.5)


def test_it_agrees_with_the_pair_list_on_intervals() -> None:
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(20), 4)
    vectors = generator.normal(size=(20, 8))[ids] + generator.normal(size=(80, 8))
    a, b = np.triu_indices(80, 1)
    similarity, same = evaluation.all_pairs(vectors, ids)
    listed = evaluation.verification(similarity, same, None, ids_a=ids[a], ids_b=ids[b])
    result = evaluation.verification_from_embeddings(vectors, ids)
    for one, other in ((listed.auc, result.auc), (listed.tar_at(0.05), result.tar_at(0.05))):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-9)


def test_what_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArcwiseError, match="some of both"):
        evaluation.verification_from_embeddings(np.eye(3), list("abc"))
    with pytest.raises(ArcwiseError, match="some of both"):
        evaluation.verification_from_embeddings(np.eye(3), list("aaa"))
    monkeypatch.setattr(embedding_pairs, "_ALL_PAIRS", 2)
    with pytest.raises(ArcwiseError, match="verification_from_embeddings"):
        evaluation.all_pairs(np.eye(3), list("abc"))
