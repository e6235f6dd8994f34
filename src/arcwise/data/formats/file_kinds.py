"""What the names of files and folders say: an image, a split, a table of ours, something hidden."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from arcwise.images.headers import UNREAD

PICTURES = frozenset(
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

OWN_TABLES = ("manifest.csv", "manifest.parquet")
"""A table of this name inside a folder or archive describes it, and is believed."""

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


def split_of(name: str) -> str | None:
    """The split that a folder, a file or a table calls so, in any case; None if it is none."""
    word = name.strip().casefold()
    return SPLITS.get(word) or SPLITS.get(_SET.sub("", word))


def is_picture(file: str) -> bool:
    """Whether a file is one that `decode` may read, by its path."""
    usable = PurePosixPath(file).suffix.lower() in PICTURES and _is_text(file)
    return usable and hidden(file) is None


def hidden(file: str) -> str | None:
    """The hidden folder (`.git/`, `__MACOSX/`, …) or file that a path leads into; None if none.

    Such are an operating system's or a program's own; a folder ends in a slash.
    """
    parts = file.split("/")
    for place, part in enumerate(parts):
        if is_hidden(part):
            last = place == len(parts) - 1
            return "/".join(parts[: place + 1]) + ("" if last else "/")
    return None


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the data set's."""
    return name.startswith(".") or name in _HIDDEN


def _is_text(file: str) -> bool:
    try:
        file.encode()
    except UnicodeEncodeError:  # a file name in an encoding nobody knows any more
        return False
    return True


def shown(file: str) -> str:
    """A file's name as text that any terminal takes."""
    return file.encode("utf-8", "backslashreplace").decode()


def other_photos(ignored: Iterable[str]) -> tuple[str, ...]:
    """A note on the photographs among the files left out, which are of kinds that none reads."""
    kinds = {file: UNREAD.get(PurePosixPath(file).suffix.lower()) for file in ignored}
    photos = [file for file, kind in kinds.items() if kind and hidden(file) is None]
    if not photos:
        return ()
    what = ", ".join(sorted({str(kinds[file]) for file in photos}))
    return (
        f"{len(photos):,} files are photographs that cannot be read ({what}), and left out "
        f"({shown(photos[0])}{' …' if len(photos) > 1 else ''}); convert them to JPEG or PNG",
    )


def unlisted(files: Iterable[str], table: str, images: Iterable[str]) -> tuple[str, ...]:
    """A note where pictures lie beside a table that does not name them; none where all are named.

    Args:
        files: all there are, relative to the table.
        table: what it is called.
        images: that it names.
    """
    listed = {image.replace("\\", "/").removeprefix("./") for image in images}
    others = sorted(file for file in files if is_picture(file) and file not in listed)
    if not others:
        return ()
    return (
        f"{table} does not name {len(others):,} pictures that lie beside it, and they are not "
        f"read; the first is {others[0]}",
    )


def around(files: Iterable[str]) -> str:
    """The folders around all files but hidden ones, with a slash behind; empty where none are."""
    seen = [file for file in files if hidden(file) is None and not file.endswith("/")]
    folder = posixpath.commonprefix([min(seen), max(seen)]).rpartition("/")[0] if seen else ""
    return f"{folder}/" if folder else ""
