"""A file read at any position by several threads at once."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from arcwise.files import open_regular


class PositionedFile:
    """An open file without a current position.

    Attributes:
        size: how long it is, in bytes.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0, opener=open_regular)  # noqa: SIM115 - open as long as this is
        self.size = os.fstat(self._file.fileno()).st_size
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)  # with the container, without a warning

    def read_at(self, position: int, length: int) -> bytes:
        """Return the bytes from a position on; fewer where the file ends."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, position)
        with self._lock:
            self._file.seek(position)
            return self._file.read(length)


def buffered(file: PositionedFile, length: int) -> Callable[[int, int], bytes]:
    """`read_at` of a file that is read mostly forwards, at least `length` bytes at once."""
    start, held = 0, b""

    def read(position: int, size: int) -> bytes:
        nonlocal start, held
        offset = position - start
        if offset < 0 or offset + size > len(held):
            start, held, offset = position, file.read_at(position, max(size, length)), 0
        return held[offset : offset + size]

    return read
