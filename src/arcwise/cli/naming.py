"""Options for a data set that is a table: the names of its columns, and where its images are."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from arcwise.data.formats.folder_identities import TopFolders
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest


@dataclass(frozen=True)
class Naming:
    """The names of a table's columns, and where its images are."""

    image_column: str | None = None
    """Column of the images, in a table that names it otherwise."""
    identity_column: str | None = None
    """Column of the identities, in a table that names it otherwise."""
    images: Path | None = None
    """Folder or .zip that a table's image paths start from, when it is not the table's own."""

    top_folders: TopFolders | None = None
    """Meaning of the top folders, when their names do not say it: splits, domains, a part of the
    identity, or the identity itself."""

    def open(self, data: Path, *, identities: bool = True) -> Manifest:
        """Return the manifest of the data set, and print its notes."""
        manifest = open_manifest(data, identities=identities, **self.options)
        for note in manifest.notes:
            print(f"warning: {note}", file=sys.stderr)
        return manifest

    @property
    def options(self) -> dict[str, Any]:
        """The fields as arguments of `open_manifest`."""
        return asdict(self)

    def words(self) -> list[str]:
        """Return the options as they were typed."""
        given = {
            "--image-column": self.image_column,
            "--identity-column": self.identity_column,
            "--images": self.images,
            "--top-folders": self.top_folders,
        }
        return [str(word) for pair in given.items() if pair[1] is not None for word in pair]


NamingOptions = Annotated[Naming, tyro.conf.arg(name="")]
"""A `Naming` whose fields are options of the command itself."""

USUAL = Naming()
"""Columns called `image` and `identity`, images beside the table."""
