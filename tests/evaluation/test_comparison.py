"""Two systems on the same pairs: the tests against scipy, the intervals against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation.comparison import McNemar, compare
from arcwise.evaluation.intervals import paired_interval


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_scipys(first: int, second: int) -> None:
    result = McNemar(first, second)
    count = first + second
    assert result.exact == (count <= 25)
    if count <= 25:
        expected = binomtest(first, count).pvalue if count else 1.0
        assert "exact binomial" in str(result)
    else:
        # What statsmodels' mcnemar(exact=False) computes, but where both are equal.
        statistic = (abs(first - second) - 1) ** 2 / count if first != second else 0.0
        expected = chi2.sf(statistic, 1)
        assert "chi-square" in str(result)
    assert result.p == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 500))
def test_the_paired_interval_is_agresti_and_mins(first: int, second: int, trials: int) -> None:
    low, high = paired_interval(first, second, trials)
    assert -1 <= low < high <= 1
    assert (-high, -low) == pytest.approx(paired_interval(second, first, trials))
    b, c, n = first + 0.5, second + 0.5, trials + 2
    variance = (b / n + c / n - (c / n - b / n) ** 2) / n
    assert (high - low) / 2 == pytest.approx(1.959963985 * math.sqrt(variance))


def systems(seed: int, people: int = 60, gain: float = 0.0) -> tuple[np.ndarray, ...]:
    """Scores of two systems that share most of their luck, `same`, folds, and identities."""
    generator = np.random.default_rng(seed)
    folds = np.repeat(np.arange(5), 200)
    each = people // 5
    ids_a = folds * each + generator.integers(each, size=1000)
    same = np.arange(1000) % 2 == 0
    other = folds * each + (ids_a + 1 + generator.integers(each - 1, size=1000)) % each
    ids_b = np.where(same, ids_a, other)
    shared = 1.8 * same + generator.normal(size=1000)
    first = shared + 0.15 * generator.normal(size=1000)
    second = shared + 0.15 * generator.normal(size=1000) + gain * same
    return first, second, same, folds, ids_a, ids_b


def test_each_system_is_as_measured_alone() -> None:
    first, second, same, folds, ids_a, ids_b = systems(0)
    sides = {"ids_a": ids_a, "ids_b": ids_b, "draws": 50}
    result = compare(first, second, same, folds, far=0.05, **sides)
    for scores, name in ((first, "first"), (second, "second")):
        alone = evaluation.verification(scores, same, folds, **sides)
        assert result.accuracy is not None
        assert repr(getattr(result.accuracy, name)) == repr(alone.accuracy)
        assert repr(getattr(result.tar, name)) == repr(alone.tar_at(0.05))
        assert str(getattr(result, name)) == str(alone)
    for part in (result.accuracy, result.tar):
        assert part.difference == float(part.second) - float(part.first)
    assert result.mcnemar is not None
    assert result.first.folds is not None
    assert result.second.folds is not None
    one, other = result.first.folds.correct, result.second.folds.correct
    assert result.mcnemar.first_only == sum(a and not b for a, b in zip(one, other, strict=True))
    assert result.mcnemar.second_only == sum(b and not a for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("known", [True, False])
def test_common_errors_do_not_widen_the_difference(known: bool) -> None:
    first, second, same, folds, ids_a, ids_b = systems(1)
    sides = {"ids_a": ids_a, "ids_b": ids_b} if known else {}
    result = compare(first, second, same, folds, far=0.05, **sides)
    for part in (result.accuracy, result.tar):
        assert part is not None
        gap = part.difference
        assert gap.low < gap < gap.high
        if known:  # else the thresholds count as given, and the interval is too narrow
            assert gap.low < 0 < gap.high
        assert gap.high - gap.low < 0.8 * (part.first.high - part.first.low)


@pytest.mark.parametrize("known", [True, False])
def test_a_better_system_is_seen(known: bool) -> None:
    first, second, same, folds, ids_a, ids_b = systems(2, gain=0.8)
    sides = {"ids_a": ids_a, "ids_b": ids_b} if known else {}
    result = compare(first, second, same, folds, far=0.05, **sides)
    back = compare(second, first, same, folds, far=0.05, **sides)
    assert result.mcnemar is not None
    assert back.mcnemar is not None
    assert result.mcnemar.p == back.mcnemar.p < 1e-4
    for part, mirror in ((result.accuracy, back.accuracy), (result.tar, back.tar)):
        assert part is not None
        assert mirror is not None
        gap, other = part.difference, mirror.difference
        assert gap.low > 0
        assert (other, -other.high, -other.low) == pytest.approx((-gap, gap.low, gap.high))


def test_intervals_hold_what_they_promise() -> None:
    """Over fresh samples of people, nearly all intervals hold the difference of the population."""
    inside = 0
    for seed in range(40):
        first, second, same, _, ids_a, ids_b = systems(100 + seed, people=100)
        result = compare(
            first, second, same, None, far=0.1, ids_a=ids_a, ids_b=ids_b, draws=100, seed=seed
        )
        inside += result.tar.difference.low <= 0 <= result.tar.difference.high
    assert inside >= 33  # of 40 at 95 %, fewer come by chance once in about a thousand times


def test_the_same_system_twice() -> None:
    first, _, same, folds, ids_a, ids_b = systems(3)
    result = compare(first, 7 * first, same, folds, far=0.05, ids_a=ids_a, ids_b=ids_b, draws=20)
    assert result.mcnemar is not None
    assert (result.mcnemar.first_only, result.mcnemar.second_only, result.mcnemar.p) == (0, 0, 1.0)
    for part in (result.accuracy, result.tar):
        assert part is not None
        assert part.difference == 0.0
        assert -0.01 < part.difference.low < 0 < part.difference.high < 0.01


def test_unresolved_rates_are_left_out() -> None:
    first, second, same, folds, ids_a, ids_b = systems(4)
    result = compare(first, second, same, folds, ids_a=ids_a, ids_b=ids_b, draws=20)
    assert not result.tar.difference.resolved
    assert "TAR" not in str(result)
    assert "McNemar" in str(result)
    without = compare(first, second, same, far=0.05, draws=20)  # by default
    assert without.accuracy is None
    assert without.mcnemar is None
    assert "accuracy" not in repr(without)
    assert "TAR@0.05" in repr(without)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.zeros(9)}, "one for each score"),
        ({"second": np.full(10, np.nan)}, "NaN"),
        ({"same": np.ones(10, bool)}, "10 mated and 0 impostor"),
        ({"far": 0.0}, "above 0"),
        ({"ids_a": ["a"] * 10, "ids_b": ["b", "a"] * 5, "folds": 2}, "identity a is in folds"),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    good = {
        "first": np.arange(10.0),
        "second": np.arange(10.0),
        "same": np.arange(10) % 2 == 1,
        "folds": None,
    }
    with pytest.raises(ArcwiseError, match=message):
        compare(**(good | change))
