"""Identities → file names that are safe on any system and never leave their folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arcwise.data.digests import text_digest
from arcwise.data.manifest import Manifest
from arcwise.images.headers.endings import image_ending

MANIFEST = "manifest.csv"
"""The table inside a folder or archive that was converted."""

PAIRS = "pairs.csv"
"""The pairs to verify inside a folder or archive that was converted."""

_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_-]{5,70}(\.[A-Za-z]{3,4})?", re.ASCII)  # safe as it is
_LONGEST, _MOST_BYTES = 80, 200  # characters; file systems allow 255 bytes
_BATCH = 65536  # rows


def with_ending(path: str, data: bytes) -> str:
    """Return the path, with the ending of the data's kind if it had none."""
    return path if "." in path.rpartition("/")[2] else path + image_ending(data)


def safe_part(text: str) -> str:
    """Return a file or folder name for any text, which every system allows."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text).replace("/", "_"))
    if len(name) > _LONGEST or len(name.encode()) > _MOST_BYTES:
        stem, dot, ending = name.rpartition(".")
        keep = f".{ending}" if dot and len(ending) <= 5 else ""
        start = (stem if keep else name)[: _LONGEST - len(keep)].encode()
        name = start[: _MOST_BYTES - len(keep.encode())].decode(errors="ignore") + keep
    name = name.rstrip(". ")
    if not name or name[0] in ". " or _RESERVED.match(name):
        name = f"_{name.lstrip('. ')}"
    return name


def member_paths(
    manifest: Manifest, *, taken: Iterable[str] = (MANIFEST, PAIRS), ending: str = ""
) -> list[str]:
    """Return a distinct path for every image of a manifest: `[split/]identity/file name`.

    The paths stay distinct without their endings, and where the file system ignores upper and lower
    case. Different identities whose names become equal get a part of their digest: the manifest
    keeps the identities, the paths need not. A reference without an ending (`train.rec/12`) has
    none in its path (`000000012`); `with_ending` adds one.

    Args:
        manifest: with images.
        taken: names in the top folder with another use.
        ending: of the file names, when it is not that of the image.
    """
    folders, of_row = _folders(manifest, {one.lower() for one in taken})
    inside = _inside(folders)
    order = np.argsort(of_row, kind="stable")  # one folder after another: one at a time in memory
    images = manifest.table.column("image").take(pa.array(order))
    paths = [""] * len(manifest)
    folder, place, used, tries = -1, "", set(), {}
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH].tolist()
        for row, image in zip(rows, images.slice(start, _BATCH).to_pylist(), strict=True):
            if folder != of_row[row]:
                folder = of_row[row]
                place = folders[folder]
                used = {_stem(one).lower() for one in inside.get(place.lower(), ())}
                used.update([] if place else (_stem(one).lower() for one in taken))
                tries = {}
            name = _safe_file(image.replace("\\", "/").rpartition("/")[2])
            stem = _free(_stem(name), used, tries)
            name = stem + (ending or name[len(_stem(name)) :])
            paths[row] = f"{place}/{name}" if place else name
    return paths


def _folders(manifest: Manifest, taken: set[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return a distinct folder for every split and identity, and the folder of every row."""
    codes, owners = _codes(manifest)
    used: set[str] = set()
    folders = [""] * len(owners)
    for owner, number in sorted((one, number) for number, one in enumerate(owners)):
        folder = _folder(*owner)
        if folder.partition("/")[0].lower() in taken:
            folder = f"_{folder}"
        if folder.lower() in used and folder:
            folder = f"{folder}~{text_digest(repr(owner))}"
        folders[number] = folder
        used.add(folder.lower())
    return folders, codes


def _codes(manifest: Manifest) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """Return the number of every row's (split, identity), and the pair of each number."""
    whole = np.zeros(len(manifest), np.int64)
    values: list[list[str]] = []
    for name in ("split", "identity"):
        if name not in manifest.table.column_names:
            values.append([""])
            continue
        column = manifest.table.column(name).combine_chunks().dictionary_encode("encode")
        values.append([one or "" for one in column.dictionary.to_pylist()])
        whole = whole * len(values[-1]) + column.indices.to_numpy()
    numbers, codes = np.unique(whole, return_inverse=True)
    splits, identities = values
    owners = [
        (splits[one // len(identities)], identities[one % len(identities)]) for one in numbers
    ]
    return codes.astype(np.int64), owners


def _inside(folders: list[str]) -> dict[str, set[str]]:
    """Return the folders in each folder, all in lower case."""
    inside: dict[str, set[str]] = {}
    for folder in folders:
        place = folder.lower()
        while place:
            above, _, name = place.rpartition("/")
            inside.setdefault(above, set()).add(name)
            place = above
    return inside


def _folder(split: str, identity: str) -> str:
    parts = [split, *identity.split("/")] if split else identity.split("/")
    return "/".join(safe_part(part) for part in parts) if any(parts) else ""


def _safe_file(name: str) -> str:
    if name.isdecimal() and name.isascii():  # a key; so that names sort as keys do
        return name.zfill(9)
    return name if _PLAIN.fullmatch(name) else safe_part(name)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _free(stem: str, used: set[str], tries: dict[str, int]) -> str:
    """Return the stem, with a number if it is used; `tries` has the last number of each stem."""
    name, lower = stem, stem.lower()
    while name.lower() in used:
        tries[lower] = tries.get(lower, 1) + 1
        name = f"{stem}-{tries[lower]}"
    used.add(name.lower())
    return name
