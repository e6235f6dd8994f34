"""MXNet's image header inside a record: labels and numbers, then the image file.

`flag u32, label f32, id u64, id2 u64`; where flag is above 0, so many float32 labels follow and
`label` means nothing. Layout: apache/mxnet `python/mxnet/recordio.py`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.recordio.frames import (
    HEAD,
    LONGEST,
    MAGIC,
    START,
    WHOLE,
    Damaged,
    unframe,
)

IR_HEADER = struct.Struct("<IfQQ")
_PLAIN = struct.Struct("<IIIfQQ")  # a frame's head and this one
_FRONT = np.dtype(
    [
        ("magic", "<u4"),
        ("word", "<u4"),
        ("flag", "<u4"),
        ("label", "<f4"),
        ("ids", "<u8", 2),
        ("vector", "<f4", 2),  # the first two labels of a vector, or the image's first bytes
    ]
)
_TOGETHER = 4096  # records looked at in one go
_DENSE = 1024  # bytes from record to record, up to which reading them all is quicker


class RecordHeader(NamedTuple):
    """The header of a record.

    Attributes:
        label: a number, or a float32 vector.
        id: the record's key, by those who wrote it.
        id2: nearly always 0.
    """

    label: float | NDArray[np.float32]
    id: int = 0
    id2: int = 0


def pack(header: RecordHeader, data: bytes) -> bytes:
    """Return the payload of a record: header, labels, image file."""
    if isinstance(header.label, np.ndarray):
        labels = header.label.astype("<f4").tobytes()
        return IR_HEADER.pack(len(labels) // 4, 0.0, header.id, header.id2) + labels + data
    return IR_HEADER.pack(0, header.label, header.id, header.id2) + data


def plain_record(block: bytes) -> tuple[RecordHeader, bytes] | None:
    """Return the header and image of a record in one part, with one label, that fills the block.

    Nearly all are of this kind. None for any other record, and for a damaged one.
    """
    if len(block) < _PLAIN.size:
        return None
    magic, word, flag, label, key, key2 = _PLAIN.unpack_from(block)
    end = HEAD.size + word  # whose upper bits are zero where the record has one part
    if magic != MAGIC or flag or end < _PLAIN.size or end + (-word % 4) != len(block):
        return None
    if any(block[end:]):
        return None
    return RecordHeader(label, key, key2), block[_PLAIN.size : end]


def unpack(payload: bytes) -> tuple[RecordHeader, bytes]:
    """Return the header of a record and the image file behind it.

    Raises:
        Damaged: too short for its header, or for as many labels as it announces.
    """
    if len(payload) < IR_HEADER.size:
        raise Damaged(f"holds {len(payload)} bytes; its header alone has {IR_HEADER.size}")
    flag, label, key, key2 = IR_HEADER.unpack_from(payload)
    if not flag:
        return RecordHeader(label, key, key2), payload[IR_HEADER.size :]
    start = IR_HEADER.size + 4 * flag
    if start > len(payload):
        raise Damaged(f"announces {flag:,} labels, and has {len(payload):,} bytes in all")
    labels = np.frombuffer(payload, "<f4", flag, IR_HEADER.size)
    return RecordHeader(labels, key, key2), payload[start:]


class Labels(NamedTuple):
    """The labels in the headers of records.

    Attributes:
        first: (N,) float32, the label, or the first of a vector.
        second: (N,) float32, the second of a vector, else NaN.
        image_bytes: (N,) int64, how many bytes follow the header; -1 where the record is damaged.
        end: (N,) int64, where the next record should begin; -1 where the record is damaged.
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    image_bytes: NDArray[np.int64]
    end: NDArray[np.int64]


def read_labels(file: PositionedFile, offsets: NDArray[np.int64]) -> Labels:
    """Return the labels of the records that begin at these offsets."""
    count = len(offsets)
    numbers, places = np.empty((2, count), "f4"), np.empty((2, count), np.int64)
    labels = Labels(*numbers, *places)
    for start in range(0, count, _TOGETHER):
        some = slice(start, start + _TOGETHER)
        for every, part in zip(labels, _labels(file, offsets[some]), strict=True):
            every[some] = part
    return labels


def _labels(file: PositionedFile, offsets: NDArray[np.int64]) -> Labels:
    fronts = _fronts(file, offsets)
    length = fronts["word"].astype(np.int64) & LONGEST
    flag = fronts["flag"].astype(np.int64)
    image_bytes = length - IR_HEADER.size - 4 * flag
    sound = (fronts["magic"] == MAGIC) & (fronts["word"] >> 29 == WHOLE) & (image_bytes >= 0)
    sound &= offsets + 8 + length <= file.size
    labels = Labels(
        np.where(flag > 0, fronts["vector"][:, 0], fronts["label"]),
        np.where(flag > 1, fronts["vector"][:, 1], np.float32(np.nan)),
        np.where(sound, image_bytes, -1),
        np.where(sound, offsets + 8 + length + (-length % 4), -1),
    )
    parted = (fronts["magic"] == MAGIC) & (fronts["word"] >> 29 == START)
    for row in np.flatnonzero(parted).tolist():  # the magic may be in the header itself
        try:
            record = unframe(file.read_at, file.size, int(offsets[row]))
            header, data = unpack(record.payload)
        except Damaged:
            continue
        vector = np.append(np.float32(header.label), [np.float32(np.nan)])
        labels.first[row], labels.second[row] = vector[0], vector[1]
        labels.image_bytes[row], labels.end[row] = len(data), record.end
    return labels


def _fronts(file: PositionedFile, offsets: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the first 40 bytes of each record, zeros where the file ends before."""
    fronts = np.zeros((len(offsets), _FRONT.itemsize), np.uint8)
    low, high = int(offsets.min()), int(offsets.max()) + _FRONT.itemsize
    if high - low <= _DENSE * len(offsets):
        block = np.zeros(high - low, np.uint8)
        data = np.frombuffer(file.read_at(low, high - low), np.uint8)
        block[: len(data)] = data
        fronts[:] = block[(offsets - low)[:, None] + np.arange(_FRONT.itemsize)]
    else:
        for row, offset in enumerate(offsets.tolist()):
            data = file.read_at(offset, _FRONT.itemsize)
            fronts[row, : len(data)] = np.frombuffer(data, np.uint8)
    return fronts.view(_FRONT)[:, 0]
