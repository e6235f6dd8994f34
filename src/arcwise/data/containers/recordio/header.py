"""MXNet's image header inside a record: labels and numbers, then the picture file.

`flag u32, label f32, id u64, id2 u64`; where flag is above 0, so many float32 labels follow and
`label` means nothing. Layout: apache/mxnet `python/mxnet/recordio.py`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.recordio.framing import HEAD, MAGIC, Damaged

IR_HEADER = struct.Struct("<IfQQ")
_PLAIN = struct.Struct("<IIIfQQ")  # a frame's head and this one


class RecordHeader(NamedTuple):
    """What a record says of its picture.

    Attributes:
        label: a number, or a float32 vector.
        id: the record's key, by those who wrote it.
        id2: nearly always 0.
    """

    label: float | NDArray[np.float32]
    id: int = 0
    id2: int = 0


def pack(header: RecordHeader, data: bytes) -> bytes:
    """The payload of a record: header, labels, picture file."""
    if isinstance(header.label, np.ndarray):
        labels = header.label.astype("<f4").tobytes()
        return IR_HEADER.pack(len(labels) // 4, 0.0, header.id, header.id2) + labels + data
    return IR_HEADER.pack(0, header.label, header.id, header.id2) + data


def plain_record(block: bytes) -> tuple[RecordHeader, bytes] | None:
    """What `unpack` gives of a record in one part, with one label, that fills the block exactly.

    Nearly all are of this kind. None of any other, and of what is damaged.
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
    """The header of a record and the picture file behind it.

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
