"""From a list of files to identities: what folders mean."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pyarrow as pa

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

PICTURES = frozenset(
    f".{ending}"
    for group in ("jpg jpeg jpe jfif", "png webp bmp gif tif tiff", "pgm ppm pbm pnm")
    for ending in group.split()
)
"""The endings of files that `decode` may read."""

OWN_TABLES = ("manifest.csv", "manifest.parquet")
"""A table of this name inside a folder or archive describes it, and is believed."""

SPLITS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


def arrange(
    files: Iterable[str], root: Path, name: str, *, identities: bool = True, prefix: str = ""
) -> Manifest:
    """The manifest of files whose folders say whose they are.

    The identity is the folder that directly holds the picture, with the folders above it
    (`fruit/apple`); folders around all of them are no part of it, so that a folder, a zip of it,
    and one more folder around either name the same identities. When the top folders are exactly
    splits (`train`, `val`, `test`) they are taken as such, and not as part of the identity.

    Args:
        files: paths with forward slashes, relative to the data set.
        root: what the manifest's images start from.
        name: of the data set.
        identities: whether a picture outside any folder is an error.
        prefix: put before each path (`archive.zip/`).
    """
    pictures: list[str] = []
    ignored: list[str] = []
    for file in files:
        (pictures if is_picture(file) else ignored).append(file)
    if not pictures:
        raise ArcwiseError(f"{root / prefix}: no picture in it{_instead(ignored)}")
    pictures.sort()
    folders = [file.rpartition("/")[0] for file in pictures]
    flat = [file for file, folder in zip(pictures, folders, strict=True) if not folder]
    if flat and identities:
        raise ArcwiseError(
            f"{root / prefix}: {len(flat)} pictures lie in no folder ({flat[0]}), so whose they "
            "are is unknown; put each into a folder named after its identity, or write a table "
            "with the columns image and identity"
        )
    columns = {"image": [prefix + file for file in pictures]}
    understood = "a flat folder of pictures"
    if len(flat) < len(pictures):
        meant, understood = folder_columns(folders)
        columns |= meant
    table = pa.table({key: pa.array(values, pa.string()) for key, values in columns.items()})
    names = tuple(shown(file) for file in sorted(ignored))
    return Manifest(table, root, name, names, understood)


def is_picture(file: str) -> bool:
    """Whether a file is one that `decode` may read, by its path."""
    usable = PurePosixPath(file).suffix.lower() in PICTURES and _is_text(file)
    return usable and not _hidden(file)


def folder_columns(folders: list[str]) -> tuple[dict[str, list[str]], str]:
    """What the folder of each picture says, `identity` and perhaps `split`; how it was read."""
    understood = "a folder per identity"
    columns = {}
    around, folders = _unwrapped(folders)
    if around:
        understood = f"a folder per identity, all inside {around}"
    tops = sorted({folder.partition("/")[0] for folder in folders})
    splits = [SPLITS.get(folder.partition("/")[0]) for folder in folders]
    if _nested(folders) and None not in splits:
        columns["split"] = [split or "" for split in splits]
        inside, folders = _unwrapped([folder.partition("/")[2] for folder in folders])
        found = ", ".join(tops)
        understood = f"the top folders as splits ({found}), below them a folder per identity"
        if inside:
            understood += f", all inside {inside}"
    columns["identity"] = folders
    if any("/" in folder for folder in folders):
        understood += ", nested folders written with /"
    return columns, understood


def _unwrapped(folders: list[str]) -> tuple[str, list[str]]:
    """The folders around all of them, unless one is a split; and what is left of each.

    At least one folder is left, the identity.
    """
    around: list[str] = []
    while _nested(folders):
        tops = {folder.partition("/")[0] for folder in folders}
        if len(tops) > 1 or tops & SPLITS.keys():
            break
        around += tops
        folders = [folder.partition("/")[2] for folder in folders]
    return "/".join(around), folders


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


def _nested(folders: list[str]) -> bool:
    """Whether there is a folder around every folder that holds pictures."""
    return all("/" in folder for folder in folders)


def _hidden(file: str) -> bool:
    """Whether a file is an operating system's own (`.DS_Store`, `._a.jpg`, `__MACOSX/`)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in file.split("/"))


def _is_text(file: str) -> bool:
    try:
        file.encode()
    except UnicodeEncodeError:  # a file name in an encoding nobody knows any more
        return False
    return True


def shown(file: str) -> str:
    """A file's name as text that any terminal takes."""
    return file.encode("utf-8", "backslashreplace").decode()


def _instead(ignored: list[str]) -> str:
    tables = [file for file in ignored if file.endswith((".csv", ".parquet", ".zip"))]
    if tables:
        return f", but {shown(sorted(tables)[0])} is; did you mean that one?"
    if ignored:
        return f" among {len(ignored)} files ({shown(sorted(ignored)[0])} …)"
    return "; it is empty"
