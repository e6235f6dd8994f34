"""Compiled loops for what stands between the products of matrices on a CPU.

Each reads its operands once, where a chain of tensor operations reads them once an operation. They
run on one thread, and so are for machines of few.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LOWEST = np.float32(-87.0)
"""Logits this far under the maximum weigh nothing: e^-88 has lost digits in float32."""

_SUMMED = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, nogil=True, fastmath={"contract"})
def _exp(z: np.float32) -> np.float32:
    """Return e^z for -87 ≤ z < 88 within two units of the last place, as Cephes' expf does."""
    k = np.floor(z * np.float32(1.44269504) + np.float32(0.5))
    r = z - k * np.float32(0.693359375)
    r = r - k * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * (r * r) + r + np.float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << 23).view(np.float32)


@njit(cache=True, nogil=True, fastmath=_SUMMED)
def exponentials(
    products: np.ndarray, inverse: np.ndarray, scale: np.float32, maximum: np.ndarray,
    total: np.ndarray,
) -> None:  # fmt: skip
    """Turn products with the centres into exponentials of logits, in place.

    The logits are (n, R) `products` times (R,) `inverse` times `scale`, less (n,) `maximum`. The
    sums of their exponentials are added to (n,) `total`, float64. -inf becomes 0, NaN stays NaN.
    """
    for i in range(products.shape[0]):
        row, top, row_sum = products[i], maximum[i], np.float32(0.0)
        for j in range(len(row)):
            z = row[j] * inverse[j] * scale - top
            e = _exp(z if z > LOWEST else LOWEST)
            e = e if z > LOWEST else np.float32(0.0)
            e = e if z == z else z  # noqa: PLR0124 - NaN
            row_sum += e
            row[j] = e
        total[i] += row_sum


@njit(cache=True, nogil=True, fastmath=_SUMMED)
def step(
    sums: np.ndarray, centres: np.ndarray, velocity: np.ndarray, inverse: np.ndarray,
    multiple: np.float32, lr: np.float32, momentum: np.float32, decay: np.float32,
    nesterov: bool, sphere: bool,
) -> None:  # fmt: skip
    """Move centres by a step of SGD, in place, from (R, D) sums over the samples.

    The gradient is multiple · (h - ⟨h, w⟩ inverse² · w) and is not stored. `Rule` explains the
    other numbers. Without momentum `velocity` is empty.
    """
    for r in range(sums.shape[0]):
        h, w = sums[r], centres[r]
        along = np.float32(0.0)
        for d in range(len(w)):
            along += h[d] * w[d]
        along_centre = decay - multiple * along * inverse[r] * inverse[r]
        if momentum > 0:
            v = velocity[r]
            velocity_factor = momentum if nesterov else np.float32(1.0)
            gradient_factor = np.float32(1.0) if nesterov else np.float32(0.0)
            for d in range(len(w)):
                g = multiple * h[d] + along_centre * w[d]
                v[d] = momentum * v[d] + g
                w[d] -= lr * (gradient_factor * g + velocity_factor * v[d])
        else:
            for d in range(len(w)):
                w[d] -= lr * (multiple * h[d] + along_centre * w[d])
        if sphere:
            square = np.float32(0.0)
            for d in range(len(w)):
                square += w[d] * w[d]
            if square > 0:
                factor = np.float32(1.0) / np.sqrt(square)
                for d in range(len(w)):
                    w[d] *= factor
