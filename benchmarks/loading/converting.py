"""Converting one container into another, compared with copying the file, both to the disk."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.verbs.data_convert import convert

from .forms import written
from .process import Running

BYTES = 300e6
WAYS = (
    ("rec", "x.tar"), ("tar shards", "x.rec"), ("zip", "x.rec"), ("rec", "x.parquet"),
    ("parquet", "x.tar"), ("zip", "x.zip"),
)  # fmt: skip


def measure(images: Manifest, folder: Path, rounds: int, _: int) -> list[dict[str, Any]]:
    """Return a row per conversion: bytes per second of the source for both, and their ratio."""
    size = np.median([len(images.read(row)) for row in range(0, len(images), 50)])
    times = -(-int(BYTES / size) // len(images))
    many = images.select(np.tile(np.arange(len(images)), times))
    rows = []
    for form, target in WAYS:
        source = written(many, folder / "many", form)
        rates = []
        for _round in range(rounds):
            place = str(folder / "converted")
            rates.append(
                Running(job, [0, 1], source=str(source), place=place, name=target).result()
            )
        rows.append(
            {
                "line": f"{form} → {target[1:]}",
                "copied": statistics.median(one["copied"] for one in rates),
                "converted": statistics.median(one["converted"] for one in rates),
                "ratio": statistics.median(one["converted"] / one["copied"] for one in rates),
            }
        )
    return rows


def job(source: str, place: str, name: str) -> dict[str, float]:
    """Return the bytes per second of the source, copied and converted."""
    folder = Path(place)
    shutil.rmtree(folder, ignore_errors=True)
    convert(open_manifest(source).select(range(10)), folder / name)  # loads the libraries
    whole = Path(source)
    files = [whole] if whole.is_file() else sorted(whole.parent.glob(f"{whole.stem}-*.tar"))
    size = sum(path.stat().st_size for path in files)
    rates = {}
    for way in ("copied", "converted"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.sync()
        began = time.perf_counter()
        if way == "copied":
            for path in files:
                shutil.copyfile(path, folder / path.name)
        else:
            convert(open_manifest(source), folder / name)
        os.sync()
        rates[way] = size / (time.perf_counter() - began)
    shutil.rmtree(folder)
    return rates
