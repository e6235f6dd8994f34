"""Identities → file names that are safe on any system and never leave their folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from arcwise.data.manifest import Manifest
from arcwise.data.split import identity_digest

MANIFEST = "manifest.csv"
"""The table inside a folder or archive that was converted."""

_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST = 80  # characters; up to 4 bytes each, and file systems allow 255


def safe_part(text: str) -> str:
    """One file or folder name for any text: no separator, no `..`, nothing a system forbids."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text).replace("/", "_"))
    if len(name) > _LONGEST:
        stem, dot, ending = name.rpartition(".")
        keep = f".{ending}" if dot and len(ending) <= 5 else ""
        name = (stem if keep else name)[: _LONGEST - len(keep)] + keep
    name = name.rstrip(". ")
    if not name or name[0] in ". " or _RESERVED.match(name):
        name = f"_{name.lstrip('. ')}"
    return name


def member_paths(manifest: Manifest, *, taken: Iterable[str] = (), ending: str = "") -> list[str]:
    """A path for every image of a manifest: `[split/]identity/file name`, no two alike.

    No two, whether or not the file system tells upper from lower case. Different identities that
    come out alike get a part of their digest; so the names tell less than the manifest beside
    them, which keeps the identities as they are.

    Args:
        manifest: with images.
        taken: paths that are used otherwise.
        ending: of the file names, when it is not that of the image.
    """
    blank = [""] * len(manifest)
    splits = manifest.column("split") or blank
    identities = manifest.column("identity") or blank
    owners = [
        (split or "", identity or "") for split, identity in zip(splits, identities, strict=True)
    ]
    used = {path.lower() for path in taken}
    folders: dict[tuple[str, str], str] = {}
    for owner in sorted(set(owners)):
        folder = _folder(*owner)
        if folder.lower() in used and folder:
            folder = f"{folder}~{identity_digest(repr(owner))}"
        folders[owner] = folder
        used.add(folder.lower())
    for folder in folders.values():  # a file must not take the place of a folder either
        used.update(str(above).lower() for above in PurePosixPath(folder).parents)
    return [
        _file(folders[owner], image, ending, used)
        for owner, image in zip(owners, manifest.images, strict=True)
    ]


def _folder(split: str, identity: str) -> str:
    parts = [split, *identity.split("/")] if split else identity.split("/")
    return "/".join(safe_part(part) for part in parts) if any(parts) else ""


def _file(folder: str, image: str, ending: str, used: set[str]) -> str:
    name = safe_part(image.replace("\\", "/").rpartition("/")[2])
    stem, dot, own = name.rpartition(".")
    stem, own = (stem, dot + own) if dot else (name, "")
    number = 1
    while True:
        name = f"{stem}-{number}" if number > 1 else stem
        path = f"{folder}/{name}{ending or own}".lstrip("/")
        if path.lower() not in used:
            used.add(path.lower())
            return path
        number += 1
