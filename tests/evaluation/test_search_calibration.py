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
from arcwise.evaluation import (
    SearchThreshold,
    calibrate_search,
    calibrate_searches,
    identification,
    search_rates,
)
from arcwise.evaluation.search_calibration import usual_galleries

MEAN = importlib.import_module("arcwise.evaluation.gallery_mean")
MODULE = importlib.import_module("arcwise.evaluation.search_calibration")


def slow_threshold(
    vectors: np.ndarray, ids: list[str], gallery: int, templates: int | None, fpir: float
) -> tuple[float, float | None]:
    """Return the threshold and how many are found, over every gallery and choice of images."""
    scores = vectors @ vectors.T
    names = sorted(set(ids))
    images = {name: [j for j, one in enumerate(ids) if one == name] for name in names}
    unknown, known = [], []  # (weight, best score), (weight, own score, whether it comes first)
    for i, own in enumerate(ids):
        choices = {}
        for name in names:
            held = [j for j in images[name] if j != i]
            size = len(held) if templates is None else templates
            if 1 <= size <= len(held):
                chosen = list(itertools.combinations(held, size))
                choices[name] = [max(scores[i, j] for j in one) for one in chosen]
        others = [name for name in choices if name != own]
        for held in itertools.combinations(others, gallery):
            for best in itertools.product(*(choices[name] for name in held)):
                unknown.append((i, max(best)))
        if own in choices:
            for held in itertools.combinations(others, gallery - 1):
                for mine in choices[own]:
                    for best in itertools.product(*(choices[name] for name in held)):
                        known.append((i, len(held), mine, all(b < mine for b in best)))

    # Every gallery counts the same for a probe, and every choice of images for a gallery.
    def mean(rows: list[tuple[int, bool]]) -> float:
        per_probe: dict[int, list[bool]] = {}
        for probe, hit in rows:
            per_probe.setdefault(probe, []).append(hit)
        return float(np.mean([np.mean(hits) for hits in per_probe.values()]))

    options = sorted({float(np.nextafter(np.float32(s), np.float32(2))) for _, s in unknown})
    for threshold in options:
        if mean([(i, s >= threshold) for i, s in unknown]) <= fpir * (1 + 1e-9):
            break
    if not known:
        return threshold, None
    return threshold, mean([(i, first and mine >= threshold) for i, _, mine, first in known])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_equals_every_gallery_with_ties(data: st.DataObject, halves: np.ndarray) -> None:
    """With M templates each and equally many images each, all choices weigh the same."""
    each = data.draw(st.integers(1, 3))
    people = data.draw(st.integers(2, 4))
    ids = [name for name in "abcd"[:people] for _ in range(each)]
    rows = data.draw(st.lists(st.integers(0, 15), min_size=len(ids), max_size=len(ids)))
    templates = data.draw(st.sampled_from([None, *range(1, each + 1)]))
    gallery = data.draw(st.integers(1, people - 1))
    fpir = data.draw(st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.75]))
    threshold, result = slow_threshold(halves[rows], ids, gallery, templates, fpir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MEAN, "_CELLS", 2 * len(ids))
        (got,) = calibrate_search(halves[rows], ids, (fpir,), gallery, templates=templates, draws=5)
    assert got.threshold == threshold
    assert got.dir == pytest.approx(result)
    assert got.low <= got.threshold <= got.high
    assert (got.gallery, got.templates, got.probes) == (gallery, templates, len(ids))


def test_unequal_identities_by_hand() -> None:
    """An identity with fewer images than templates is searched with, never enrolled."""
    ids = ["a", "a", "a", "b", "b", "c"]
    near = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 0]], np.float32)
    (got,) = calibrate_search(near, ids, (0.4,), 1, templates=2, draws=5)
    # a's images see b only: 1, 0, 0. b's see two of a's three: 2/3 each. c's sees either: 5/6.
    rates = [1, 0, 0, 2 / 3, 2 / 3, (2 / 3 + 1) / 2]
    assert got.threshold > 1.0  # mean(rates) is more than 0.4
    assert np.mean(rates) == pytest.approx(0.5278, abs=1e-4)
    (lax,) = calibrate_search(near, ids, (0.53,), 1, templates=2, draws=5)
    assert 0 < lax.threshold <= 1.0


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), max_size=6),
    st.integers(0, 3),
    st.integers(0, 7),
)
def test_mean_over_all_galleries(no_match: list[float], others: int, enrolled: int) -> None:
    everybody = [*no_match, *[1.0] * others]
    if not everybody or enrolled > len(everybody):
        return
    expected = np.mean([np.prod(one) for one in itertools.combinations(everybody, enrolled)])
    got = MEAN.mean_no_match(
        np.array(no_match), np.array([len(no_match)]), np.array([len(everybody)]), enrolled
    )
    assert got == pytest.approx(expected, abs=1e-12)


def population(generator: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    centres = generator.normal(size=(people, 8))
    ids = np.repeat(np.arange(people), 3)
    return centres[ids] + 0.5 * generator.normal(size=(3 * people, 8)), ids


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    return population(np.random.default_rng(3), 80)


@pytest.mark.parametrize("templates", [1, 2, None])
def test_the_rate_is_kept_in_drawn_galleries(
    people: tuple[np.ndarray, np.ndarray], templates: int | None
) -> None:
    """The protocol itself, with drawn galleries, measures the rates that were promised."""
    vectors, ids = people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    strict, lax = calibrate_search(vectors, ids, (0.05, 0.2), 30, templates=templates)
    generator = np.random.default_rng(0)
    rates, result = [], []
    for _ in range(100):
        names = generator.choice(80, 30, replace=False)
        kept = np.argsort(generator.random((80, 3)), axis=1)[:, : templates or 3]
        enrolled = np.zeros(240, bool)
        enrolled[(3 * np.arange(80)[:, None] + kept)[names].ravel()] = True
        unknown = ~np.isin(ids, names)
        asked = np.flatnonzero(~enrolled)
        got = identification(unit[asked] @ unit[enrolled].T, ids[asked], ids[enrolled], draws=2)
        assert len(got.unknown) == unknown.sum()
        rates.append([np.mean(got.unknown >= t.threshold) for t in (strict, lax)])
        if templates:
            result.append(np.mean((got.rank_of_mate == 1) & (got.score >= lax.threshold)))
    assert np.mean(rates, axis=0) == pytest.approx([0.05, 0.2], rel=0.08)
    if result:
        assert np.mean(result) == pytest.approx(lax.dir, abs=0.04)


def test_more_templates_take_a_higher_threshold(people: tuple[np.ndarray, np.ndarray]) -> None:
    one, two, three = (
        calibrate_search(*people, (0.1,), 30, templates=m, draws=5)[0] for m in (1, 2, 3)
    )
    assert one.threshold < two.threshold < three.threshold
    assert three.dir is None  # nobody has a fourth image
    assert three.threshold == calibrate_search(*people, (0.1,), 30, draws=5)[0].threshold


def test_the_order_of_things(people: tuple[np.ndarray, np.ndarray]) -> None:
    result = calibrate_search(*people, (0.5, 0.1, 0.01))
    assert [t.fpir for t in result] == [0.5, 0.1, 0.01]
    assert all(a.threshold < b.threshold for a, b in itertools.pairwise(result))
    assert all(a.dir >= b.dir for a, b in itertools.pairwise(result))  # type: ignore[operator]
    assert [t.resolved for t in result] == [True, True, False]  # 240 images
    assert {(t.gallery, t.templates) for t in result} == {(40, None)}  # half
    sizes = [calibrate_search(*people, (0.1,), size, draws=5)[0] for size in (1, 10, 79)]
    assert all(a.threshold < b.threshold for a, b in itertools.pairwise(sizes))
    assert str(result[1]).startswith("FPIR 0.1 in a gallery of 40 identities with all their images")
    assert "NOT RESOLVED" in str(result[2])


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
    result = [
        calibrate_search(*population(np.random.default_rng(s), 40), (0.1,), gallery, draws=60)[0]
        for s in range(60)
    ]
    covered = sum(t.low <= truth.threshold <= t.high for t in result)
    assert covered >= 51, covered


def test_many_images_are_searched_in_part(
    people: tuple[np.ndarray, np.ndarray],
) -> None:
    """What sampling the images adds is small beside the interval."""
    (whole,) = calibrate_search(*people, (0.2,), 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_KEPT", 1500)
        (part,) = calibrate_search(*people, (0.2,), 40)
    assert whole.probes == 240 > part.probes > 50
    assert abs(part.threshold - whole.threshold) < (whole.high - whole.low) / 2


def test_intervals_from_a_part_of_the_draws(people: tuple[np.ndarray, np.ndarray]) -> None:
    (whole,) = calibrate_search(*people, (0.2,), 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.import_module("arcwise.evaluation.gallery_bootstrap"), "_DRAWN", 1000
        )
        (part,) = calibrate_search(*people, (0.2,), 40)
    assert (part.threshold, part.dir) == (whole.threshold, whole.dir)
    assert part.fpir_high - part.fpir_low > 0.8 * (whole.fpir_high - whole.fpir_low)


def test_no_interval_has_width_0() -> None:
    """One identity owns all mates, nothing is ever answered, everything is: all are wide."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(30, 6))
    ids = ["a"] * 20 + [f"other {i}" for i in range(10)]
    vectors[:20] = vectors[0] + 1e-3 * vectors[:20]
    for templates in (1, None):
        for one in calibrate_search(vectors, ids, (0.5, 0.1), 3, templates=templates):
            assert one.fpir_high - one.fpir_low > 0.05
            assert one.dir is not None
            assert one.dir_low is not None
            assert one.dir_high is not None
            assert one.dir_high - one.dir_low > 0.5  # one identity tells next to nothing


def test_two_identities_say_nothing_about_the_spread() -> None:
    (result,) = calibrate_search(np.eye(4), list("aabb"), (0.5,))
    assert (result.low, result.high) == (-1.0, 1.0)
    assert result.gallery == 1
    (alone,) = calibrate_search(np.eye(3), list("abc"), (0.5,))
    assert alone.dir is None


def test_collapsed_embeddings_answer_nobody() -> None:
    result = calibrate_search(np.ones((12, 4)), list("aabbccddeeff"), (0.1,))[0]
    assert result.threshold > 1.0
    assert (result.dir, result.low) == (0.0, -1.0)


def test_a_threshold_survives_a_file(people: tuple[np.ndarray, np.ndarray]) -> None:
    for threshold in calibrate_search(*people, draws=5):
        assert SearchThreshold.from_dict(json.loads(json.dumps(threshold.as_dict()))) == threshold


@pytest.mark.parametrize(
    "change",
    [
        {"far": 0.1},
        {"gallery": 2.5},
        {"templates": 0.5},
        {"fpir": None},
        {"dir": "1"},
        {"resolved": 1},
    ],
)
def test_a_threshold_that_is_not_one_is_refused(change: dict[str, object]) -> None:
    plain = calibrate_search(np.eye(4), list("aabb"), (0.5,))[0].as_dict()
    with pytest.raises(ArcwiseError, match="a search threshold"):
        SearchThreshold.from_dict(plain | change)


def test_an_older_threshold_holds_for_one_template(
    people: tuple[np.ndarray, np.ndarray],
) -> None:
    """Those were measured with all images of each identity, and said nothing of templates."""
    plain = calibrate_search(*people, (0.1,), draws=5)[0].as_dict()
    for later in ("templates", "fpir_low", "fpir_high", "dir_low", "dir_high"):
        del plain[later]
    old = SearchThreshold.from_dict(plain)
    assert (old.templates, old.dir, old.fpir_low, old.fpir_high) == (1, None, 0.0, 1.0)
    assert old.threshold == plain["threshold"]


def test_usual_galleries() -> None:
    sizes = np.array([1] * 20 + [2] * 8 + [5] * 3)
    assert usual_galleries(sizes) == [(10, 1), (15, 1), (30, 1), (5, 2), (10, 2), (11, 2)]
    assert usual_galleries(sizes, 7) == [(7, 1), (7, 2)]
    assert usual_galleries(sizes, templates=5) == [(1, 5), (3, 5)]
    assert usual_galleries(np.array([3, 3]), None) == [(1, 1)]


def test_rates_of_a_threshold_found_elsewhere(people: tuple[np.ndarray, np.ndarray]) -> None:
    (one,) = calibrate_search(*people, (0.1,), 30, templates=2)
    fpir, result = search_rates(*people, one.threshold, 30, templates=2)
    assert fpir == pytest.approx(0.1, abs=0.01)
    assert result == pytest.approx(one.dir)
    assert fpir.low == pytest.approx(one.fpir_low)


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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"templates": 2.5}, "templates is 2.5"),
        ({"templates": "2"}, "templates is '2'"),
        ({"gallery_size": 1.5}, "gallery_size is 1.5"),
        ({"gallery_size": "1"}, "gallery_size is '1'"),
        ({"fpirs": ("a",)}, "fpirs is 'a'"),
        ({"fpirs": (None,)}, "fpirs is None"),
        ({"draws": "a"}, "draws is 'a'"),
        ({"ids": ["a", "a", None, "b"]}, r"ids\[2\] is None"),
    ],
)
def test_values_of_another_kind_are_named(wrong: dict[str, object], message: str) -> None:
    given = {"ids": list("aabb"), "fpirs": (0.5,)} | wrong
    with pytest.raises(ArcwiseError, match=message):
        calibrate_search(np.eye(4), **given)  # type: ignore[arg-type]


def test_no_kind_of_gallery_is_an_error() -> None:
    with pytest.raises(ArcwiseError, match="galleries is empty"):
        calibrate_searches(np.eye(4), list("aabb"), (0.5,), [])


@pytest.mark.parametrize("threshold", [float("nan"), "a"])
def test_a_threshold_is_a_number(threshold: float) -> None:
    with pytest.raises(ArcwiseError, match="threshold is"):
        search_rates(np.eye(4), list("aabb"), threshold)


@pytest.mark.parametrize("threshold", [-1.0, 2.0])
def test_all_or_nothing_has_a_wide_interval(threshold: float) -> None:
    """The draws differ by what they leave out, not by what is unknown."""
    embeddings = np.random.default_rng(0).normal(size=(240, 8))
    rates = search_rates(embeddings, np.arange(240) // 4, threshold, 10, templates=2)
    for rate in rates:
        assert rate is not None
        assert rate.high - rate.low > 0.03
        assert 0 <= rate.low <= rate <= rate.high <= 1


def test_too_few_images_for_the_templates() -> None:
    with pytest.raises(ArcwiseError, match="0 of 2 identities have 3 images"):
        calibrate_search(np.eye(4), list("aabb"), (0.5,), templates=3)
    with pytest.raises(ArcwiseError, match="templates is 0"):
        calibrate_search(np.eye(4), list("aabb"), (0.5,), templates=0)


def test_strata_represent_a_long_row() -> None:
    row, weight = np.repeat([0, 2], [1000, 5]), np.random.default_rng(0).random(1005)
    place, kept = MEAN.rank_strata(row, weight)
    falling = np.exp(-np.arange(1005) / 300)
    for one, count in ((0, 64), (2, 5)):
        of, all_of = row[place] == one, row == one
        assert np.count_nonzero(of) == count
        assert kept[of].sum() == pytest.approx(weight[all_of].sum())
        mean = np.average(falling[all_of], weights=weight[all_of])
        assert np.average(falling[place][of], weights=kept[of]) == pytest.approx(mean, abs=0.002)
