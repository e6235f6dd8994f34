"""Means over seeds and identities: the variance of a linear metric is that of a two-way table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from arcwise.evaluation.crossed_variance import (
    CrossedMean,
    crossed_difference,
    crossed_mean,
    holm,
)

HALF = CrossedMean(0.5, 0.01, 10, 20)


def of_table(table: np.ndarray) -> CrossedMean:
    """The mean of (S, I) numbers, which is a linear metric of the identities."""
    identities = table.shape[1]
    total = table.sum(axis=1, keepdims=True)
    return crossed_mean(table.mean(axis=1), (total - table) / (identities - 1))


def tables(count: int, seeds: int, identities: int, parts: tuple[float, ...]) -> np.ndarray:
    """(N, S, I) sums of a part of each identity, each seed, and each cell."""
    rng = np.random.default_rng(11)
    of_identity, of_seed, of_cell = parts
    table = of_identity * rng.normal(size=(count, 1, identities))
    table = table + of_seed * rng.normal(size=(count, seeds, 1))
    return table + of_cell * rng.normal(size=(count, seeds, identities))


@pytest.mark.parametrize("parts", [(1.0, 0.3, 0.5), (0.2, 1.0, 0.5), (1.0, 0.0, 0.5)])
def test_variance_is_that_of_the_two_way_table(parts: tuple[float, ...]) -> None:
    for table in tables(5, 4, 9, parts):
        seeds, identities = table.shape
        grand, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
        by_seed = identities * sum((r - grand) ** 2 for r in rows) / (seeds - 1)
        by_identity = seeds * sum((c - grand) ** 2 for c in columns) / (identities - 1)
        rest = sum(
            (table[s, i] - rows[s] - columns[i] + grand) ** 2
            for s in range(seeds)
            for i in range(identities)
        ) / ((seeds - 1) * (identities - 1))
        result = of_table(table)
        expected = (by_identity + max(0.0, by_seed - rest)) / (seeds * identities)
        assert result.value == pytest.approx(grand)
        assert result.variance == pytest.approx(expected)


def test_one_seed_is_a_t_test_over_identities() -> None:
    table = 0.15 + 0.3 * np.array([[1, -1, 1, -1, 1, -1, 1, 1, 1, -1.0]])  # no long tail
    result = of_table(table)
    expected = stats.ttest_1samp(table[0], 0.0)
    assert result.freedom == pytest.approx(9)
    _, p = crossed_difference(HALF, HALF, result, 0.95, True)
    assert p == pytest.approx(expected.pvalue, rel=0.01)  # not quite: one identity is added


def test_long_tails_cost_degrees_of_freedom() -> None:
    spike = np.zeros((1, 20))
    spike[0, 3] = 1.0
    assert 2 < of_table(spike).freedom < 3


@pytest.mark.parametrize("parts", [(1.0, 0.2, 0.5), (0.3, 0.5, 0.3)])
def test_p_is_uniform_without_a_difference(parts: tuple[float, ...]) -> None:
    p = np.array(
        [
            crossed_difference(HALF, HALF, of_table(0.1 * table), 0.95, True)[1]
            for table in tables(400, 5, 20, parts)
        ]
    )
    assert 0.02 <= np.mean(p < 0.05) <= 0.08
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_interval_and_p_agree() -> None:
    for table in tables(20, 3, 10, (1.0, 0.3, 0.3)):
        result = of_table(0.1 * table)
        rate, p = crossed_difference(HALF, HALF, result, 0.95, True)
        assert (rate.low <= 0 <= rate.high) == (p >= 0.05)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_perfect_mean_has_an_interval(value: float) -> None:
    few, many = (of_table(np.full((3, n), value)).rate(0.95) for n in (8, 80))
    assert 0.1 < few.high - few.low < 0.3
    assert 0 < many.high - many.low < 0.03
    assert value in (few.low, few.high)


def test_the_added_identity_vanishes_in_the_middle() -> None:
    table = 0.5 + 0.2 * tables(1, 5, 40, (1.0, 0.1, 0.3))[0]
    result = of_table(table)
    rate, half = result.rate(0.95), result.quantile(0.95) * np.sqrt(result.variance)
    assert rate.high - rate.low == pytest.approx(2 * half, rel=0.05)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.5])) == pytest.approx([1.0, 1.0])
    assert len(holm(np.empty(0))) == 0
