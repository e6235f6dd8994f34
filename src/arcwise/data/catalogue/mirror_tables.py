"""Tables of data sets in the local folder that ARCWISE_DATA names, which refer to its images."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from arcwise.data.catalogue import DataSet
from arcwise.data.catalogue.archive_tables import Tables, grocery_table
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write, os_error_reason


def mirror_of(dataset: DataSet) -> Path | None:
    """Return the folder of a data set in the mirror; None if there is no mirror, or it lacks it.

    Raises:
        ArcwiseError: ARCWISE_DATA names no folder.
    """
    value = os.environ.get("ARCWISE_DATA")
    if not value:
        return None
    if not Path(value).is_dir():
        raise ArcwiseError(
            f"ARCWISE_DATA is {value!r}, which is no folder; name the one that holds the data "
            "sets, or unset it to download"
        )
    folder = Path(value).resolve() / dataset.mirror
    return folder if folder.is_dir() else None


def from_mirror(dataset: DataSet, mirror: Path, to: Path) -> Tables:
    """Return the tables of a data set whose images stay in the mirror.

    Those of Omniglot are one array in the mirror; they are written as PNG files into `images.zip`.

    Args:
        dataset: of the catalogue.
        mirror: its folder in the mirror.
        to: the folder of the new tables.

    Raises:
        ArcwiseError: the mirror lacks a file, or a column of one.
    """
    try:
        return _READERS[dataset.name](mirror, to)
    except ArcwiseError:
        raise
    except OSError as problem:
        raise ArcwiseError(f"{problem.filename or mirror}: {os_error_reason(problem)}") from None
    except (KeyError, ValueError, csv.Error, zipfile.BadZipFile) as problem:
        raise ArcwiseError(f"{mirror}: not the {dataset.name} of a mirror ({problem})") from None


def _grocery(mirror: Path, to: Path) -> Tables:
    del to
    classes = {row["class_id"]: row for row in _rows(mirror / "classes.csv")}
    rows = [
        (row["path"], row["class_id"], row["split"], "shop") for row in _rows(mirror / "images.csv")
    ] + [(row["iconic_path"], number, None, "studio") for number, row in classes.items()]
    paths, numbers, official, domains = zip(*rows, strict=True)
    table = grocery_table(
        images=[f"{mirror}/images.zip/{path}" for path in paths],
        names=[classes[number]["class_name"] for number in numbers],
        coarse=[classes[number]["coarse_name"] for number in numbers],
        numbers=numbers,
        domains=domains,
        official=official,
    )
    return table, None


def _omniglot(mirror: Path, to: Path) -> Tables:
    with np.load(mirror / "omniglot.npz", allow_pickle=False) as arrays:
        ink = np.unpackbits(arrays["ink"], axis=2)[:, :, :105]
        names = arrays["char_names"][arrays["char"]].tolist()
        alphabets = arrays["alphabet_names"][arrays["alphabet"]].tolist()
        drawers = arrays["drawer"].tolist()
        sources = arrays["source_id"].tolist()
        splits = np.where(arrays["evaluation"], "test", "train").tolist()
    members = [
        f"{name}/{source:04d}_{drawer:02d}.png"
        for name, source, drawer in zip(names, sources, drawers, strict=True)
    ]
    with atomic_write(to / "images.zip") as part, zipfile.ZipFile(part, "w") as archive:
        for member, image in zip(members, ink, strict=True):
            data = cv2.imencode(".png", 255 * (1 - image))[1].tobytes()
            archive.writestr(zipfile.ZipInfo(member), data)  # dated 1980: the same bytes each time
    columns = {
        "image": [f"images.zip/{member}" for member in members],
        "identity": names,
        "split": splits,
        "superclass": alphabets,
        "drawer": [str(one) for one in drawers],
    }
    return pa.table(columns), None


def _lfw(mirror: Path, to: Path) -> Tables:
    del to
    rows = _rows(mirror / "images.csv")
    where = {row["path"]: f"{mirror}/{row['zip']}/{row['path']}" for row in rows}
    pairs = _rows(mirror / "pairs.csv")
    return pa.table(
        {
            "image": list(where.values()),
            "identity": [row["person"] for row in rows],
            "fold": [row["fold"] for row in rows],
        }
    ), pa.table(
        {
            "a": [where[row["path_a"]] for row in pairs],
            "b": [where[row["path_b"]] for row in pairs],
            "same": [row["same"] for row in pairs],
            "fold": [row["fold"] for row in pairs],
        }
    )


def _fruits(mirror: Path, to: Path) -> Tables:
    del to
    rows = _rows(mirror / "images.csv")
    columns = {
        "image": [f"{mirror}/images.zip/{row['path']}" for row in rows],
        "identity": [row["item"] for row in rows],
        "superclass": [row["fruit"] for row in rows],
        "axis": [row["axis"] for row in rows],
        "view": [row["view"] for row in rows],
    }
    return pa.table(columns), None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


_READERS: dict[str, Callable[[Path, Path], Tables]] = {
    "grocery": _grocery,
    "omniglot": _omniglot,
    "lfw": _lfw,
    "fruits": _fruits,
}
