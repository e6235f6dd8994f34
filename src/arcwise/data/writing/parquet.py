"""Images → one Parquet file that holds them, after the convention of Hugging Face data sets."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arcwise.data.containers.parquet import each, open_table
from arcwise.data.file_names import with_ending
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError

GROUP_BYTES = 2**20
"""A row group is written when its images have this many bytes: what a random access reads."""

_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_LONGEST_GROUP = 2**14  # rows
_FEATURES = json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})


class ParquetWriter:
    """`image` (a struct of bytes and path), and the other columns with their types.

    A Parquet file can be read once it is closed. `close` before `finish` closes the unfinished
    file, and `resume` copies its images. After a kill or a full disk it starts over, or from an
    earlier unfinished file.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._path = folder / name
        self._piece = folder / f"{name}.piece"
        self._rows_path = folder / f"{name}.rows"  # those in either, which begin alike
        self._table = manifest.table
        self._schema = _schema(manifest.table.schema)
        self._file: pq.ParquetWriter | None = None
        self._rows = array("q")
        self._waiting: list[bytes] = []  # the last of the rows, not written yet
        self._bytes = 0

    def resume(self) -> int:
        """Return the row after the last one in a closed piece."""
        if self._rows_in(self._path):
            self._path.replace(self._piece)
        rows = self._rows_in(self._piece)
        for row, (_, data) in zip(rows, each(self._piece) if rows else (), strict=True):
            if isinstance(data, ImageError):
                break
            self.add(row, data)
        return self._rows[-1] + 1 if self._rows else 0

    def add(self, row: int, data: bytes) -> None:
        """Append one row."""
        self._rows.append(row)
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes >= GROUP_BYTES or len(self._waiting) >= _LONGEST_GROUP:
            self._write()

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write the footer of the file."""
        self._write()
        with self._whole():
            self._open().close()
        self._file = None
        for path in (self._piece, self._rows_path):
            path.unlink(missing_ok=True)
        return [self._path.name]

    def close(self) -> None:
        """End the piece with its present rows."""
        self._write()
        if self._file is not None:
            with self._whole():
                self._rows_path.write_bytes(self._rows.tobytes())
                self._file.close()
            self._file = None

    def _rows_in(self, piece: Path) -> list[int]:
        """Return the rows in a closed piece; none where there is no such piece."""
        try:
            with open_table(piece) as file:
                count = file.metadata.num_rows
            rows = np.fromfile(self._rows_path, np.int64)[:count].tolist()
        except (OSError, ArcwiseError):
            return []
        return rows if len(rows) == count else []

    def _open(self) -> pq.ParquetWriter:
        if self._file is None:
            plain = [field.name for field in self._schema if not pa.types.is_nested(field.type)]
            self._file = pq.ParquetWriter(
                self._path,
                self._schema,
                compression="NONE",  # images are compressed already
                use_dictionary=plain,
                write_statistics=plain,
            )
        return self._file

    def _write(self) -> None:
        """Write the waiting rows as one row group."""
        if not self._waiting:
            return
        rows = np.asarray(self._rows[-len(self._waiting) :])
        table = self._table.slice(rows[0], rows[-1] - rows[0] + 1)
        if len(table) > len(rows):  # some were left out
            table = table.take(pa.array(rows - rows[0]))
        place = table.column_names.index("image")
        names = [one.replace("\\", "/").rpartition("/")[2] for one in table["image"].to_pylist()]
        paths = [with_ending(*one) for one in zip(names, self._waiting, strict=True)]
        images = pa.StructArray.from_arrays(
            [pa.array(self._waiting, pa.binary()), pa.array(paths, pa.string())],
            fields=list(_IMAGE),
        )
        with self._whole():
            self._open().write_table(table.set_column(place, "image", images).cast(self._schema))
        self._waiting, self._bytes = [], 0

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Give the piece up if the block fails: it can have no footer then."""
        try:
            yield
        except OSError:
            file, self._file, self._waiting = self._file, None, []
            if file is not None:
                with suppress(OSError, pa.ArrowException):
                    file.close()
                file.is_open = False  # so that it is not closed again when it is forgotten
            raise


def _schema(schema: pa.Schema) -> pa.Schema:
    place = schema.get_field_index("image")
    return schema.set(place, pa.field("image", _IMAGE)).with_metadata({b"huggingface": _FEATURES})
