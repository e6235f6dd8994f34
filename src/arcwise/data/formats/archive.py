"""A `.zip` with a folder per identity: read in place, never unpacked."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from zipfile import ZipInfo

from arcwise.data.containers.zipped import ZipContainer
from arcwise.data.formats.layout import OWN_TABLES, TopFolders, arrange, shown, unlisted
from arcwise.data.formats.pairs import OWN_PAIRS, with_pairs
from arcwise.data.formats.table import read_table_bytes
from arcwise.data.manifest import Manifest
from arcwise.data.picture import open_container, read_picture


def read(path: Path, *, identities: bool = True, top_folders: TopFolders | None = None) -> Manifest:
    """The manifest of an archive; its images are `archive.zip/member`."""
    archive = open_container(str(path))
    assert isinstance(archive, ZipContainer), "its ending says so"
    manifest = _pictures(path, archive.members, identities, top_folders)
    manifest = replace(manifest, notes=(*archive.notes, *manifest.notes))
    found = next((name for name in OWN_PAIRS if name in archive.members), None)
    return with_pairs(manifest, found, archive.read(found, found)) if found else manifest


def _pictures(
    path: Path, members: dict[str, ZipInfo], identities: bool, top_folders: TopFolders | None
) -> Manifest:
    for name in OWN_TABLES:
        if name in members:
            data = read_picture(path, name)
            title = f"{path.name}/{name}"
            found = read_table_bytes(data, title, root=path, name=path.stem, identities=identities)
            said = unlisted(members, title, found.images) if found.has_images else ()
            return replace(found, notes=(*found.notes, *said))
    links = {name for name, info in members.items() if stat.S_ISLNK(info.external_attr >> 16)}
    files = [name for name, info in members.items() if not info.is_dir() and name not in links]
    prefix = f"{path.name}/"
    manifest = arrange(
        files,
        path.parent,
        path.stem,
        identities=identities,
        prefix=prefix,
        top_folders=top_folders,
    )
    if not links:
        return manifest
    first = f"{shown(min(links))}{' …' if len(links) > 1 else ''}"
    note = f"{len(links):,} members are links, and left out ({first})"
    ignored = sorted({*manifest.ignored, *map(shown, links)})
    return replace(manifest, ignored=tuple(ignored), notes=(*manifest.notes, note))
