"""New data sets on disk, each of which appears when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from arcwise.data.writing.folder import NewFolder
from arcwise.data.writing.manifest_tables import as_csv
from arcwise.data.writing.zipped import StoredZip
from arcwise.files import atomic_write


class FileSink(Protocol):
    """A folder or archive to add files to, by relative path."""

    def add(self, path: str, data: bytes) -> None:
        """Write one file."""


@contextmanager
def new_folder(destination: Path) -> Iterator[FileSink]:
    """Yield a new folder to add files to."""
    with atomic_write(destination, overwrite=False) as part:
        part.mkdir()
        yield NewFolder(part)


@contextmanager
def new_zip(destination: Path) -> Iterator[FileSink]:
    """Yield a new uncompressed `.zip` to add files to; the same files give the same bytes."""
    with atomic_write(destination, overwrite=False) as part:
        archive = StoredZip(part)
        try:
            yield archive
            archive.finish()
        finally:
            archive.close()


@contextmanager
def write_table(destination: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that writes one table into a new `.csv` or `.parquet`."""
    with atomic_write(destination, overwrite=False) as part:

        def write(table: pa.Table) -> None:
            if destination.suffix.lower() == ".parquet":
                pq.write_table(table, part)
            else:
                part.write_bytes(as_csv(table))

        yield write
