"""Galleries in temporary folders, and unit vectors to put into them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from arcwise.gallery import codes, following, matrix


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.gallery"


@pytest.fixture
def unit() -> Callable[..., NDArray[np.float32]]:
    """A maker of vectors (n, dim), float32, of length 1."""

    def make(n: int, dim: int = 16, seed: int = 0) -> NDArray[np.float32]:
        vectors = np.random.default_rng(seed).normal(size=(n, dim))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return make


def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small galleries have codes and snapshots."""
    monkeypatch.setattr(matrix, "_CODED", 1)
    monkeypatch.setattr(codes, "WIDTH", 64)
    monkeypatch.setattr(following, "SNAPSHOT_FROM", 1)


NewAddress = Callable[[], str]


@pytest.fixture(params=["embedded", "embedded, as if it were large"])
def new_address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> NewAddress:
    """A maker of addresses where no gallery is yet, in each of the stores."""
    if request.param == "embedded, as if it were large":
        as_if_large(monkeypatch)
    numbers = itertools.count()
    return lambda: str(tmp_path / f"{next(numbers)}.gallery")
