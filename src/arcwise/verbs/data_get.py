"""Data get: a real data set by its name, out of the local mirror or downloaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from arcwise.data.catalogue import DataSet, find_data_set
from arcwise.data.catalogue.archive_tables import from_download
from arcwise.data.catalogue.fetching import DownloadProgress, fetch
from arcwise.data.catalogue.mirror_tables import from_mirror, mirror_of
from arcwise.data.file_names import MANIFEST
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write, locked, translate_errors

PAIRS = "pairs.csv"
ORIGIN = "ORIGIN.txt"
"""The file that says what the data set is and under which terms; it stays with the data."""

_MADE = ("images.zip", "lfw.zip")
_STEPS = ("", ".part", ".part.from", ".sha256")


@dataclass(frozen=True)
class FetchedDataSet:
    """A data set in its folder; it prints itself.

    Attributes:
        path: the folder, for `open_manifest`.
        images: how many.
        identities: of how many identities.
        source: where the images come from.
    """

    path: Path
    images: int
    identities: int
    source: str

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.images:,} images of {self.identities:,} identities, {self.source}"
        )


def get(
    name: str,
    to: str | os.PathLike[str] | None = None,
    *,
    say: Callable[[str], None] = lambda line: None,
    received: DownloadProgress | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> FetchedDataSet:
    """Fetch the data set of this name into a folder, which `open_manifest` reads.

    A set in the folder that ARCWISE_DATA names is not downloaded: the new folder has tables that
    point there. Otherwise its files are downloaded into the folder, verified, and read in place. A
    folder that holds the whole data set already is verified and left as it is.

    Args:
        name: one of the catalogue.
        to: the folder; of the data set's name when not given.
        say: called with the terms of the data set, before anything is downloaded.
        received: called with how far the download is.
        pause: waits between attempts to download.

    Raises:
        ArcwiseError: the name is unknown, the folder holds something else, or the data cannot be
            had; the message then says which file to fetch by hand, and where to put it.
    """
    dataset = find_data_set(name)
    folder = Path(name if to is None else to)
    say(terms(dataset))
    if (folder / MANIFEST).is_file() and _holds(dataset, folder):
        for file in dataset.files:
            if (folder / file.name).is_file():
                fetch(file, folder)  # which only verifies it
        return _summary(folder, "there already")
    _check_place(dataset, folder)
    mirror = mirror_of(dataset)
    with locked(folder, "getting a data set"), translate_errors(folder):
        source = _fill(folder, dataset, mirror, received, pause)
    return _summary(folder, source)


def _fill(
    folder: Path,
    dataset: DataSet,
    mirror: Path | None,
    received: DownloadProgress | None,
    pause: Callable[[float], None],
) -> str:
    """Fill the folder, and return where the data set comes from."""
    if mirror is not None:
        table, pairs = from_mirror(dataset, mirror, folder)
        source = f"from {mirror} ({dataset.mirrored})"
    else:
        for file in dataset.files:
            if not _used_up(folder, file.name):
                fetch(file, folder, received=received, pause=pause)
        table, pairs = from_download(dataset, folder)
        source = f"from {dataset.origin}"
    _write(folder / ORIGIN, f"{terms(dataset)}\nsource    {source}\n".encode())
    if pairs is not None:
        _write_table(folder / PAIRS, pairs)
    _write_table(folder / MANIFEST, table)  # last: it says that the rest is whole
    return source


def terms(dataset: DataSet) -> str:
    """Return what a user has to know before the download, a line each."""
    return "\n".join(
        (
            f"{dataset.name}: {dataset.about}",
            f"  {dataset.images:,} images of {dataset.identities:,} identities, {dataset.size}",
            f"  licence   {dataset.licence}",
            f"  cite      {dataset.cite}",
            f"  origin    {dataset.origin}",
            *(f"  file      {file.name} from {file.url}" for file in dataset.files),
        )
    )


def _holds(dataset: DataSet, folder: Path) -> bool:
    origin = folder / ORIGIN
    return origin.is_file() and origin.read_bytes().startswith(f"{dataset.name}:".encode())


def _check_place(dataset: DataSet, folder: Path) -> None:
    """Refuse a folder that holds anything but an unfinished download of this data set."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArcwiseError(f"{folder} is a file; name a folder with --to")
    names = (*(file.name for file in dataset.files), *_MADE, ORIGIN, PAIRS, MANIFEST)
    own = {f"{name}{step}" for name in names for step in _STEPS}
    present = sorted(entry.name for entry in folder.iterdir())
    other = [name for name in present if name not in own and not name.startswith(".")]
    if (folder / MANIFEST).is_file():
        other.insert(0, MANIFEST)  # of another data set: `get` has compared ORIGIN.txt
    if other:
        raise ArcwiseError(f"{folder} holds other things ({other[0]}); name a new folder with --to")


def _used_up(folder: Path, name: str) -> bool:
    """Return whether a download was turned into something else already, and removed."""
    return name == "lfw.tgz" and (folder / "lfw.zip").is_file()


def _write_table(place: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    _write(place, sink.getvalue().to_pybytes())


def _write(place: Path, data: bytes) -> None:
    with atomic_write(place) as part:
        part.write_bytes(data)


def _summary(folder: Path, source: str) -> FetchedDataSet:
    manifest = open_manifest(folder)
    return FetchedDataSet(folder, len(manifest), len(manifest.classes), source)
