"""`arcwise data convert`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import progress
from arcwise.data.manifest import open_manifest
from arcwise.verbs.data_convert import convert


def command(
    source: Positional[Path],
    destination: Positional[Path],
    image_column: str | None = None,
    identity_column: str | None = None,
) -> int:
    """Turn one form of a data set into another, named by the destination's ending.

    Args:
        source: A folder of folders, a CSV or Parquet table, or a zip.
        destination: A new folder, .zip, .csv or .parquet.
        image_column: The column of the pictures, in a table that calls it otherwise.
        identity_column: The column of the identities, likewise.
    """
    manifest = open_manifest(source, image_column=image_column, identity_column=identity_column)
    with progress("converting") as move:
        print(convert(manifest, destination, progress=move))
    return 0
