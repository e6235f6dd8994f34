"""`arcwise data check`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import progress
from arcwise.data.manifest import open_manifest
from arcwise.verbs.data_check import check


def command(
    data: Positional[Path],
    against: tuple[Path, ...] = (),
    image_column: str | None = None,
    identity_column: str | None = None,
) -> int:
    """Look at a data set: counts, unreadable files, duplicates, leaks, suspect spellings.

    Args:
        data: A folder of folders, a CSV or Parquet table, or a zip.
        against: Other data sets that should share no picture and no identity with it.
        image_column: The column of the pictures, in a table that calls it otherwise.
        identity_column: The column of the identities, likewise.
    """
    manifest = open_manifest(
        data, image_column=image_column, identity_column=identity_column, identities=False
    )
    with progress("reading") as move:
        report = check(manifest, against=against, progress=move)
    print(report)
    return 0
