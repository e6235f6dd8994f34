"""Matrices of which few entries are kept: found, weighed and multiplied in compiled loops.

Entries are kept sample by sample: those of sample i are columns[starts[i]:starts[i + 1]] and the
values beside them. Products of such a matrix with a dense one are a row added for every entry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


@_compiled
def at_least(
    values: np.ndarray, least: np.ndarray, turn: np.ndarray, fate: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts (n + 1,), columns (E,) and values (E,) of the (n, B) values of at least (n,) `least`.

    With (B,) `turn` and (n,) `fate`, numbers in [0, 1), a value survives if it reaches the share
    frac(turn + fate) of `least`, and counts as `least` at least: one below it survives with chance
    value/least, which is right on average. Without any `turn` the share is 1.
    """
    n, wide = values.shape
    chance = len(turn) > 0
    starts = np.zeros(n + 1, np.int32)
    for i in range(n):
        count = 0
        if chance:
            for j in range(wide):
                share = turn[j] + fate[i]
                share -= np.float32(share >= 1)
                count += values[i, j] >= share * least[i]
        else:
            for j in range(wide):
                count += values[i, j] >= least[i]
        starts[i + 1] = starts[i] + count
    columns = np.empty(starts[n], np.int32)
    kept = np.empty(starts[n], values.dtype)
    for i in range(n):
        at = starts[i]
        for j in range(wide):
            share = least[i]
            if chance:
                part = turn[j] + fate[i]
                share *= part - np.float32(part >= 1)
            if values[i, j] >= share:
                columns[at] = j
                kept[at] = max(values[i, j], least[i]) if chance else values[i, j]
                at += 1
    return starts, columns, kept


@_compiled
def prune(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, slopes: np.ndarray,
    least: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Those of the entries whose value is at least (n,) `least`; with (E,) slopes, theirs."""
    first = np.zeros_like(starts)
    kept = np.empty(len(columns), np.int32)
    at = 0
    for i in range(len(starts) - 1):
        for e in range(starts[i], starts[i + 1]):
            if values[e] >= least[i]:
                kept[at] = e
                at += 1
        first[i + 1] = at
    some = kept[:at]
    return first, columns[some], values[some], slopes[some] if len(slopes) > 0 else slopes


@_compiled
def settle(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, slopes: np.ndarray,
    factor: np.ndarray, tau: float, chance: np.ndarray, inverse: np.ndarray, certain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The entries whose probability, value times (n,) factor, is at least `tau`, weighed.

    With (E,) `chance`, numbers in [0, 1), one of probability p < τ survives as τ if chance < p/τ.

    Returns:
        Starts, columns, and weights: the probabilities times (R,) `inverse` and, where there are
        any, (E,) `slopes`. What is certain, p of at least τ, is added to (n,) `certain`.
    """
    n = len(starts) - 1
    first = np.zeros(n + 1, np.int32)
    kept = np.empty(len(columns), np.int32)
    weights = np.empty(len(columns), values.dtype)
    at = 0
    for i in range(n):
        for e in range(starts[i], starts[i + 1]):
            p = values[e] * factor[i]
            if p >= tau:
                certain[i] += p
            elif len(chance) > 0 and chance[e] * tau < p:
                p = tau
            else:
                continue
            kept[at] = columns[e]
            weights[at] = p * inverse[columns[e]] * (slopes[e] if len(slopes) > 0 else 1)
            at += 1
        first[i + 1] = at
    return first, kept[:at].copy(), weights[:at].copy()


@_compiled
def add_product(
    starts: np.ndarray, columns: np.ndarray, weights: np.ndarray, dense: np.ndarray, out: np.ndarray
) -> None:
    """Add the (n, R) matrix times (R, D) `dense` to (n, D) `out`."""
    for i in range(len(starts) - 1):
        row = out[i]
        for e in range(starts[i], starts[i + 1]):
            weight, other = weights[e], dense[columns[e]]
            for d in range(len(row)):
                row[d] += weight * other[d]


@_compiled
def add_transposed_product(
    starts: np.ndarray, columns: np.ndarray, weights: np.ndarray, dense: np.ndarray, out: np.ndarray
) -> None:
    """Add the transpose of the (n, R) matrix times (n, D) `dense` to (R, D) `out`."""
    for i in range(len(starts) - 1):
        other = dense[i]
        for e in range(starts[i], starts[i + 1]):
            weight, row = weights[e], out[columns[e]]
            for d in range(len(row)):
                row[d] += weight * other[d]
