"""Readers: each turns one form of data set into a manifest."""

from __future__ import annotations

from pathlib import Path

from arcwise.data.formats.archive import read_archive
from arcwise.data.formats.folder import read_folder, read_single
from arcwise.data.formats.layout import PICTURES
from arcwise.data.formats.table import TABLES, read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

EXPECTED = "a folder or .zip with one folder per identity, or a .csv or .parquet table"


def open_format(
    path: Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: Path | None = None,
) -> Manifest:
    """The manifest that the reader for this form of data set makes."""
    if not path.exists():
        raise ArcwiseError(f"{path}: no such file or folder; expected {EXPECTED}")
    suffix = path.suffix.lower()
    if path.is_file() and suffix in TABLES:
        return read_table(
            path,
            image_column=image_column,
            identity_column=identity_column,
            identities=identities,
            images=images,
        )
    for option, value in (
        ("image column", image_column),
        ("identity column", identity_column),
        ("image folder", images),
    ):
        if value is not None:
            raise ArcwiseError(f"{path} is not a table, so it has no {option} ({value})")
    if path.is_dir():
        return read_folder(path, identities=identities)
    if suffix == ".zip":
        return read_archive(path, identities=identities)
    if suffix in PICTURES:
        return read_single(path, identities=identities)
    raise ArcwiseError(f"{path}: not a form of data set known here; expected {EXPECTED}")
