"""Images → MXNet RecordIO, in InsightFace's layout where the identities allow it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arcwise.data.containers.positioned import PositionedFile, buffered
from arcwise.data.containers.recordio import BLOCK
from arcwise.data.containers.recordio.frames import Damaged, frame, unframe
from arcwise.data.containers.recordio.image_header import RecordHeader, pack, unpack
from arcwise.data.formats.records.companions import SIDECAR
from arcwise.data.formats.records.labels import EXACT, image_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.images.headers import HeaderError, read_header

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_BUFFER = 2**20


class RecordWriter:
    """`train.rec` with `.idx`, `.lst`, and `train.manifest.parquet`, which has every column.

    Where the rows of each identity lie together it is InsightFace's layout: images from key 1,
    record 0, identities, and a file `property`. Otherwise it is im2rec's: images from key 0,
    -1 as the label of those that have none. Labels are those of `record_labels`. A record's `id2`
    is its row in the source, from which `resume` continues.
    """

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._path, self._manifest = folder / name, manifest
        self._labels, self._classes, together = record_labels(manifest)
        self._first = 1 if together else 0  # record 0 is not an image then
        layout = "InsightFace's layout, with record 0, identities and property"
        if not together:
            layout = (
                "im2rec's layout, without record 0 and property, since the rows of an identity do "
                "not lie together; a table sorted by identity gives InsightFace's"
            )
        self.notes: tuple[str, ...] = (layout,)
        self._offsets = array("q")
        self._size = ""  # height,width of the first image
        self._file: BinaryIO | None = None
        self._end = 0

    def resume(self) -> int:
        """Cut off what follows the last whole record; return the row after it."""
        row = -1
        if self._path.exists():
            file = PositionedFile(str(self._path))
            read = buffered(file, BLOCK)
            while self._end < file.size:
                try:
                    payload, _, end = unframe(read, file.size, self._end)
                    header, data = unpack(payload)
                except Damaged:
                    break
                if header.id != self._first + len(self._offsets) or header.id2 <= row:
                    break  # record 0: the images end here
                self._record_written(data, end)
                row = header.id2
        self._file = open(self._path, "ab", buffering=_BUFFER)  # noqa: SIM115 - till `close`
        self._file.truncate(self._end)
        return row + 1

    def add(self, row: int, data: bytes) -> None:
        """Append the image of one row.

        Raises:
            ArcwiseError: it is longer than a record can be.
        """
        key = self._first + len(self._offsets)
        try:
            length = self._write(RecordHeader(float(self._labels[row]), key, row), data)
        except Damaged as problem:
            raise ArcwiseError(f"{self._manifest.image(row)}: {problem}") from None
        self._record_written(data, self._end + length)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write the records of the identities, and the companions of the `.rec`."""
        keys = np.arange(self._first, self._first + len(rows))
        labels = self._labels[np.asarray(rows)]
        index = np.stack([keys, np.asarray(self._offsets)])
        companions = [self._path.with_suffix(one) for one in (".idx", ".lst", SIDECAR)]
        if self._first:
            index = np.concatenate([index, self._contents(labels)], 1)
            if self._size:
                companions.append(self._path.with_name("property"))
                companions[-1].write_text(f"{self._classes},{self._size}\n")
        self.close()
        table = self._manifest.table.take(pa.array(rows, pa.int64()))
        place = table.column_names.index("image")
        write_index(companions[0], index)
        write_list(companions[1], keys, labels, table.column(place))
        images = image_names(self._path.name, keys)
        pq.write_table(table.set_column(place, "image", images), companions[2])
        return [*(one.name for one in companions), self._path.name]

    def close(self) -> None:
        """Flush and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _contents(self, labels: np.ndarray) -> np.ndarray:
        """Write record 0 and the identities; return (2, M + 1) int64, their keys and offsets."""
        stop = len(labels) + 1
        firsts = np.append(1, np.flatnonzero(labels[1:] != labels[:-1]) + 2)
        ranges = np.stack([firsts, np.append(firsts[1:], stop)], 1)
        last = stop + len(firsts)
        pairs = np.concatenate([[(stop, last)], ranges]).astype(np.float32)
        keys = np.append(0, np.arange(stop, last))
        starts = []
        for key, pair in zip(keys.tolist(), pairs, strict=True):
            starts.append(self._end)
            self._end += self._write(RecordHeader(pair, key), b"")
        return np.stack([keys, np.array(starts)])

    def _write(self, header: RecordHeader, data: bytes) -> int:
        assert self._file is not None, "resume() opens it"
        return self._file.write(frame(pack(header, data)))

    def _record_written(self, data: bytes, end: int) -> None:
        if not self._offsets:
            try:
                header = read_header(data)
                self._size = f"{header.height},{header.width}"
            except HeaderError:
                pass  # the size stays unknown
        self._offsets.append(self._end)
        self._end = end


_TOGETHER = 2**16  # lines


class RecordLabels(NamedTuple):
    """The labels of a manifest.

    Attributes:
        labels: (N,) int64, -1 where there is no identity.
        classes: how many identities there are.
        together: whether the rows of each identity follow one another, and each has one.
    """

    labels: NDArray[np.int64]
    classes: int
    together: bool


def record_labels(manifest: Manifest) -> RecordLabels:
    """Return the labels: the position of each row's identity among all, sorted.

    Identities that are called 0, 1, … without a gap keep their numbers.

    Raises:
        ArcwiseError: more identities than float32 tells apart.
    """
    if "identity" not in manifest.table.column_names:
        return RecordLabels(np.full(len(manifest), -1), 0, False)
    identities = manifest.table.column("identity").combine_chunks()
    coded = pc.if_else(pc.equal(identities, ""), None, identities).dictionary_encode()
    names = coded.dictionary.to_pylist()
    if len(names) > EXACT:
        raise ArcwiseError(
            f"{manifest.name}: {len(names):,} identities; the labels of a .rec tell {EXACT:,} "
            "apart: write .tar or .parquet"
        )
    order = sorted(names)
    if {*names} == {str(number) for number in range(len(names))}:
        order = sorted(names, key=int)
    positions = {name: position for position, name in enumerate(order)}
    of_code = np.array([positions[name] for name in names] + [-1])
    codes = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    runs = int(np.count_nonzero(np.diff(codes))) + 1
    together = 0 < len(names) == runs and not coded.null_count
    return RecordLabels(of_code[codes], len(names), together)


def write_index(path: Path, index: NDArray[np.int64]) -> None:
    """Write an `.idx`: (2, N) keys and offsets."""
    _write(path, [pa.array(row).cast(pa.string()) for row in index])


def write_list(
    path: Path, keys: NDArray[np.int64], labels: NDArray[np.int64], files: pa.ChunkedArray
) -> None:
    """Write a `.lst`: key, label, and the name of the image file."""
    safe = pc.replace_substring_regex(files, r"[\t\r\n]", "_").combine_chunks()
    _write(path, [*(pa.array(one).cast(pa.string()) for one in (keys, labels)), safe])


def _write(path: Path, columns: list[pa.Array]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(_lines(columns))


def _lines(columns: list[pa.Array]) -> Iterator[str]:
    for start in range(0, len(columns[0]), _TOGETHER):
        some = [one.slice(start, _TOGETHER) for one in columns]
        for line in pc.binary_join_element_wise(*some, "\t").to_pylist():
            yield f"{line}\n"
