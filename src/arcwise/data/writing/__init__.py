"""Data sets on disk: written beside their place, and renamed into it when they are whole."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from arcwise.data.names import MANIFEST
from arcwise.errors import ArcwiseError


class Target(Protocol):
    """Something that takes files by relative path."""

    def add(self, path: str, data: bytes) -> None:
        """Writes one file."""


@contextmanager
def beside(destination: Path) -> Iterator[Path]:
    """A path next to the destination that becomes it, unless something goes wrong.

    Raises:
        ArcwiseError: the destination exists (nothing is overwritten), or cannot be written.
    """
    if os.path.lexists(destination):
        raise ArcwiseError(f"{destination} exists; name another place, or remove it first")
    partial = destination.with_name(f".{destination.name}.{os.getpid()}.partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if os.path.lexists(destination):
            raise ArcwiseError(f"{destination} was written by another while this was under way")
        os.rename(partial, destination)
    except OSError as problem:
        raise ArcwiseError(f"{destination} cannot be written: {problem.strerror}") from problem
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        elif partial.exists():
            partial.unlink()


@contextmanager
def new_folder(destination: Path) -> Iterator[Target]:
    """A folder to add files to."""
    with beside(destination) as partial:
        partial.mkdir()
        yield _Folder(partial)


@contextmanager
def new_zip(destination: Path) -> Iterator[Target]:
    """An uncompressed `.zip` to add files to; the same files give the same bytes."""
    with beside(destination) as partial, zipfile.ZipFile(partial, "x") as file:
        yield _Zip(file)


@contextmanager
def write_table(destination: Path) -> Iterator[Callable[[pa.Table], None]]:
    """A function that writes one table into a `.csv` or `.parquet`."""
    with beside(destination) as partial:
        if destination.suffix.lower() == ".parquet":
            yield lambda table: pq.write_table(table, partial)
        else:
            yield lambda table: pacsv.write_csv(_flat(table), partial)


def add_manifest(files: Target, table: pa.Table, images: list[str]) -> None:
    """Adds the `manifest.csv` that describes the files: the table, with these as its images."""
    column = table.column_names.index("image")
    sink = pa.BufferOutputStream()
    pacsv.write_csv(_flat(table.set_column(column, "image", pa.array(images, pa.string()))), sink)
    files.add(MANIFEST, sink.getvalue().to_pybytes())


def _flat(table: pa.Table) -> pa.Table:
    """Lists as text, numbers with blanks between, as the reader takes them."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            rows = table.column(index).to_pylist()
            texts = [None if row is None else " ".join(map(str, row)) for row in rows]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    return table


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, path: str, data: bytes) -> None:
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "xb") as file:  # never over another one
            file.write(data)


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def add(self, path: str, data: bytes) -> None:
        self._file.writestr(zipfile.ZipInfo(path), data)  # dated 1980, whenever it is written
