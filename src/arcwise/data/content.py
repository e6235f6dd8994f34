"""Digests of image files: whether a picture was seen before, whatever it is called and lies in."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.errors import ImageError


def content_digest(content: bytes) -> int:
    """A number from 1 to 2^63 - 1 that stands for a file's bytes.

    Among a million pictures compared with a million others, two different ones share a number
    with a chance of 1 in 10 million.
    """
    digest = hashlib.blake2b(content, digest_size=8, person=b"arcwise").digest()
    return int.from_bytes(digest, "little") >> 1 or 1


def content_digests(manifest: Manifest, progress: Progress | None = None) -> NDArray[np.int64]:
    """(N,) the digest of every row's picture; 0 for one that cannot be read.

    The files are read, but not decoded.
    """

    def digest(row: int) -> int:
        try:
            return content_digest(manifest.read(row))
        except ImageError:  # whoever embeds it lists it
            return 0

    found = each_row(digest, len(manifest), progress=progress)
    return np.fromiter(found, np.int64, len(manifest))
