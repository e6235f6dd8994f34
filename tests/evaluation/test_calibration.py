"""Thresholds for stated rates: exact against a loop, with ties; intervals that cover; files."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold, calibrate

HALVES = np.array(list(itertools.product([-0.5, 0.5], repeat=4)), dtype=np.float32)
"""Unit vectors whose cosines are exactly -1, -0.5, 0, 0.5 or 1: all ties are real ones."""


def slow_threshold(embeddings: np.ndarray, ids: list[str], far: float) -> tuple[float, float]:
    """Return the threshold and its TAR by trying every score, lowest first."""
    mated, impostors = [], []
    for a, b in itertools.combinations(range(len(ids)), 2):
        (mated if ids[a] == ids[b] else impostors).append(float(embeddings[a] @ embeddings[b]))
    options = sorted({float(np.nextafter(np.float32(s), np.float32(2))) for s in impostors})
    for threshold in options:
        if sum(s >= threshold for s in impostors) / len(impostors) <= far:
            break
    tar = sum(s >= threshold for s in mated) / len(mated) if mated else math.nan
    return threshold, tar


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_a_loop_over_all_pairs_with_ties(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 12))
    rows = data.draw(st.lists(st.integers(0, 15), min_size=count, max_size=count))
    ids = data.draw(st.lists(st.sampled_from("abcd"), min_size=count, max_size=count))
    far = data.draw(st.sampled_from([0.01, 0.1, 0.2, 0.25, 0.5, 0.75]))
    if len(set(ids)) < 2:
        ids[0] = "other"
    threshold, tar = slow_threshold(HALVES[rows], ids, far)
    (got,) = calibrate(HALVES[rows], ids, (far,), draws=5)
    assert got.threshold == threshold
    assert got.tar is None if math.isnan(tar) else got.tar == tar
    assert got.low <= got.threshold <= got.high


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(60, 32))
    ids = np.repeat(np.arange(60), 5)
    return centres[ids] + 0.8 * generator.normal(size=(300, 32)), ids


def test_thresholds_rise_as_the_rate_falls(people: tuple[np.ndarray, np.ndarray]) -> None:
    result = calibrate(*people)
    assert [t.far for t in result] == [1e-1, 1e-2, 1e-3, 1e-4]
    assert all(a.threshold <= b.threshold for a, b in itertools.pairwise(result))
    assert all(a.tar >= b.tar for a, b in itertools.pairwise(result))
    assert [t.resolved for t in result] == [True, True, True, False]  # 44 250 impostor pairs
    assert result[0].impostors == 300 * 299 // 2 - 60 * 10
    assert result[0].identities == 60
    assert "NOT RESOLVED" in str(result[3])


def test_the_same_seed_gives_the_same_interval(people: tuple[np.ndarray, np.ndarray]) -> None:
    assert calibrate(*people, seed=1) == calibrate(*people, seed=1)
    assert calibrate(*people, seed=1)[0].low != calibrate(*people, seed=2)[0].low


def test_deep_ranks_stay_exact_where_pairs_are_thinned() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(900, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors.astype(np.float32)
    ids = np.arange(900)
    scores = np.sort((vectors @ vectors.T)[np.triu_indices(900, 1)])[::-1]
    result = calibrate(vectors, ids, (0.5, 0.9), draws=20)
    for threshold in result:
        expected = scores[int(len(scores) * threshold.far)]
        assert threshold.threshold == pytest.approx(float(expected), abs=1e-6)
        assert threshold.low <= threshold.threshold <= threshold.high
        assert threshold.high - threshold.low < 0.2
        assert threshold.tar is None


def test_the_interval_covers_the_population_threshold() -> None:
    """With 40 identities, the threshold of 600 others lies inside about 95 % of the time."""

    def draw(generator: np.random.Generator, identities: int) -> tuple[np.ndarray, np.ndarray]:
        centres = generator.normal(size=(identities, 6))
        ids = np.repeat(np.arange(identities), 3)
        return centres[ids] + 0.5 * generator.normal(size=(3 * identities, 6)), ids

    truth = calibrate(*draw(np.random.default_rng(99), 600), (0.01,), draws=2)[0].threshold
    result = [calibrate(*draw(np.random.default_rng(s), 40), (0.01,), draws=60) for s in range(40)]
    covered = sum(t.low <= truth <= t.high for (t,) in result)
    assert covered >= 34, covered


@pytest.mark.parametrize("hubs", [0.0, 0.1])
def test_the_interval_covers_the_rate_of_other_identities(hubs: float) -> None:
    """With 40 identities, of which some may be near to everybody: hubs make most of the errors."""

    def draw(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        centres = generator.normal(size=(40, 12))
        centres[generator.random(40) < hubs] += 0.7
        ids = np.repeat(np.arange(40), 3)
        vectors = centres[ids] + 0.5 * generator.normal(size=(120, 12))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), ids

    covered = 0
    for seed in range(60):
        (one,) = calibrate(*draw(np.random.default_rng(seed)), (0.01,), draws=60)
        vectors, ids = draw(np.random.default_rng(1000 + seed))
        first, second = np.triu_indices(len(ids), 1)
        impostors = (vectors @ vectors.T)[first, second][ids[first] != ids[second]]
        covered += one.far_low <= np.mean(impostors >= one.threshold) <= one.far_high
    assert covered >= 54, covered


def test_how_much_the_rate_differs_between_identities() -> None:
    """Two of six identities are alike, the others to nobody: shares of 1, 1, 0, 0, 0 and 0."""
    vectors = np.eye(6)[[0, 0, 2, 3, 4, 5]]
    (one,) = calibrate(vectors, list("abcdef"), (0.1,), draws=5)
    assert one.far_spread == pytest.approx(np.std([1, 1, 0, 0, 0, 0]) / np.mean([1, 1, 0, 0, 0, 0]))
    (nobody,) = calibrate(vectors, list("abcdef"), (0.01,), draws=5)
    assert nobody.far_spread == 0
    assert nobody.far_high > 0.3  # six identities say little


def test_thresholds_from_before_rates_had_intervals() -> None:
    values = _plain()
    for key in ("far_low", "far_high", "far_spread"):
        del values[key]
    old = Threshold.from_dict(values)
    assert (old.far_low, old.far_high, old.far_spread) == (0.0, 1.0, 0.0)
    assert old.tar_low == values["tar_low"]


def test_collapsed_embeddings_accept_nobody() -> None:
    result = calibrate(np.ones((12, 4)), list("aabbccddeeff"), (0.1,))[0]
    assert result.threshold > 1.0
    assert result.tar == 0.0


def test_a_threshold_survives_a_file(people: tuple[np.ndarray, np.ndarray]) -> None:
    for threshold in calibrate(*people, draws=5):
        assert Threshold.from_dict(json.loads(json.dumps(threshold.as_dict()))) == threshold


def _plain() -> dict[str, object]:
    return calibrate(np.eye(4), list("aabb"), (0.5,), draws=5)[0].as_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"far": "0.1"},
        {"far": float("nan")},
        {"resolved": 1},
        {"impostors": 2.5},
        {"tar": True},
        {"threshold": None},
    ],
)
def test_a_threshold_that_is_not_one_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ArcwiseError, match="threshold"):
        Threshold.from_dict(_plain() | change)


def test_a_missing_key_is_refused() -> None:
    values = _plain()
    del values["far"]
    with pytest.raises(ArcwiseError, match="expected exactly"):
        Threshold.from_dict(values)


@pytest.mark.parametrize(
    ("embeddings", "ids", "fars", "message"),
    [
        (np.eye(3), ["a", "a", "a"], (0.1,), "at least two identities"),
        (np.eye(3), ["a", "b"], (0.1,), "one identity for each sample"),
        (np.full((2, 2), np.nan), ["a", "b"], (0.1,), "NaN"),
        (np.eye(2), ["a", "b"], (0.0,), "above 0"),
        (np.eye(2), ["a", "b"], (1.0,), "between 0 and 1"),
        (np.eye(2), ["a", "b"], (), "one or more"),
        (np.ones(3), ["a", "b", "c"], (0.1,), "dimension"),
        (np.zeros((0, 4)), [], (0.1,), "at least one embedding"),
    ],
)
def test_bad_input_is_named(
    embeddings: np.ndarray, ids: list[str], fars: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        calibrate(embeddings, ids, fars)
