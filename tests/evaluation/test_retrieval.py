"""Retrieval against a loop with ties, a gallery worked by hand, and closed cases."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from arcwise import evaluation
from arcwise.errors import ArcwiseError

MODULE = importlib.import_module("arcwise.evaluation.retrieval")  # the name is the function's


def slow_places(
    queries: np.ndarray,
    ids: list[str],
    gallery: np.ndarray,
    held: list[str],
    left_out: Callable[[int, int], bool],
) -> list[list[int]]:
    """Return the places of each query's right answers, one query at a time."""
    places = []
    for i, query in enumerate(queries):
        result = [
            (-float(query @ other), held[j] == ids[i])
            for j, other in enumerate(gallery)
            if not left_out(i, j)
        ]
        result.sort()  # nearest first; False before True: the wrong one first among equals
        places.append([place for place, (_, right) in enumerate(result, start=1) if right])
    return places


def mean(values: list[float]) -> object:
    return pytest.approx(sum(values) / len(values))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_equals_a_loop_with_ties(halves: np.ndarray, data: st.DataObject) -> None:
    alone, filmed = data.draw(st.booleans()), data.draw(st.booleans())
    rows = data.draw(st.lists(st.integers(0, 15), min_size=2, max_size=14))
    more = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=14))
    named = [
        data.draw(st.lists(st.sampled_from(letters), min_size=len(side), max_size=len(side)))
        for letters in ("abcd", "xyz")
        for side in (rows, more)
    ]
    ids, held, media, held_media = named
    ids[:2], held[0] = ["a", "a"], "a"
    media[:2], held_media[0] = ["x", "y"], "z"
    options = {"media": media} if filmed else {}
    if alone:
        more, held, held_media = rows, ids, media
    else:
        options |= {"gallery": halves[more], "gallery_ids": held}
        options |= {"gallery_media": held_media} if filmed else {}

    def left_out(i: int, j: int) -> bool:
        return (alone and i == j) or (filmed and media[i] == held_media[j])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", 20)
        result = evaluation.retrieval(halves[rows], ids, **options, draws=5)
    every = slow_places(halves[rows], ids, halves[more], held, left_out)
    places = [each for each in every if each]
    assert result.ranks.tolist() == [place for each in places for place in each]
    assert result.rank.tolist() == [each[0] for each in places]
    assert (result.queries, result.left_out) == (len(places), len(every) - len(places))
    assert result.owner.tolist() == [
        sorted({*ids, *held}).index(name) for name, each in zip(ids, every, strict=True) if each
    ]

    def precision(each: list[int], depth: float) -> float:
        """The sum of precisions at the right answers down to a depth, over all R of them."""
        return sum(n / place for n, place in enumerate(each, 1) if place <= depth) / len(each)

    assert result.map == mean([precision(each, math.inf) for each in places])
    assert result.map_at_r == mean([precision(each, len(each)) for each in places])
    assert result.r_precision == mean([sum(p <= len(e) for p in e) / len(e) for e in places])
    for k in (1, 2, 5, 100):
        assert result.recall_at(k) == mean([each[0] <= k for each in places])
        assert result.precision_at(k) == mean([sum(p <= k for p in each) / k for each in places])
    assert result.precision_at_1 == result.recall_at(1) == result.precision_at(1)


def test_map_without_ties_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 8, 60)
    vectors = generator.normal(size=(60, 6)) + 0.7 * np.eye(8, 6)[ids]
    result = evaluation.retrieval(vectors, ids)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [
        average_precision_score(np.delete(ids == ids[i], i), np.delete(unit @ unit[i], i))
        for i in range(60)
    ]
    assert result.left_out == 0
    assert result.map == mean(expected)


def test_a_duplicate_of_the_same_medium_is_ignored() -> None:
    """A burst of a at 0 and 1 degrees: found first, unless it is known as a burst."""
    vectors, ids = _on_circle(0, 1, 40, 30), list("aaab")
    assert evaluation.retrieval(vectors, ids).rank.tolist() == [1, 1, 2]
    known = evaluation.retrieval(vectors, ids, media=["burst", "burst", "day", "other"])
    assert known.rank.tolist() == [2, 2, 2]
    assert known.ranks.tolist() == [2, 2, 2, 3]
    everything = evaluation.retrieval(vectors[:3], list("aaa"), media=list("xxy"))
    assert everything.answers.tolist() == [1, 1, 2]


def _on_circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_six_images_by_hand() -> None:
    """Has a at 0, 10, 40 degrees; b at 30, 100; c alone at 200.

    a0 : 10a 30b 40a …  -> rank 1, two answers, hits at 1: (1/1) / 2 = 1/2
    a10: 0a 30b 40a …   -> rank 1, 1/2        a40: 30b 10a 0a -> rank 2, (1/2) / 2 = 1/4
    b30: 40a 10a 0a 100b -> rank 4, 0         b100: 40a 30b -> 60 and 70: rank 2, 0
    """
    result = evaluation.retrieval(_on_circle(0, 10, 40, 30, 100, 200), list("aaabbc"))
    assert result.rank.tolist() == [1, 1, 2, 4, 2]
    assert result.answers.tolist() == [2, 2, 2, 1, 1]
    assert result.r_precision == pytest.approx((1 / 2 + 1 / 2 + 1 / 2) / 5)
    assert result.recall_at(1) == 0.4
    assert result.recall_at(2) == 0.8
    assert result.map_at_r == 0.25
    assert result.left_out == 1
    assert "5 queries in 6 images (1 left out" in str(result)


def test_order_and_length_of_embeddings_do_not_matter() -> None:
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
    result = evaluation.retrieval(random, np.repeat(np.arange(2), 1000))
    assert result.recall_at(1) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.retrieval(np.eye(3), list("abc")), "two images"),
        (lambda: evaluation.retrieval(np.eye(3), list("ab")), "one identity for each"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa"), gallery=np.eye(2)), "both or neither"),
        (
            lambda: evaluation.retrieval(
                np.eye(2), list("aa"), gallery=np.eye(3), gallery_ids=list("aaa")
            ),
            "one model",
        ),
        (lambda: evaluation.retrieval(np.eye(2), list("aa")).recall_at(0), "1 or more"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa")).precision_at(0), "1 or more"),
        (lambda: evaluation.retrieval(np.full((2, 2), np.nan), list("aa")), "NaN"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa"), media=list("xx")), "one medium"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa"), media=list("x")), "media has shape"),
        (lambda: evaluation.retrieval(np.eye(2), list("aa"), media=["", "x"]), "1 of 2 images"),
        (
            lambda: evaluation.retrieval(np.eye(2), list("aa"), gallery_media=list("xy")),
            "without a gallery",
        ),
        (
            lambda: evaluation.retrieval(
                np.eye(2), list("aa"), gallery=np.eye(2), gallery_ids=list("aa"), media=list("xy")
            ),
            "both or neither",
        ),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        call()


def test_real_faces_find_each_other(lfw: dict[str, np.ndarray]) -> None:
    result = evaluation.retrieval(lfw["unit"][:3000], lfw["person"][:3000])
    assert result.queries + result.left_out == 3000
    assert result.recall_at(1) > 0.98
    assert 0.95 < result.map_at_r < result.recall_at(1)


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("bounds", [(-1.0, 5.0), (5.0, 15.0), (15.0, math.inf)])
def test_mates_at_a_gap(halves: np.ndarray, stated: bool, bounds: tuple[float, float]) -> None:
    """The others of an identity are left out, as a loop does; so is who has no age."""
    rng = np.random.default_rng(3)
    above, up_to = bounds
    ids = [f"p{row % 6}" for row in range(40)]
    rows = halves[rng.integers(0, 16, 40)]
    ages = rng.integers(0, 40, 40).astype(float)
    ages[[3, 17]] = np.nan
    probes, entries = (np.arange(15), np.arange(15, 40)) if stated else (np.arange(40),) * 2

    def left_out(i: int, j: int) -> bool:
        query, other = int(probes[i]), int(entries[j])
        gap = abs(ages[query] - ages[other])
        mate = ids[query] == ids[other]
        return query == other or (mate and not above < gap <= up_to)

    held = [ids[row] for row in entries]
    places = slow_places(rows[probes], [ids[row] for row in probes], rows[entries], held, left_out)
    gallery = {"gallery": rows[entries], "gallery_ids": held} if stated else {}
    gap = evaluation.MateGap(ages[probes], ages[entries] if stated else None, above, up_to)
    found = evaluation.retrieval(
        rows[probes], [ids[row] for row in probes], gap=gap, draws=2, **gallery
    )
    assert found.ranks.tolist() == [place for one in places for place in one]
    assert found.answers.tolist() == [len(one) for one in places if one]
    assert found.recall_at(1) == mean([one[0] == 1 for one in places if one])


def test_ages_of_too_few() -> None:
    with pytest.raises(ArcwiseError, match="numbers of 2 queries"):
        evaluation.retrieval(np.eye(3), ["a", "a", "b"], gap=evaluation.MateGap(np.zeros(2)))


def test_no_mate_at_such_a_gap() -> None:
    gap = evaluation.MateGap(np.array([1.0, 2.0, 30.0]), above=5.0)
    with pytest.raises(ArcwiseError, match="none of 3 queries"):
        evaluation.retrieval(np.eye(3), ["a", "a", "b"], gap=gap)
