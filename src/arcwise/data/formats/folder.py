"""A folder per identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.file_kinds import OWN_TABLES, is_hidden, printable, unlisted_notes
from arcwise.data.formats.folder_identities import TopFolders, manifest_of_files
from arcwise.data.formats.folder_walk import entries_of, walk
from arcwise.data.formats.pairs import OWN_PAIRS, with_pairs
from arcwise.data.formats.table import read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError


def read(path: Path, *, identities: bool = True, top_folders: TopFolders | None = None) -> Manifest:
    """Return the manifest of a folder of images with a folder per identity.

    Its own table or pairs may lie in a folder around all the rest.
    """
    name, path = path.resolve().name, _described(path)
    manifest = replace(_images(path, identities, top_folders), name=name)
    pairs = next((name for name in OWN_PAIRS if (path / name).is_file()), None)
    return with_pairs(manifest, pairs, (path / pairs).read_bytes()) if pairs else manifest


def _described(path: Path) -> Path:
    """Return the folder, or the one around all in it, that has a table or pairs of ours."""
    place = path
    while not any((place / name).is_file() for name in (*OWN_TABLES, *OWN_PAIRS)):
        inside = [one for one in entries_of(str(place)) if not is_hidden(one.name)]
        if len(inside) != 1 or not inside[0].is_dir(follow_symlinks=False):
            return path
        place /= inside[0].name
    return place


def _images(path: Path, identities: bool, top_folders: TopFolders | None) -> Manifest:
    for name in OWN_TABLES:
        if (path / name).is_file():
            table = read_table(path / name, identities=identities, name=path.resolve().name)
            notes = unlisted_notes(walk(path).files, name, table.images) if table.has_images else ()
            return replace(table, notes=(*table.notes, *notes))
    contents = walk(path)
    name = path.resolve().name
    manifest = manifest_of_files(
        contents.files, path, name, identities=identities, top_folders=top_folders
    )
    ignored = sorted({*manifest.ignored, *map(printable, contents.special)})
    return replace(manifest, ignored=tuple(ignored), notes=(*contents.notes, *manifest.notes))


def read_single(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of one image, which has no identity."""
    if identities:
        raise ArcwiseError(
            f"{path} is a single image, without an identity; expected a folder per identity, "
            "or a table that names it"
        )
    table = pa.table({"image": pa.array([path.name], pa.string())})
    return Manifest(table, path.parent, path.stem, understood="a single image")
