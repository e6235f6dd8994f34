"""Small data sets of vectors for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest
from arcwise.protocols.template_set import TemplateSet, template_set, with_names

DIM = 8


def manifest(**columns: list[object]) -> Manifest:
    """A manifest of rows with these columns."""
    return Manifest(pa.table(columns), Path(), "set")


def templates(**columns: list[object]) -> TemplateSet:
    """The templates of such a manifest."""
    return template_set(with_names(manifest(**columns)))


def people(count: int, each: int) -> list[object]:
    """`each` rows of so many identities."""
    return [f"p{number:02d}" for number in range(count) for _ in range(each)]


def vectors(ids: list[object], seed: int = 0, noise: float = 0.6) -> np.ndarray:
    """(N, D) unit vectors around one direction for each identity."""
    rng = np.random.default_rng(seed)
    names, codes = np.unique([str(one) for one in ids], return_inverse=True)
    centres = rng.normal(size=(len(names), DIM))
    drawn = centres[codes] + noise * rng.normal(size=(len(codes), DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
