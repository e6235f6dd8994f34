"""The same pictures in every form that is measured."""

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
    "zip": "pictures.zip",
    "rec": "pictures.rec",
    "tar shards": "shards/pictures.tar",
    "parquet": "pictures.parquet",
}
"""Form → where it lies in the benchmark's folder."""

SEQUENTIAL = ("rec", "tar shards", "parquet")
IDENTITIES, SHOTS, SIZE = 200, 20, 320


def source(data: Path | None, folder: Path) -> Manifest:
    """The user's photographs, or rendered ones."""
    place = data or folder / "rendered"
    if not data and not (place / "manifest.csv").exists():
        render_dataset(place, IDENTITIES, shots=SHOTS - 1, size=SIZE)
    found = open_manifest(place)
    return replace(found, table=found.table.select(["image", "identity"]))


def about(pictures: Manifest) -> str:
    """How many, and how large in the middle."""
    some = range(0, len(pictures), max(len(pictures) // 200, 1))
    files = [pictures.read(row) for row in some]
    height, width = np.median([decode(data, "").shape[:2] for data in files], axis=0)
    size = np.median([len(data) for data in files])
    return (
        f"{len(pictures):,} pictures of {pictures.name}, in the middle {width:.0f} x {height:.0f} "
        f"pixels and {size / 1000:.1f} kB"
    )


def written(pictures: Manifest, folder: Path, form: str) -> Path:
    """Where the pictures lie in this form; they are converted to it the first time."""
    place = folder / FORMS[form]
    done = place.with_name(f"{place.name}.done")
    if not done.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        convert(pictures, f"{place}/" if form == "folder" else place)
        done.write_text(pictures.fingerprint())
    if done.read_text() != pictures.fingerprint():
        raise SystemExit(f"{folder} holds other pictures; remove it, or name another --folder")
    return place
