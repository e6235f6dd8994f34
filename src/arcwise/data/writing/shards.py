"""Images → tar shards in the webdataset layout, with an offset table."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.tarred import offset_table as tar_index
from arcwise.data.containers.tarred.tar_headers import BLOCK, Member, scan
from arcwise.data.manifest import Manifest
from arcwise.data.writing.manifest_tables import rows_renamed
from arcwise.images.headers.endings import ENDINGS, image_ending

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

SHARD_BYTES = 256 * 10**6
"""A shard is closed before it would grow beyond this."""

_END = bytes(2 * BLOCK)
_BUFFER = 2**20
_AT_ONCE = 1024  # rows described at once
_as_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
_BEFORE_SIZE = b"0000644\0" + 2 * b"0000000\0"
_AFTER_SIZE = b"00000000000\0"
_AFTER_SUM = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
_SUM = sum(_BEFORE_SIZE + _AFTER_SIZE + _AFTER_SUM) + 8 * ord(" ")


class ShardWriter:
    """`train-000000.tar`, …: `000000012.jpg` and `000000012.json` for row 12.

    The JSON holds the row's columns; so does `train.index.parquet`, with the place of every
    image, and its types are kept. The same images give the same bytes.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, folder: Path, name: str, manifest: Manifest, *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._folder, self._stem, self._manifest = folder, Path(name).stem, manifest
        self._shard_bytes = shard_bytes
        self._columns = manifest.table.drop_columns(["image"])
        self._first, self._described = 0, list[dict[str, Any]]()
        self._file: BinaryIO | None = None
        self._shards = 0  # begun so far
        self._position = 0
        self._rows, self._shard_of, self._starts, self._sizes, self._endings = (
            array("q") for _ in range(5)
        )

    def resume(self) -> int:
        """Cut off what is not whole; return the row after the last whole sample."""
        self._index.unlink(missing_ok=True)
        while (path := self._path(self._shards)).exists():
            self._shards += 1
            end = self._whole_samples(path)
            if not end:
                path.unlink()
                self._shards -= 1
                break
            if not self._path(self._shards).exists():  # the last one: it goes on here
                self._file = open(path, "r+b", _BUFFER)  # noqa: SIM115 - closed by `_end`
                self._position = self._file.seek(end)
                self._file.truncate()
        return self._rows[-1] + 1 if self._rows else 0

    def add(self, row: int, data: bytes) -> None:
        """Append one row's image and JSON."""
        ending = image_ending(data)
        stem = f"{row:09d}"
        text = self._json(row)
        sample = (*_member(stem + ending, data), *_member(f"{stem}.json", text))
        length = sum(map(len, sample))
        if self._file is not None and self._position + length > self._shard_bytes:
            self._end()
        if self._file is None:
            self._file = open(self._path(self._shards), "xb", _BUFFER)  # noqa: SIM115
            self._shards += 1
            self._position = 0
        self._noted(row, self._position, len(data), ending)
        for part in sample:
            self._file.write(part)
        self._position += length

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write `train.index.parquet`, the place of every image."""
        self._end()
        names = [self._path(shard).name for shard in range(self._shards)]
        order = np.searchsorted(np.asarray(self._rows), np.asarray(rows, np.int64))
        table = self._table(rows, order, names)
        sizes = {name: (self._folder / name).stat().st_size for name in names}
        schema = tar_index.with_sizes(table.schema, sizes)
        with pq.ParquetWriter(self._index, schema) as file:
            edges = np.searchsorted(np.asarray(self._shard_of)[order], range(self._shards + 1))
            for first, last in pairwise(edges.tolist()):
                file.write_table(table.slice(first, last - first))
        return [*names, self._index.name]

    def close(self) -> None:
        """Close the present shard."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _index(self) -> Path:
        return tar_index.index_path(self._path(0))

    def _path(self, shard: int) -> Path:
        return self._folder / f"{self._stem}-{shard:06d}.tar"

    def _noted(self, row: int, start: int, size: int, ending: str) -> None:
        self._rows.append(row)
        self._shard_of.append(self._shards - 1)
        self._starts.append(start)
        self._sizes.append(size)
        self._endings.append(ENDINGS.index(ending))

    def _end(self) -> None:
        if self._file is not None:
            self._file.write(_END)
        self.close()

    def _json(self, row: int) -> bytes:
        if not self._first <= row < self._first + len(self._described):
            self._first, self._described = row, self._columns.slice(row, _AT_ONCE).to_pylist()
        values = self._described[row - self._first] if self._described else {}
        present = {name: value for name, value in values.items() if value is not None}
        return _as_json(present).encode("utf-8", "replace")

    def _whole_samples(self, path: Path) -> int:
        """Note the whole samples in a shard; return where the last of them ends."""
        file = PositionedFile(str(path))
        image, end = None, 0
        for member in scan(file.read_at, file.size):
            if not isinstance(member, Member) or member.end > file.size:
                break
            if image is None:
                image = member
                continue
            stem, _, ending = image.name.rpartition(".")
            self._noted(int(stem), image.start, image.size, f".{ending}")
            image, end = None, member.end
        return end

    def _table(self, rows: Sequence[int], order: np.ndarray, names: list[str]) -> pa.Table:
        shards = _words(np.asarray(self._shard_of)[order], names)
        stems = pc.utf8_lpad(pa.array(rows, pa.int64()).cast(pa.string()), 9, "0")
        endings = _words(np.asarray(self._endings)[order], list(ENDINGS)).cast(pa.string())
        images = pc.binary_join_element_wise(
            shards.cast(pa.string()), pc.binary_join_element_wise(stems, endings, ""), "/"
        )
        table = rows_renamed(self._manifest, rows, images)
        own = {
            tar_index.SHARD: shards,
            tar_index.OFFSET: pa.array(np.asarray(self._starts)[order]),
            tar_index.BYTES: pa.array(np.asarray(self._sizes)[order]),
        }
        table = table.drop_columns([name for name in own if name in table.column_names])
        for name, values in own.items():
            table = table.append_column(name, values)
        return table


def _member(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and padding, as `tarfile` writes them in its ustar format."""
    title = name.encode()
    head = title.ljust(100, b"\0") + _BEFORE_SIZE
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (_SUM + sum(title) + sum(size))
    padding = bytes(-len(data) % BLOCK)
    return head + size + _AFTER_SIZE + checksum + _AFTER_SUM, data, padding


def _words(codes: np.ndarray, words: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), words)
