"""Sparse matrices of probabilities: chosen, weighted and multiplied in compiled loops.

Entries are stored sample by sample: those of sample i are columns[starts[i]:starts[i + 1]] and the
values in the same places. A product with a dense matrix adds a row for every entry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


@_compiled
def at_least(
    values: np.ndarray, least: np.ndarray, column_random: np.ndarray, row_random: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts (n + 1,), columns (E,) and values (E,) of the values of at least (n,) `least`.

    With (B,) `column_random` and (n,) `row_random`, numbers in [0, 1), a value survives if it
    reaches the fraction frac(column_random + row_random) of `least`, and counts as `least` at
    least. One below it survives with chance value/least, which is right on average. Without any
    `column_random` the fraction is 1.
    """
    n, wide = values.shape
    chance = len(column_random) > 0
    starts = np.zeros(n + 1, np.int32)
    for i in range(n):
        count = 0
        if chance:
            for j in range(wide):
                fraction = column_random[j] + row_random[i]
                fraction -= np.float32(fraction >= 1)
                count += values[i, j] >= fraction * least[i]
        else:
            for j in range(wide):
                count += values[i, j] >= least[i]
        starts[i + 1] = starts[i] + count
    columns = np.empty(starts[n], np.int32)
    kept = np.empty(starts[n], values.dtype)
    for i in range(n):
        at = starts[i]
        for j in range(wide):
            threshold = least[i]
            if chance:
                fraction = column_random[j] + row_random[i]
                threshold *= fraction - np.float32(fraction >= 1)
            if values[i, j] >= threshold:
                columns[at] = j
                kept[at] = max(values[i, j], least[i]) if chance else values[i, j]
                at += 1
    return starts, columns, kept


@_compiled
def prune(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, derivatives: np.ndarray,
    least: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return the entries whose value is at least (n,) `least`, with any (E,) derivatives."""
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
    derivatives = derivatives[some] if len(derivatives) > 0 else derivatives
    return first, columns[some], values[some], derivatives


@_compiled
def settle(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, derivatives: np.ndarray,
    factor: np.ndarray, tau: float, chance: np.ndarray, inverse: np.ndarray, certain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Weight the entries whose probability, value times (n,) factor, is at least `tau`.

    With (E,) `chance`, numbers in [0, 1), one of probability p < τ survives as τ if chance < p/τ.

    Returns:
        Starts, columns, and weights: the probabilities times (R,) `inverse` and, where there are
        any, (E,) `derivatives`. Probabilities of at least τ are added to (n,) `certain`.
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
            weights[at] = p * inverse[columns[e]] * (derivatives[e] if len(derivatives) > 0 else 1)
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
