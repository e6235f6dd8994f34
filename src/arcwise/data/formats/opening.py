"""The manifest of a data set in any form, from the reader that fits it.

The ending of a file or the content of a folder says which reader that is.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from arcwise.data.formats import (
    folder,
    hub,
    metadata,
    pack,
    records,
    shards,
    zip_archive,
)
from arcwise.data.formats.file_kinds import IMAGE_ENDINGS
from arcwise.data.formats.folder_identities import TopFolders
from arcwise.data.formats.numbered_files import missing_notes
from arcwise.data.formats.pairs import with_pairs_beside
from arcwise.data.formats.published import cars, cub, ijb, inshop, online_products, vggface2
from arcwise.data.formats.table import TABLES, read_table
from arcwise.data.formats.written_forms import with_one_form_each
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import is_special
from arcwise.images.headers import UNREAD

EXPECTED = "a folder or .zip with one folder per identity, a .csv or .parquet, a .rec, .tar or .bin"


class FileFormat(Protocol):
    """A module that reads one kind of file."""

    def read(self, path: Path, *, identities: bool) -> Manifest:
        """Return the manifest of a file with its ending."""
        ...


class FolderFormat(FileFormat, Protocol):
    """A module that reads folders of a certain layout."""

    def recognises(self, path: Path) -> bool:
        """Return whether this folder has that layout."""
        ...


class ByFolders(Protocol):
    """A module whose files may lie in folders that are named after identities."""

    def read(self, path: Path, *, identities: bool, top_folders: TopFolders | None) -> Manifest:
        """Return the manifest, its top folders being what `top_folders` says."""
        ...


FILES: dict[str, FileFormat] = {".zip": zip_archive, ".bin": pack, ".rec": records, ".tar": shards}
FOLDERS: tuple[FolderFormat, ...] = (
    ijb,
    online_products,
    inshop,
    cub,
    cars,
    vggface2,
    records,
    shards,
)
"""Layouts with files of their own, asked in this order; any other folder is one per identity."""

BY_FOLDERS: tuple[ByFolders, ...] = (folder, zip_archive, shards)
"""Readers that `top_folders` is for."""


def open_manifest(
    path: str | os.PathLike[str] | Manifest,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: str | os.PathLike[str] | None = None,
    top_folders: TopFolders | None = None,
) -> Manifest:
    """Return the manifest of a data set, whatever form it has; each identity in one written form.

    Args:
        path: a folder or a `.zip` with one folder per identity, a `.csv` or `.parquet` table, or
            (only without identities) a flat folder or a single image. A manifest is itself.
        image_column: the table's column of images, when it is not called `image`.
        identity_column: the table's column of identities, when it is not called `identity`.
        identities: whether every row must have one; queries have none.
        images: the folder or `.zip` a table's images start from, when it is not the table's.
        top_folders: what the top folders are (`split`, `domain`, `part` of the identity, or the
            `identity` itself), when their names do not say it.

    Raises:
        ArcwiseError: there is nothing there, or it is not a data set; the message says where and
            what to do.
    """
    if isinstance(path, Manifest):
        return path
    manifest = _open_format(
        Path(path),
        image_column=image_column,
        identity_column=identity_column,
        identities=identities,
        images=None if images is None else Path(images),
        top_folders=top_folders,
    )
    return replace(with_one_form_each(manifest), source=os.fspath(path))


def _open_format(
    path: Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: Path | None = None,
    top_folders: TopFolders | None = None,
) -> Manifest:
    """Return the manifest that the reader for this form of data set makes."""
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
        notes = (*table.notes, *missing_notes([path.name]))
        return with_pairs_beside(replace(table, notes=notes), path)
    reader = _reader(path)
    if reader is folder and hub.recognises(path):
        _no_top_folders(path, top_folders)
        return hub.read(path, identities=identities, **options)
    if reader in (folder, zip_archive) and images is None:
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
    return manifest if path.is_dir() else with_pairs_beside(manifest, path)


def _reader(path: Path) -> FileFormat | None:
    """Return the reader of a file or folder; None for a single image.

    Raises:
        ArcwiseError: there is none for it.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return next((one for one in FOLDERS if one.recognises(path)), folder)
    if suffix in FILES:
        return FILES[suffix]
    if suffix in IMAGE_ENDINGS:
        return None
    if suffix in UNREAD:
        raise ArcwiseError(
            f"{path}: {UNREAD[suffix]}, which cannot be read here; convert it to JPEG or PNG"
        )
    raise ArcwiseError(f"{path}: not a form of data set known here; expected {EXPECTED}")


def _no_top_folders(path: Path, top_folders: TopFolders | None) -> None:
    """Raise an error if `top_folders` is given for what has no use for it."""
    if top_folders not in (None, "part"):  # "part" is what they are by default
        raise ArcwiseError(
            f"{path}: a table or a list names the identities of its images; leave out "
            f"--top-folders {top_folders}"
        )
