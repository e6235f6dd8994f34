"""Thresholds for searches: exact against every gallery there is; intervals that cover; files."""

from __future__ import annotations

import importlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.evaluation import SearchThreshold, calibrate_search, identification

MODULE = importlib.import_module("arcwise.evaluation.search_calibration")


def slow_threshold(
    vectors: np.ndarray, ids: list[str], gallery: int, fpir: float
) -> tuple[float, float | None]:
    """Return the threshold and how many are found, with every gallery of so many identities."""
    scores = vectors @ vectors.T
    names = sorted(set(ids))
    unknown, known = [], []  # (weight, best score), (weight, own score, whether it comes first)
    for i, own in enumerate(ids):
        best = {
            name: max(s for j, (s, n) in enumerate(zip(scores[i].tolist(), ids, strict=True))
                      if n == name and j != i)
            for name in names if any(n == name and j != i for j, n in enumerate(ids))
        }  # fmt: skip
        others = [name for name in names if name != own]
        galleries = list(itertools.combinations(others, gallery))
        unknown += [(1 / len(galleries), max(best[n] for n in held)) for held in galleries]
        if own in best:
            rivals = list(itertools.combinations(others, gallery - 1))
            for held in rivals:
                first = all(best[n] < best[own] for n in held)
                known.append((1 / len(rivals), best[own], first))
    options = sorted({float(np.nextafter(np.float32(s), np.float32(2))) for _, s in unknown})
    for threshold in options:
        if sum(w for w, s in unknown if s >= threshold) / len(ids) <= fpir * (1 + 1e-9):
            break
    found = sum(w for w, s, first in known if first and s >= threshold)
    return threshold, found / sum(w for w, *_ in known) if known else None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_every_gallery_with_ties(data: st.DataObject, halves: np.ndarray) -> None:
    count = data.draw(st.integers(4, 9))
    rows = data.draw(st.lists(st.integers(0, 15), min_size=count, max_size=count))
    ids = data.draw(st.lists(st.sampled_from("abcde"), min_size=count, max_size=count))
    ids[:2] = "a", "b"
    gallery = data.draw(st.integers(1, len(set(ids)) - 1))
    fpir = data.draw(st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.75]))
    threshold, found = slow_threshold(halves[rows], ids, gallery, fpir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", 2 * count)
        (got,) = calibrate_search(halves[rows], ids, (fpir,), gallery, draws=5)
    assert got.threshold == threshold
    assert got.dir == pytest.approx(found)
    assert got.low <= got.threshold <= got.high
    assert (got.gallery, got.probes, got.identities) == (gallery, count, len(set(ids)))


def population(generator: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    centres = generator.normal(size=(people, 8))
    ids = np.repeat(np.arange(people), 3)
    return centres[ids] + 0.5 * generator.normal(size=(3 * people, 8)), ids


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    return population(np.random.default_rng(3), 80)


def test_the_rate_is_kept_in_galleries_that_are_drawn(
    people: tuple[np.ndarray, np.ndarray],
) -> None:
    """The protocol itself, with drawn galleries, measures the rates that were promised."""
    vectors, ids = people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    strict, lax = calibrate_search(vectors, ids, (0.05, 0.2), 30)
    generator = np.random.default_rng(0)
    rates = []
    for _ in range(60):
        enrolled = np.isin(ids, generator.choice(80, 30, replace=False))
        found = identification(unit[~enrolled] @ unit[enrolled].T, ids[~enrolled], ids[enrolled])
        rates.append([found.fpir_with(t.threshold) for t in (strict, lax)])
    assert np.mean(rates, axis=0) == pytest.approx([0.05, 0.2], rel=0.05)


def test_the_order_of_things(people: tuple[np.ndarray, np.ndarray]) -> None:
    found = calibrate_search(*people, (0.5, 0.1, 0.01))
    assert [t.fpir for t in found] == [0.5, 0.1, 0.01]
    assert all(a.threshold < b.threshold for a, b in itertools.pairwise(found))
    assert all(a.dir >= b.dir for a, b in itertools.pairwise(found))  # type: ignore[operator]
    assert [t.resolved for t in found] == [True, True, False]  # 240 pictures
    assert {t.gallery for t in found} == {40}  # half
    sizes = [calibrate_search(*people, (0.1,), size, draws=5)[0] for size in (1, 10, 79)]
    assert all(a.threshold < b.threshold for a, b in itertools.pairwise(sizes))
    assert str(found[1]).startswith("FPIR 0.1 in a gallery of 40 identities: similarity >= 0.")
    assert "NOT RESOLVED" in str(found[2])


def test_the_same_seed_gives_the_same_interval(people: tuple[np.ndarray, np.ndarray]) -> None:
    assert calibrate_search(*people, seed=1) == calibrate_search(*people, seed=1)
    one, other = (calibrate_search(*people, seed=seed)[0] for seed in (1, 2))
    assert one.threshold == other.threshold
    assert one.low != other.low


@pytest.mark.parametrize("gallery", [2, 20, 35])
def test_the_interval_covers_the_population_threshold(gallery: int) -> None:
    """With 40 identities, the threshold of 400 others lies inside about 95 % of the time."""
    (truth,) = calibrate_search(
        *population(np.random.default_rng(99), 400), (0.1,), gallery, draws=0
    )
    found = [
        calibrate_search(*population(np.random.default_rng(s), 40), (0.1,), gallery, draws=60)[0]
        for s in range(60)
    ]
    covered = sum(t.low <= truth.threshold <= t.high for t in found)
    assert covered >= 51, covered


def test_a_part_of_the_pictures_searches_where_there_are_many(
    people: tuple[np.ndarray, np.ndarray],
) -> None:
    whole = calibrate_search(*people, (0.2,), 40)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_KEEP", 120 * MODULE._depth(79, 40))
        part = calibrate_search(*people, (0.2,), 40)[0]
    assert (whole.probes, part.probes) == (240, 120)
    assert part.threshold == pytest.approx(whole.threshold, abs=0.05)


def test_two_identities_say_nothing_about_the_spread() -> None:
    (found,) = calibrate_search(np.eye(4), list("aabb"), (0.5,))
    assert (found.low, found.high) == (-1.0, 1.0)
    assert found.gallery == 1
    (alone,) = calibrate_search(np.eye(3), list("abc"), (0.5,))
    assert alone.dir is None


def test_collapsed_embeddings_answer_nobody() -> None:
    found = calibrate_search(np.ones((12, 4)), list("aabbccddeeff"), (0.1,))[0]
    assert found.threshold > 1.0
    assert found.dir == 0.0


def test_a_threshold_survives_a_file(people: tuple[np.ndarray, np.ndarray]) -> None:
    for threshold in calibrate_search(*people, draws=5):
        assert SearchThreshold.from_dict(json.loads(json.dumps(threshold.as_dict()))) == threshold


@pytest.mark.parametrize(
    "change", [{"far": 0.1}, {"gallery": 2.5}, {"fpir": None}, {"dir": "1"}, {"resolved": 1}]
)
def test_a_threshold_that_is_not_one_is_refused(change: dict[str, object]) -> None:
    plain = calibrate_search(np.eye(4), list("aabb"), (0.5,))[0].as_dict()
    with pytest.raises(ArcwiseError, match="a search threshold"):
        SearchThreshold.from_dict(plain | change)


@pytest.mark.parametrize(
    ("embeddings", "ids", "fpirs", "gallery", "message"),
    [
        (np.eye(3), ["a", "a", "a"], (0.1,), None, "at least two identities"),
        (np.eye(3), ["a", "b"], (0.1,), None, "one identity for each sample"),
        (np.full((2, 2), np.nan), ["a", "b"], (0.1,), None, "NaN"),
        (np.eye(2), ["a", "b"], (0.0,), None, "above 0"),
        (np.eye(2), ["a", "b"], (1.0,), None, "between 0 and 1"),
        (np.eye(2), ["a", "b"], (), None, "one or more"),
        (np.eye(2), ["a", "b"], (0.1,), 2, "a gallery of 2 identities out of 2, expected 1 to 1"),
        (np.eye(2), ["a", "b"], (0.1,), 0, "a gallery of 0 identities"),
    ],
)
def test_bad_input_is_named(
    embeddings: np.ndarray,
    ids: list[str],
    fpirs: tuple[float, ...],
    gallery: int | None,
    message: str,
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        calibrate_search(embeddings, ids, fpirs, gallery)
