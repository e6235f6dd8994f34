"""The labels of many records, read without their pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.recordio.framing import LONGEST, MAGIC, START, WHOLE, Damaged, unframe
from arcwise.data.containers.recordio.header import IR_HEADER, unpack

_FRONT = np.dtype(
    [
        ("magic", "<u4"),
        ("word", "<u4"),
        ("flag", "<u4"),
        ("label", "<f4"),
        ("ids", "<u8", 2),
        ("vector", "<f4", 2),  # the first two labels of a vector, or the picture's first bytes
    ]
)
_TOGETHER = 4096  # records looked at in one go
_DENSE = 1024  # bytes from record to record, up to which reading them all is quicker


class Labels(NamedTuple):
    """What the headers of records say.

    Attributes:
        first: (N,) float32, the label, or the first of a vector.
        second: (N,) float32, the second of a vector, else NaN.
        picture: (N,) int64, how many bytes follow the header; -1 where the record is damaged.
        end: (N,) int64, where the next record should begin; -1 where the record is damaged.
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    picture: NDArray[np.int64]
    end: NDArray[np.int64]


def read_labels(file: PositionedFile, offsets: NDArray[np.int64]) -> Labels:
    """The labels of the records that begin at these offsets."""
    count = len(offsets)
    numbers, places = np.empty((2, count), "f4"), np.empty((2, count), np.int64)
    labels = Labels(*numbers, *places)
    for start in range(0, count, _TOGETHER):
        some = slice(start, start + _TOGETHER)
        for every, found in zip(labels, _labels(file, offsets[some]), strict=True):
            every[some] = found
    return labels


def _labels(file: PositionedFile, offsets: NDArray[np.int64]) -> Labels:
    fronts = _fronts(file, offsets)
    length = fronts["word"].astype(np.int64) & LONGEST
    flag = fronts["flag"].astype(np.int64)
    picture = length - IR_HEADER.size - 4 * flag
    sound = (fronts["magic"] == MAGIC) & (fronts["word"] >> 29 == WHOLE) & (picture >= 0)
    sound &= offsets + 8 + length <= file.size
    labels = Labels(
        np.where(flag > 0, fronts["vector"][:, 0], fronts["label"]),
        np.where(flag > 1, fronts["vector"][:, 1], np.float32(np.nan)),
        np.where(sound, picture, -1),
        np.where(sound, offsets + 8 + length + (-length % 4), -1),
    )
    parted = (fronts["magic"] == MAGIC) & (fronts["word"] >> 29 == START)
    for row in np.flatnonzero(parted).tolist():  # the magic may be in the header itself
        try:
            found = unframe(file.read_at, file.size, int(offsets[row]))
            header, data = unpack(found.payload)
        except Damaged:
            continue
        vector = np.append(np.float32(header.label), [np.float32(np.nan)])
        labels.first[row], labels.second[row] = vector[0], vector[1]
        labels.picture[row], labels.end[row] = len(data), found.end
    return labels


def _fronts(file: PositionedFile, offsets: NDArray[np.int64]) -> NDArray[np.void]:
    """The first 40 bytes of each record, zeros where the file ends before."""
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
