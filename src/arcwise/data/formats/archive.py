"""A `.zip` with a folder per identity: read in place, never unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

from arcwise.data.formats.layout import OWN_TABLES, arrange
from arcwise.data.formats.table import read_table_bytes
from arcwise.data.manifest import Manifest
from arcwise.data.picture import open_archive, read_picture
from arcwise.errors import ArcwiseError


def read_archive(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of an archive; its images are `archive.zip/member`."""
    try:
        members = open_archive(str(path))
    except (zipfile.BadZipFile, OSError) as problem:
        raise ArcwiseError(f"{path}: not a whole .zip archive ({problem})") from None
    for name in OWN_TABLES:
        if name in members:
            data = read_picture(path, name)
            title = f"{path.name}/{name}"
            return read_table_bytes(data, title, root=path, name=path.stem, identities=identities)
    files = [name for name, info in members.items() if not info.is_dir()]
    prefix = f"{path.name}/"
    return arrange(files, path.parent, path.stem, identities=identities, prefix=prefix)
