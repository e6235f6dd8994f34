"""Galleries in temporary folders, and unit vectors to put into them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from arcwise.gallery import NewTemplate, codes, following, matrix, open_gallery

if TYPE_CHECKING:
    from benchmarks.postgres_server import PostgresServer


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


@pytest.fixture
def filled(
    address: str, unit: Callable[..., NDArray[np.float32]]
) -> tuple[str, NDArray[np.float32]]:
    """The address of a gallery with ten people, p0, p1, …, and their vectors (10, 16)."""
    vectors = unit(10)
    with open_gallery(address, create=True, dim=16) as gallery:
        gallery.enrol(
            [
                NewTemplate(f"p{row}", vector, {"row": row}, 0.5, b"image %d" % row)
                for row, vector in enumerate(vectors)
            ]
        )
    return address, vectors


def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small galleries have codes and snapshots."""
    monkeypatch.setattr(matrix, "_CODED", 1)
    monkeypatch.setattr(codes, "WIDTH", 64)
    monkeypatch.setattr(following, "SNAPSHOT_FROM", 1)


NewAddress = Callable[[], str]


@pytest.fixture(params=["embedded", "embedded, as if it were large", "postgres", "milvus"])
def new_address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NewAddress]:
    """A maker of addresses where no gallery is yet, in each of the stores."""
    numbers = itertools.count()
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        yield lambda: server.address(f"contract {next(numbers)}")
        server.drop_galleries()
        return
    if request.param == "milvus":
        server = os.environ.get("ARCWISE_MILVUS")  # such as milvus://127.0.0.1:19530/
        if server:
            run = os.urandom(4).hex()
            yield lambda: f"{server}?gallery=contract-{run}-{next(numbers)}"
            return
        folder = request.getfixturevalue("milvus_folder")
        yield lambda: f"milvus-lite://{folder}?gallery=contract-{next(numbers)}"
        return
    if request.param == "embedded, as if it were large":
        as_if_large(monkeypatch)
    yield lambda: str(tmp_path / f"{next(numbers)}.gallery")
