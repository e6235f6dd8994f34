"""The reader that fits: by the ending of a file, by what lies in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from arcwise.data.formats import (
    archive,
    cars,
    cub,
    folder,
    hub,
    ijb,
    inshop,
    metadata,
    numbered,
    pack,
    products,
    records,
    shards,
    vggface2,
)
from arcwise.data.formats.layout import PICTURES, TopFolders
from arcwise.data.formats.pairs import with_pairs
from arcwise.data.formats.table import TABLES, read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import is_special, read_file
from arcwise.images.headers import UNREAD

EXPECTED = "a folder or .zip with one folder per identity, a .csv or .parquet, a .rec, .tar or .bin"


class FileFormat(Protocol):
    """A module that reads one kind of file."""

    def read(self, path: Path, *, identities: bool) -> Manifest:
        """The manifest of a file with its ending."""
        ...


class FolderFormat(FileFormat, Protocol):
    """A module that reads folders of a certain layout."""

    def recognises(self, path: Path) -> bool:
        """Whether this folder has that layout."""
        ...


class ByFolders(Protocol):
    """A module whose files may lie in folders that say whose they are."""

    def read(self, path: Path, *, identities: bool, top_folders: TopFolders | None) -> Manifest:
        """The manifest, its top folders being what is said."""
        ...


FILES: dict[str, FileFormat] = {".zip": archive, ".bin": pack, ".rec": records, ".tar": shards}
FOLDERS: tuple[FolderFormat, ...] = (ijb, products, inshop, cub, cars, vggface2, records, shards)
"""Layouts with files of their own, asked in this order; any other folder is one per identity."""

BY_FOLDERS: tuple[ByFolders, ...] = (folder, archive, shards)


def open_format(
    path: Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: Path | None = None,
    top_folders: TopFolders | None = None,
) -> Manifest:
    """The manifest that the reader for this form of data set makes."""
    options = {"image_column": image_column, "identity_column": identity_column, "images": images}
    if hub.names_shards(path):
        return hub.read(path, identities=identities, **options)
    if not path.exists() and not shards.names_shards(path):
        raise ArcwiseError(f"{path}: no such file or folder; expected {EXPECTED}")
    if is_special(path):
        raise ArcwiseError(f"{path}: a pipe, socket or device; expected {EXPECTED}")
    suffix = path.suffix.lower()
    if path.is_file() and suffix in TABLES:
        table = read_table(path, identities=identities, **options)
        _no_top_folders(path, top_folders)
        notes = (*table.notes, *numbered.missing([path.name]))
        return _with_pairs_beside(replace(table, notes=notes), path)
    reader = _reader(path)
    if reader is folder and hub.recognises(path):
        _no_top_folders(path, top_folders)
        return hub.read(path, identities=identities, **options)
    if reader in (folder, archive) and images is None:
        tables = metadata.tables_in(path, image_column)
        if tables:
            _no_top_folders(path, top_folders)
            return metadata.read(
                path,
                tables,
                image_column=image_column,
                identity_column=identity_column,
                identities=identities,
            )
    for option, value in (
        ("image column", image_column),
        ("identity column", identity_column),
        ("image folder", images),
    ):
        if value is not None:
            raise ArcwiseError(f"{path} is not a table, so it has no {option} ({value})")
    if reader is None:
        _no_top_folders(path, top_folders)
        return folder.read_single(path, identities=identities)
    by_folders = next((one for one in BY_FOLDERS if one is reader), None)
    if by_folders is None:
        _no_top_folders(path, top_folders)
        manifest = reader.read(path, identities=identities)
    else:
        manifest = by_folders.read(path, identities=identities, top_folders=top_folders)
    return manifest if path.is_dir() else _with_pairs_beside(manifest, path)


def _reader(path: Path) -> FileFormat | None:
    """What reads this; None for a single picture.

    Raises:
        ArcwiseError: nothing does.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return next((one for one in FOLDERS if one.recognises(path)), folder)
    if suffix in FILES:
        return FILES[suffix]
    if suffix in PICTURES:
        return None
    if suffix in UNREAD:
        raise ArcwiseError(
            f"{path}: {UNREAD[suffix]}, which cannot be read here; convert it to JPEG or PNG"
        )
    raise ArcwiseError(f"{path}: not a form of data set known here; expected {EXPECTED}")


def _no_top_folders(path: Path, top_folders: TopFolders | None) -> None:
    if top_folders not in (None, "part"):  # what they are where nothing is said
        raise ArcwiseError(
            f"{path}: a table or a list says whose its pictures are; leave out --top-folders "
            f"{top_folders}"
        )


def _with_pairs_beside(manifest: Manifest, path: Path) -> Manifest:
    """The manifest with the pairs in `train.pairs.csv` beside `train.tar`, if it has none."""
    pairs = path.with_suffix(".pairs.csv")
    if manifest.pairs is not None or not pairs.is_file():
        return manifest
    return with_pairs(manifest, pairs.name, read_file(pairs))
