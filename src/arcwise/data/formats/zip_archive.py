"""A `.zip` with a folder per identity: read in place, never unpacked."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from zipfile import ZipInfo

from arcwise.data.containers.zipped import ZipContainer
from arcwise.data.formats.file_kinds import OWN_TABLES, common_folder, printable, unlisted_notes
from arcwise.data.formats.folder_identities import TopFolders, manifest_of_files
from arcwise.data.formats.pairs import OWN_PAIRS, with_pairs
from arcwise.data.formats.table import read_table_bytes
from arcwise.data.image_files import open_container, read_image_bytes
from arcwise.data.manifest import Manifest


def read(path: Path, *, identities: bool = True, top_folders: TopFolders | None = None) -> Manifest:
    """Return the manifest of an archive; its images are `archive.zip/member`.

    Its own table or pairs may lie in a folder around all the rest.
    """
    archive = open_container(str(path))
    assert isinstance(archive, ZipContainer), "its ending was checked"
    places = tuple(dict.fromkeys(("", common_folder(archive.members))))
    manifest = _images(path, archive.members, places, identities, top_folders)
    manifest = replace(manifest, notes=(*archive.notes, *manifest.notes))
    lists = (place + name for place in places for name in OWN_PAIRS)
    pairs = next((name for name in lists if name in archive.members), None)
    return with_pairs(manifest, pairs, archive.read(pairs, pairs)) if pairs else manifest


def _images(
    path: Path,
    members: dict[str, ZipInfo],
    places: Iterable[str],
    identities: bool,
    top_folders: TopFolders | None,
) -> Manifest:
    for place, name in product(places, OWN_TABLES):
        if place + name in members:
            data = read_image_bytes(path, place + name)
            title, root = f"{path.name}/{place}{name}", path / place
            manifest = read_table_bytes(
                data, title, root=root, name=path.stem, identities=identities
            )
            inside = (one.removeprefix(place) for one in members)
            notes = unlisted_notes(inside, title, manifest.images) if manifest.has_images else ()
            return replace(manifest, notes=(*manifest.notes, *notes))
    links = {name for name, info in members.items() if stat.S_ISLNK(info.external_attr >> 16)}
    files = [name for name, info in members.items() if not info.is_dir() and name not in links]
    prefix = f"{path.name}/"
    manifest = manifest_of_files(
        files,
        path.parent,
        path.stem,
        identities=identities,
        prefix=prefix,
        top_folders=top_folders,
    )
    if not links:
        return manifest
    first = f"{printable(min(links))}{' …' if len(links) > 1 else ''}"
    note = f"{len(links):,} members are links, and left out ({first})"
    ignored = sorted({*manifest.ignored, *map(printable, links)})
    return replace(manifest, ignored=tuple(ignored), notes=(*manifest.notes, note))
