"""What the name of a file or folder says: an image, a split, a table of ours, something hidden."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from arcwise.images.headers import UNREAD

IMAGE_ENDINGS = frozenset(
    f".{ending}"
    for group in (
        "jpg jpeg jpe jfif",
        "png webp bmp gif tif tiff",
        "pgm ppm pbm pnm",
        "heic heif hif avif",
    )
    for ending in group.split()
)
"""The endings of files that `decode` may read."""

SPLITS = {
    word: split
    for split, words in {
        "train": "train training",
        "val": "val valid validation dev development",
        "test": "test testing eval evaluation",
        "gallery": "gallery",
        "gallery1": "gallery1",
        "gallery2": "gallery2",
        "query": "query queries",
        "probe": "probe probes",
    }.items()
    for word in words.split()
}
"""What a split may be called, in small letters → what it is called in a manifest."""

_HIDDEN = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"))
_SET = re.compile(r"[-_ ]?(set|split|data|images|pictures|photos)$")


def spelled_in_any_case(*names: str) -> tuple[str, ...]:
    """Return each file name as it is, capitalised and in capitals, with its ending in either case.

    The names come in the order given, and of each name the plain spelling comes first.
    """
    spellings = []
    for name in names:
        stem, dot, ending = name.rpartition(".")
        stems = (stem, stem.capitalize(), stem.upper())
        spellings += [f"{one}{dot}{two}" for two in (ending, ending.upper()) for one in stems]
    return tuple(spellings)


OWN_TABLES = spelled_in_any_case("manifest.csv", "manifest.parquet")
"""A table of one of these names inside a folder or archive describes it, and is believed."""


def split_of(name: str) -> str | None:
    """Return the split that a folder, file or table is named after, in any case; None for none."""
    word = name.strip().casefold()
    return SPLITS.get(word) or SPLITS.get(_SET.sub("", word))


def is_image(file: str) -> bool:
    """Return whether a path is that of a file that `decode` may read."""
    usable = PurePosixPath(file).suffix.lower() in IMAGE_ENDINGS and _is_text(file)
    return usable and hidden_part(file) is None


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is none of the data set's."""
    return name.startswith(".") or name in _HIDDEN


def hidden_part(file: str) -> str | None:
    """Return the hidden folder (`.git/`, `__MACOSX/`, …) or file that a path leads into.

    Such are an operating system's or a program's own. A folder ends in a slash. None where no part
    of the path is hidden.
    """
    parts = file.split("/")
    for place, part in enumerate(parts):
        if is_hidden(part):
            last = place == len(parts) - 1
            return "/".join(parts[: place + 1]) + ("" if last else "/")
    return None


def common_folder(files: Iterable[str]) -> str:
    """Return the folders around all files but hidden ones, with a slash behind; empty for none."""
    shown = [file for file in files if hidden_part(file) is None and not file.endswith("/")]
    if not shown:
        return ""
    folder = posixpath.commonprefix([min(shown), max(shown)]).rpartition("/")[0]
    return f"{folder}/" if folder else ""


def printable(file: str) -> str:
    """Return a file's name as text that any terminal takes."""
    return file.encode("utf-8", "backslashreplace").decode()


def unlisted_notes(files: Iterable[str], table: str, images: Iterable[str]) -> tuple[str, ...]:
    """Return a note where a table does not name all images that lie beside it; else none.

    Args:
        files: all there are, relative to the table.
        table: what it is called.
        images: that it names.
    """
    listed = {image.replace("\\", "/").removeprefix("./") for image in images}
    others = sorted(file for file in files if is_image(file) and file not in listed)
    if not others:
        return ()
    return (
        f"{table} does not name {len(others):,} images that lie beside it, and they are not "
        f"read; the first is {others[0]}",
    )


def unread_photo_notes(ignored: Iterable[str]) -> tuple[str, ...]:
    """Return a note on the photographs among files left out, which are of kinds that none reads."""
    kinds = {file: UNREAD.get(PurePosixPath(file).suffix.lower()) for file in ignored}
    photos = [file for file, kind in kinds.items() if kind and hidden_part(file) is None]
    if not photos:
        return ()
    what = ", ".join(sorted({str(kinds[file]) for file in photos}))
    return (
        f"{len(photos):,} files are photographs that cannot be read ({what}), and left out "
        f"({printable(photos[0])}{' …' if len(photos) > 1 else ''}); convert them to JPEG or PNG",
    )


def _is_text(file: str) -> bool:
    """Return whether a name is UTF-8, as a table needs it; old archives have other encodings."""
    try:
        file.encode()
    except UnicodeEncodeError:
        return False
    return True
