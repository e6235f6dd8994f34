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
    numbered,
    pack,
    products,
    records,
    shards,
    vggface2,
)
from arcwise.data.formats.layout import PICTURES
from arcwise.data.formats.pairs import with_pairs
from arcwise.data.formats.table import TABLES, read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

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


FILES: dict[str, FileFormat] = {".zip": archive, ".bin": pack, ".rec": records, ".tar": shards}
FOLDERS: tuple[FolderFormat, ...] = (ijb, products, inshop, cub, cars, vggface2, records, shards)
"""Layouts with files of their own, asked in this order; any other folder is one per identity."""


def open_format(
    path: Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: Path | None = None,
) -> Manifest:
    """The manifest that the reader for this form of data set makes."""
    options = {"image_column": image_column, "identity_column": identity_column, "images": images}
    if hub.names_shards(path):
        return hub.read(path, identities=identities, **options)
    if not path.exists() and not shards.names_shards(path):
        raise ArcwiseError(f"{path}: no such file or folder; expected {EXPECTED}")
    suffix = path.suffix.lower()
    if path.is_file() and suffix in TABLES:
        table = read_table(path, identities=identities, **options)
        notes = (*table.notes, *numbered.missing([path.name]))
        return _with_pairs_beside(replace(table, notes=notes), path)
    fitting = None
    if path.is_dir():
        fitting = next((one for one in FOLDERS if one.recognises(path)), None)
        if fitting is None and hub.recognises(path):
            return hub.read(path, identities=identities, **options)
    for option, value in (
        ("image column", image_column),
        ("identity column", identity_column),
        ("image folder", images),
    ):
        if value is not None:
            raise ArcwiseError(f"{path} is not a table, so it has no {option} ({value})")
    if path.is_dir():
        return (fitting or folder).read(path, identities=identities)
    if suffix in FILES:
        return _with_pairs_beside(FILES[suffix].read(path, identities=identities), path)
    if suffix in PICTURES:
        return folder.read_single(path, identities=identities)
    raise ArcwiseError(f"{path}: not a form of data set known here; expected {EXPECTED}")


def _with_pairs_beside(manifest: Manifest, path: Path) -> Manifest:
    """The manifest with the pairs in `train.pairs.csv` beside `train.tar`, if it has none."""
    pairs = path.with_suffix(".pairs.csv")
    if manifest.pairs is not None or not pairs.is_file():
        return manifest
    return with_pairs(manifest, pairs.name, pairs.read_bytes())
