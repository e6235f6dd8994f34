"""Real embeddings with published measurements, and vectors whose cosines tie exactly."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def halves() -> np.ndarray:
    """(16, 4) unit vectors whose cosines are exactly -1, -0.5, 0, 0.5 or 1: all ties are real."""
    return np.array(list(itertools.product([-0.5, 0.5], repeat=4)), dtype=np.float32)


@pytest.fixture(scope="session")
def lfw(data_dir: Path) -> dict[str, np.ndarray]:
    """The published network's LFW embeddings: unit (N, 128), person (N,), path (N,)."""
    file = data_dir / "features" / "lfw_mobilefacenet.npz"
    if not file.exists():
        pytest.skip(f"real data: {file.name} is not there")
    with np.load(file) as stored:
        vectors = stored["feature"].astype(np.float32)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return {"unit": unit, "person": stored["person"], "path": stored["path"]}
