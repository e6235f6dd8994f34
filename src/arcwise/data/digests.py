"""Digests that stand for an identity or for the bytes of an image file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from arcwise.data.parallel import Progress, each_row
from arcwise.errors import ImageError
from arcwise.identity import identity_key, older_forms

if TYPE_CHECKING:
    from arcwise.data.manifest import Manifest

_SALT = "arcwise:"


def identity_digest(identity: str) -> str:
    """Return 16 hexadecimal characters that stand for an identity in a model folder.

    They are the same for all its written forms. With them it can be checked whether an identity
    was trained on. A digest is not anonymity: who has a name can compute its digest.
    """
    return text_digest(identity_key(identity))


def possible_digests(identity: str) -> set[str]:
    """Return every digest that may stand for an identity in a model folder.

    Besides `identity_digest`, these are the digests of folders written by earlier versions.
    """
    return {text_digest(form) for form in older_forms(identity)}


def text_digest(text: str) -> str:
    """Return 16 hexadecimal characters that stand for exactly this text."""
    return hashlib.sha256((_SALT + text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def content_digest(content: bytes) -> int:
    """Return a number from 1 to 2^63 - 1 that stands for a file's bytes.

    Among a million images compared with a million others, the chance that two different ones share
    a number is 1 in 10 million.
    """
    digest = hashlib.blake2b(content, digest_size=8, person=b"arcwise").digest()
    return int.from_bytes(digest, "little") >> 1 or 1


def content_digests(manifest: Manifest, progress: Progress | None = None) -> NDArray[np.int64]:
    """Return (N,) int64, the digest of every row's image; 0 for one that cannot be read.

    The files are read, but not decoded.
    """

    def digest(row: int) -> int:
        try:
            return content_digest(manifest.read(row))
        except ImageError:  # it is listed when it is embedded
            return 0

    digests = each_row(digest, len(manifest), progress=progress)
    return np.fromiter(digests, np.int64, len(manifest))
