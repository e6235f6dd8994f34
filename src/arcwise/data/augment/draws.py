"""Random numbers by name: each is a hash of its view's key and its own name, and of nothing else.

A view therefore does not depend on the other views of its batch, on their order, on the number of
processes or on the device. Turning an operation on changes the numbers of no other operation.
The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys = NDArray[np.uint64]

_WORD = 2**64 - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def view_keys(seed: int, step: int, positions: ArrayLike) -> Keys:
    """Return (N,) keys of the views at these positions of a step's batch."""
    start = np.array([seed & _WORD], np.uint64)
    of_step = _mixed(_mixed(start) ^ np.array([step], np.uint64))
    return _mixed(of_step ^ np.asarray(positions).astype(np.uint64))


def uniform(keys: Keys, name: str, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
    """Return (N,) numbers of that name, evenly spread from low to high."""
    words = _mixed(keys ^ _mixed(np.array([crc32(name.encode())], np.uint64)))
    return low + (high - low) * ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def chosen(keys: Keys, name: str, probability: float) -> NDArray[np.int64]:
    """Return the positions of the views that the operation of that name is applied to."""
    return np.flatnonzero(uniform(keys, name) < probability)


def _mixed(words: Keys) -> Keys:
    words = words + _GOLDEN
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
