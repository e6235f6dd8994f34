"""What most commands ask of a data set that is a table: how it calls things."""

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
    """How a table calls its columns, and where its pictures are."""

    image_column: str | None = None
    """The column of the pictures, in a table that calls it otherwise."""
    identity_column: str | None = None
    """The column of the identities, likewise."""
    images: Path | None = None
    """The folder or .zip that a table's pictures start from, when it is not the table's."""

    top_folders: TopFolders | None = None
    """What the top folders are, when their names do not say it: splits, domains, a part of the
    identity, or the identity itself."""

    def open(self, data: Path, *, identities: bool = True) -> Manifest:
        """The manifest of the data set; what the user has to know of it is printed."""
        manifest = open_manifest(data, identities=identities, **self.options)
        for note in manifest.notes:
            print(f"mind: {note}", file=sys.stderr)
        return manifest

    @property
    def options(self) -> dict[str, Any]:
        """The same for `open_manifest`."""
        return asdict(self)

    def words(self) -> list[str]:
        """The options as they were typed."""
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
"""Columns called `image` and `identity`, pictures beside the table."""
