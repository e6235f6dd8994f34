"""Who enrolled, searched and removed what: JSON lines that are on disk before the answer."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arcwise.data.digests import content_digest
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write, os_error_reason
from arcwise.images.headers.endings import image_ending


class AuditLog:
    """The log of one gallery. Lines are appended whole, one write each.

    A change has two lines: one before it, so that nothing is changed unseen whatever happens, and
    one with what came of it, before the answer.

    Args:
        path: the file; appended to. The lines of a moved file go on in a new one.
        images: folder that every image sent is kept in; None keeps none.

    Raises:
        ArcwiseError: it cannot be written.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path, self._images = path, images
        self._lock = threading.Lock()
        self._append(b"", durable=False)

    def write(self, entry: dict[str, Any], *, durable: bool) -> None:
        """Append a line with the time.

        Args:
            entry: what happened.
            durable: whether to wait until it is safe from a power cut.

        Raises:
            ArcwiseError: it cannot be written; nothing may be changed then.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **entry}, ensure_ascii=True, allow_nan=False)
        self._append(line.encode() + b"\n", durable=durable)

    def keep(self, content: bytes) -> None:
        """Keep an image that was sent, where images are kept, under its digest.

        A folder of images, in which `gallery upgrade --images` finds what was enrolled.
        """
        if self._images is None:
            return
        path = self._images / f"{content_digest(content):016x}{image_ending(content)}"
        if not path.exists():
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)

    def _append(self, line: bytes, *, durable: bool) -> None:
        try:
            with self._lock:
                flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
                descriptor = os.open(self.path, flags, 0o600)
                before = os.fstat(descriptor).st_size
                try:
                    if before and os.pread(descriptor, 1, before - 1) != b"\n":
                        line = b"\n" + line  # a power cut has left a part of a line
                    while line:
                        line = line[os.write(descriptor, line) :]
                    if durable:
                        os.fsync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, before)  # no part of a line, and the next one is whole
                    raise
                finally:
                    os.close(descriptor)
        except OSError as problem:
            raise ArcwiseError(
                f"the audit log {self.path} cannot be written: {os_error_reason(problem)}; nothing "
                "is done without it"
            ) from None
