"""Data sets of vectors, made up where a test wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest
from arcwise.protocols.layout import Layout, layout, named

DIM = 8


def manifest(**columns: list[object]) -> Manifest:
    """A manifest of rows with these columns."""
    return Manifest(pa.table(columns), Path(), "set")


def items(**columns: list[object]) -> Layout:
    """The items of such a manifest."""
    return layout(named(manifest(**columns)))


def people(count: int, each: int) -> list[object]:
    """`each` rows of so many identities."""
    return [f"p{number:02d}" for number in range(count) for _ in range(each)]


def vectors(ids: list[object], seed: int = 0, noise: float = 0.6) -> np.ndarray:
    """(N, D) unit vectors around one direction for each identity."""
    rng = np.random.default_rng(seed)
    names, codes = np.unique([str(one) for one in ids], return_inverse=True)
    centres = rng.normal(size=(len(names), DIM))
    found = centres[codes] + noise * rng.normal(size=(len(codes), DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
