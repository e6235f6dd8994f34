"""Retrieval against a loop with ties, a gallery worked by hand, and closed cases."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError

MODULE = importlib.import_module("arcwise.evaluation.retrieval")  # the name is the function's


def slow_retrieval(
    queries: np.ndarray, ids: list[str], gallery: np.ndarray, held: list[str], alone: bool
) -> tuple[list[int], list[float], int]:
    """Return rank, average precision at R and the number left out, one query at a time."""
    ranks, precisions, left_out = [], [], 0
    for i, query in enumerate(queries):
        found = [
            (-float(query @ other), held[j] == ids[i])
            for j, other in enumerate(gallery)
            if not (alone and i == j)
        ]
        found.sort()  # nearest first; False before True: the wrong one first among equals
        right = [match for _, match in found]
        answers = sum(right)
        if not answers:
            left_out += 1
            continue
        ranks.append(right.index(True) + 1)
        hits = [sum(right[: k + 1]) / (k + 1) for k in range(answers) if right[k]]
        precisions.append(sum(hits) / answers)
    return ranks, precisions, left_out


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_a_loop_with_ties(halves: np.ndarray, data: st.DataObject) -> None:
    alone = data.draw(st.booleans())
    rows = data.draw(st.lists(st.integers(0, 15), min_size=2, max_size=14))
    ids = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(rows), max_size=len(rows)))
    more = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=14))
    held = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(more), max_size=len(more)))
    ids[:2], held[0] = ["a", "a"], "a"
    if alone:
        more, held = rows, ids
    given_gallery = {} if alone else {"gallery": halves[more], "gallery_ids": held}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", 20)
        found = evaluation.retrieval(halves[rows], ids, **given_gallery, draws=5)
    ranks, precisions, left_out = slow_retrieval(halves[rows], ids, halves[more], held, alone)
    assert found.rank.tolist() == ranks
    assert found.average_precision == pytest.approx(precisions)
    assert (found.queries, found.left_out) == (len(ranks), left_out)
    assert found.map_at_r == pytest.approx(np.mean(precisions))
    for k in (1, 2, 5, 100):
        assert found.recall_at(k) == pytest.approx(np.mean(np.array(ranks) <= k))
    assert found.precision_at_1 == found.recall_at(1)


def _on_circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_six_pictures_by_hand() -> None:
    """Has a at 0, 10, 40 degrees; b at 30, 100; c alone at 200.

    a0 : 10a 30b 40a …  -> rank 1, two answers, hits at 1: (1/1) / 2 = 1/2
    a10: 0a 30b 40a …   -> rank 1, 1/2        a40: 30b 10a 0a -> rank 2, (1/2) / 2 = 1/4
    b30: 40a 10a 0a 100b -> rank 4, 0         b100: 40a 30b -> 60 and 70: rank 2, 0
    """
    found = evaluation.retrieval(_on_circle(0, 10, 40, 30, 100, 200), list("aaabbc"))
    assert found.rank.tolist() == [1, 1, 2, 4, 2]
    assert found.average_precision.tolist() == [0.5, 0.5, 0.25, 0.0, 0.0]
    assert found.recall_at(1) == 0.4
    assert found.recall_at(2) == 0.8
    assert found.map_at_r == 0.25
    assert found.left_out == 1
    assert "5 queries in 6 pictures (1 left out" in str(found)


def test_order_and_length_of_the_embeddings_do_not_matter() -> None:
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(20), 5)
    vectors = generator.normal(size=(20, 8))[ids] + generator.normal(size=(100, 8))
    a = evaluation.retrieval(vectors, ids)
    order = generator.permutation(100)
    b = evaluation.retrieval(vectors[order] * 7, ids[order])
    assert a.recall_at(1) == b.recall_at(1)
    assert a.map_at_r == pytest.approx(float(b.map_at_r))
    assert a.recall_at(1).low < a.recall_at(1) < a.recall_at(1).high


def test_separable_collapsed_and_random() -> None:
    ids = np.repeat(np.arange(10), 4)
    assert evaluation.retrieval(np.eye(10)[ids], ids).map_at_r == 1.0
    assert evaluation.retrieval(np.ones((40, 3)), ids).recall_at(36) == 0.0
    random = np.random.default_rng(0).normal(size=(2000, 16))
    found = evaluation.retrieval(random, np.repeat(np.arange(2), 1000))
    assert found.recall_at(1) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.retrieval(np.eye(3), list("abc")), "two pictures"),
        (lambda: evaluation.retrieval(np.eye(3), list("ab")), "one identity for each"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa"), gallery=np.eye(2)), "both or neither"),
        (
            lambda: evaluation.retrieval(
                np.eye(2), list("aa"), gallery=np.eye(3), gallery_ids=list("aaa")
            ),
            "one model",
        ),
        (lambda: evaluation.retrieval(np.eye(2), list("aa")).recall_at(0), "1 or more"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        call()


def test_real_faces_find_each_other(lfw: dict[str, np.ndarray]) -> None:
    found = evaluation.retrieval(lfw["unit"][:3000], lfw["person"][:3000])
    assert found.queries + found.left_out == 3000
    assert found.recall_at(1) > 0.98
    assert 0.95 < found.map_at_r < found.recall_at(1)
