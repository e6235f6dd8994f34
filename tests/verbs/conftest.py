from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.data.manifest import Manifest
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.verbs.enrol import enrol


class Shop(NamedTuple):
    """A gallery of studio images of every second new product, and its model."""

    gallery: Path
    model: Path
    catalogue: Manifest
    photos: Manifest


def threshold(far: float, similarity: float, *, resolved: bool = True) -> Threshold:
    ends = (similarity, similarity)
    return Threshold(
        far, similarity, *ends, resolved, 1000, 10, far / 2, 2 * far, 0.5, 0.9, 0.8, 1.0
    )


def search_threshold(
    fpir: float,
    gallery: int,
    similarity: float,
    *,
    templates: int | None = 1,
    resolved: bool = True,
    found: float | None = 0.9,
) -> SearchThreshold:
    return SearchThreshold(
        fpir=fpir,
        gallery=gallery,
        templates=templates,
        threshold=similarity,
        low=similarity,
        high=similarity,
        fpir_low=fpir / 2,
        fpir_high=2 * fpir,
        resolved=resolved,
        probes=1000,
        identities=20,
        dir=found,
        dir_low=None if found is None else found / 2,
        dir_high=None if found is None else 1.0,
    )


@pytest.fixture(scope="session")
def model(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with thresholds that accept everything or next to nothing."""
    folder = tmp_path_factory.mktemp("thresholds") / "model"
    shutil.copytree(served, folder)
    chosen = (threshold(0.1, -1.0), threshold(0.001, 0.9999), threshold(1e-4, 1.0, resolved=False))
    used = read_bundle(served).digests["calibrate"]
    add_thresholds(folder, chosen, measured_on="nothing", digests=used)
    return folder


@pytest.fixture(scope="session")
def stock(new: Manifest, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop to look at, not to change."""
    studio = np.array(new.column("domain")) == "studio"
    catalogue = new.select(np.flatnonzero(studio & (new.labels % 2 == 0)))
    photos = new.select(np.flatnonzero(~studio))
    gallery = tmp_path_factory.mktemp("stock") / "shop.gallery"
    enrol(gallery, catalogue, model=model)
    return Shop(gallery, model, catalogue, photos)


@pytest.fixture
def shop(stock: Shop, tmp_path: Path) -> Shop:
    """A shop of one's own; the model's folder, too, may be changed."""
    gallery, folder = tmp_path / "shop.gallery", tmp_path / "model"
    shutil.copytree(stock.model, folder)
    enrol(gallery, stock.catalogue, model=folder)
    return stock._replace(gallery=gallery, model=folder)


@pytest.fixture
def retrained(stock: Shop, tmp_path: Path) -> Path:
    """A model of the same architecture and other weights."""
    from torch import manual_seed

    from arcwise import encoders

    manual_seed(1)
    loaded = runtime.load(stock.model)
    size = (loaded.preparation.height, loaded.preparation.width)
    encoder = encoders.create("small", dim=loaded.dim, size=size)
    runtime.save(tmp_path / "retrained", encoder, loaded.preparation)
    return tmp_path / "retrained"
