"""Thresholds for one gallery as it is."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import calibrate_in_gallery
from arcwise.evaluation.intervals import wilson


def unknown_probes(seed: int, people: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Closest similarities of five images each; those of one person are alike."""
    generator = np.random.default_rng(seed)
    ids = np.repeat(np.arange(people), 5)
    scores = np.tanh(
        generator.normal(size=people)[ids] * 0.2 + generator.normal(size=len(ids)) * 0.1
    )
    return scores, ids


def test_the_lowest_threshold_that_keeps_the_rate() -> None:
    scores, ids = unknown_probes(0)
    for one in calibrate_in_gallery(scores, ids, (0.1, 0.03), gallery=7):
        assert np.mean(scores >= one.threshold) <= one.fpir
        assert np.mean(scores >= one.threshold - 1e-6) > one.fpir - 1 / len(scores)
        assert one.low < one.threshold < one.high
        assert one.fpir_low < one.fpir < one.fpir_high
        assert (one.gallery, one.templates, one.probes, one.identities) == (7, None, 300, 60)
        assert one.dir is None


def test_the_interval_is_of_as_many_unknown_identities() -> None:
    covered = 0
    for seed in range(60):
        (one,) = calibrate_in_gallery(*unknown_probes(seed), (0.1,), gallery=7, draws=100)
        others = unknown_probes(1000 + seed)[0]
        covered += one.fpir_low <= np.mean(others >= one.threshold) <= one.fpir_high
    assert covered >= 53, covered


def test_how_many_are_found() -> None:
    scores, ids = unknown_probes(0)
    own, own_ids = np.array([0.9, 0.8, -np.inf, 0.1]), ["a", "a", "b", "c"]
    (one,) = calibrate_in_gallery(scores, ids, (0.1,), gallery=7, own=own, own_ids=own_ids)
    assert one.dir == 0.5
    assert one.dir_low is not None
    assert one.dir_high is not None
    assert one.dir_low < 0.2  # three identities tell little
    assert one.dir_high > 0.8


def test_few_unknown_identities_have_wide_intervals() -> None:
    (one,) = calibrate_in_gallery(
        np.linspace(0, 0.5, 100), np.repeat([0, 1], 50), (0.1,), gallery=3
    )
    assert one.fpir_high > 0.5
    assert (one.low, one.high) == (-1.0, 1.0)


def test_nobody_is_refused() -> None:
    with pytest.raises(ArcwiseError, match="no image of an unknown identity"):
        calibrate_in_gallery(np.empty(0), [], (0.1,), gallery=3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gallery": "a"}, "gallery is 'a'"),
        ({"gallery": 0}, "gallery is 0"),
        ({"own": np.ones(3)}, "own_ids"),
        ({"own": np.full(3, np.nan), "own_ids": list("abc")}, "NaN"),
    ],
)
def test_what_cannot_be_meant_is_named(wrong: dict[str, object], message: str) -> None:
    given = {"gallery": 3} | wrong
    with pytest.raises(ArcwiseError, match=message):
        calibrate_in_gallery(np.linspace(0, 1, 40), np.arange(40) // 2, (0.5,), **given)  # type: ignore[arg-type]


def test_the_interval_is_at_least_wilsons() -> None:
    """Every one of 30 unknown_probes gets one of ten answers: draws of them are all alike."""
    scores = np.tile(np.linspace(0, 0.9, 10), 30)
    (one,) = calibrate_in_gallery(scores, np.repeat(np.arange(30), 10), (0.1,), gallery=7)
    low, high = wilson(3, 30)
    assert (one.fpir_low, one.fpir_high) == pytest.approx((low, high))


def test_without_identities_no_interval_is_known() -> None:
    scores, ids = unknown_probes(0)
    (known,) = calibrate_in_gallery(scores, ids, (0.1,), gallery=7)
    (one,) = calibrate_in_gallery(scores, None, (0.1,), gallery=7)
    assert one.threshold == known.threshold
    assert (one.low, one.high, one.fpir_low, one.fpir_high) == (-1.0, 1.0, 0.0, 1.0)
    assert one.identities is None
