"""Data sets on disk: written beside their place, and renamed into it when they are whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from arcwise.data.manifest import Manifest
from arcwise.data.writing.folder import NewFolder
from arcwise.data.writing.stored import StoredZip
from arcwise.data.writing.tables import as_csv
from arcwise.data.writing.writer import Writer
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write

WRITERS = {
    "": "folder.FolderWriter",
    ".zip": "zipped.ZipWriter",
    ".rec": "records.RecordWriter",
    ".tar": "shards.ShardWriter",
    ".parquet": "parquet.ParquetWriter",
    ".bin": "pack.PackWriter",
}
"""Ending of a destination → what copies pictures into one."""


class Target(Protocol):
    """Something that takes files by relative path."""

    def add(self, path: str, data: bytes) -> None:
        """Writes one file."""


def new_writer(ending: str, folder: Path, name: str, manifest: Manifest) -> Writer:
    """What copies the pictures of a manifest into a data set of this ending."""
    module, _, writer = WRITERS[ending].partition(".")
    made = getattr(import_module(f"{__name__}.{module}"), writer)
    return made(folder, name, manifest)


def refuse_existing(*places: Path) -> None:
    """Nothing, if there is nothing at these places.

    Raises:
        ArcwiseError: there is something; nothing is overwritten.
    """
    for place in places:
        if os.path.lexists(place):
            raise ArcwiseError(f"{place} exists; name another place, or remove it first")


@contextmanager
def new_folder(destination: Path) -> Iterator[Target]:
    """A folder to add files to."""
    with atomic_write(destination, overwrite=False) as partial:
        partial.mkdir()
        yield NewFolder(partial)


@contextmanager
def new_zip(destination: Path) -> Iterator[Target]:
    """An uncompressed `.zip` to add files to; the same files give the same bytes."""
    with atomic_write(destination, overwrite=False) as partial:
        archive = StoredZip(partial)
        try:
            yield archive
            archive.finish()
        finally:
            archive.close()


@contextmanager
def write_table(destination: Path) -> Iterator[Callable[[pa.Table], None]]:
    """A function that writes one table into a `.csv` or `.parquet`."""
    with atomic_write(destination, overwrite=False) as partial:
        if destination.suffix.lower() == ".parquet":
            yield lambda table: pq.write_table(table, partial)
        else:
            yield lambda table: _put(partial, as_csv(table))


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)
