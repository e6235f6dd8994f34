"""The same images in every form that is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.images import decode
from arcwise.synthetic import render_dataset
from arcwise.verbs.data_convert import convert

FORMS = {
    "folder": "folder",
    "zip": "images.zip",
    "rec": "images.rec",
    "tar shards": "shards/images.tar",
    "parquet": "images.parquet",
}
"""Form → its path in the benchmark's folder."""

SEQUENTIAL = ("rec", "tar shards", "parquet")
IDENTITIES, SHOTS, SIZE = 200, 20, 320


def source(data: Path | None, folder: Path) -> Manifest:
    """Return the manifest of the user's photographs, or of rendered ones."""
    place = data or folder / "rendered"
    if not data and not (place / "manifest.csv").exists():
        render_dataset(place, IDENTITIES, shots=SHOTS - 1, size=SIZE)
    manifest = open_manifest(place)
    return replace(manifest, table=manifest.table.select(["image", "identity"]))


def about(images: Manifest) -> str:
    """Return the number and the median size of the images, in words."""
    some = range(0, len(images), max(len(images) // 200, 1))
    files = [images.read(row) for row in some]
    height, width = np.median([decode(data, "").shape[:2] for data in files], axis=0)
    size = np.median([len(data) for data in files])
    return (
        f"{len(images):,} images of {images.name}, median {width:.0f} x {height:.0f} "
        f"pixels and {size / 1000:.1f} kB"
    )


def written(images: Manifest, folder: Path, form: str) -> Path:
    """Return the path of the images in this form; they are converted the first time."""
    place = folder / FORMS[form]
    done = place.with_name(f"{place.name}.done")
    if not done.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        convert(images, f"{place}/" if form == "folder" else place)
        done.write_text(images.fingerprint())
    if done.read_text() != images.fingerprint():
        raise SystemExit(f"{folder} holds other images; remove it, or name another --folder")
    return place
