"""`arcwise data check`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import progress
from arcwise.verbs.data_check import check


def command(
    data: Positional[Path],
    against: tuple[Path, ...] = (),
    naming: NamingOptions = USUAL,
) -> int:
    """Look at a data set: counts, unreadable files, duplicates, leaks, suspect spellings.

    Args:
        data: A folder of folders, a CSV or Parquet table, or a zip.
        against: Other data sets that should share no picture and no identity with it.
        naming: How a table calls things.
    """
    manifest = naming.open(data, identities=False)
    with progress("reading") as move:
        report = check(manifest, against=against, progress=move)
    print(report)
    return 0
