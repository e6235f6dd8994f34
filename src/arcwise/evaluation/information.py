"""What one partition says about another, in nats: entropy, mutual information, and by chance."""

from __future__ import annotations

import numpy as np

_PAIRS = 2**20  # of sizes looked at together
_NOTHING = 1e-30  # beside the most frequent count, also after a billion pictures


def entropy(sizes: np.ndarray) -> float:
    """Return the entropy of a partition into parts of these sizes, (K,)."""
    share = sizes / sizes.sum()
    return float(-(share * np.log(share)).sum())


def mutual_information(count: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Return the mutual information of two partitions of N.

    Args:
        count: (E,) sizes of the parts' intersections, those that are not empty.
        row: (E,) size of the part of the one partition that each lies in.
        column: (E,) the same of the other.
    """
    total = float(count.sum())
    gain = count / total * np.log(count * total / (row.astype(np.float64) * column))
    return max(0.0, float(gain.sum()))


def expected_information(rows: np.ndarray, columns: np.ndarray) -> float:
    """Return the mean mutual information of random partitions into parts of given sizes.

    Vinh, Epps and Bailey, JMLR 11, 2010, equation 24a. Exact in float64 for any N: counts that
    weigh less than rounding are passed over, and no factorial is formed.

    Args:
        rows: (I,) sizes of the one partition's parts, N in all.
        columns: (K,) sizes of the other's.
    """
    total = int(rows.sum())
    first, first_times = np.unique(rows, return_counts=True)
    second, second_times = np.unique(columns, return_counts=True)
    found = 0.0
    step = max(1, _PAIRS // len(second))
    for start in range(0, len(first), step):
        part = slice(start, start + step)
        a = np.repeat(first[part], len(second))
        b = np.tile(second, len(first[part]))
        times = np.outer(first_times[part], second_times).ravel()
        found += float(times @ _expected_gain(a, b, total))
    return found


def _expected_gain(a: np.ndarray, b: np.ndarray, total: int) -> np.ndarray:
    """Return (E,) means of n/N log(N n / (a b)), n being how much of a and of b is common.

    n is hypergeometric: from the most frequent n outwards each probability follows from the one
    before, and their sum makes up for not knowing the first.
    """
    mode = (a + 1) * (b + 1) // (total + 2)
    mass = np.ones(len(a))
    gain = _gain(mode.astype(np.float64), a, b, total)
    for upwards in (True, False):
        place = np.arange(len(a))
        n, weight = mode.astype(np.float64), np.ones(len(a))
        while len(place):
            x, y = a[place] - n, b[place] - n  # of each alone
            neither = total - n - x - y
            if upwards:
                weight = weight * (x * y / ((n + 1) * (neither + 1)))
                n = n + 1
            else:
                weight = weight * (n * neither / ((x + 1) * (y + 1)))
                n = n - 1
            counts = weight > _NOTHING
            place, n, weight = place[counts], n[counts], weight[counts]
            mass[place] += weight
            gain[place] += weight * _gain(n, a[place], b[place], total)
    return gain / mass


def _gain(n: np.ndarray, a: np.ndarray, b: np.ndarray, total: int) -> np.ndarray:
    """Return (E,) what a common part of n adds to the mutual information."""
    return n / total * np.log(np.maximum(n, 1) * total / (a.astype(np.float64) * b))
