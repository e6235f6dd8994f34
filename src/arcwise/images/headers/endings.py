"""The ending that an image's file should have, by what it begins with."""

from __future__ import annotations

from arcwise.images.headers.heif import heif_kind

_MAGIC = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"RIFF", ".webp"),
    (b"BM", ".bmp"),
    (b"GIF8", ".gif"),
    (b"II", ".tif"),
    (b"MM", ".tif"),
    (b"P", ".pnm"),
)
_HEIF = {"HEIC": ".heic", "HEIF": ".heif", "AVIF": ".avif"}
ENDINGS = (*dict.fromkeys(ending for _, ending in _MAGIC), *_HEIF.values())
"""All that `image_ending` may return."""


def image_ending(data: bytes) -> str:
    """Return the ending that an image's file should have; `.jpg` for data of no known kind.

    So readers that go by endings open a damaged image, and report the damage.
    """
    if kind := heif_kind(data):
        return _HEIF[kind]
    return next((ending for magic, ending in _MAGIC if data.startswith(magic)), ".jpg")
