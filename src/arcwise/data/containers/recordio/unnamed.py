"""Records that lie in a `.rec` and are not in its `.idx`."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.recordio.framing import Damaged, Read
from arcwise.data.containers.recordio.header import IR_HEADER
from arcwise.data.containers.recordio.scan import end_of_record

MOST = 2**20
"""As many are counted; a gap of more is told by that."""

_LENGTH_AND_LABELS = struct.Struct("<II")


def pictures_between(read: Read, size: int, gaps: NDArray[np.int64]) -> int:
    """How many records with a picture lie between two positions each; of `MOST` no more.

    Args:
        read: of the file.
        size: the file's.
        gaps: (M, 2) position behind a record, position of the next one that is known.
    """
    count = 0
    for start, end in np.unique(gaps, axis=0).tolist():
        position = start
        while position < end and count < MOST:
            try:
                after = end_of_record(read, size, position)
            except Damaged:
                break
            length, labels = _LENGTH_AND_LABELS.unpack(read(position + 4, 8).ljust(8, b"\0"))
            parted = length >> 29 > 0
            count += parted or length > IR_HEADER.size + 4 * labels
            position = after
    return count
