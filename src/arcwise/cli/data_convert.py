"""`arcwise data convert`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import progress
from arcwise.verbs.data_convert import convert


def command(
    source: Positional[Path],
    destination: Positional[Path],
    naming: NamingOptions = USUAL,
) -> int:
    """Turn one form of a data set into another, named by the destination's ending.

    Args:
        source: A folder of folders, a CSV or Parquet table, or a zip.
        destination: A new folder, .zip, .csv or .parquet.
        naming: How a table calls things.
    """
    manifest = naming.open(source)
    with progress("converting") as move:
        print(convert(manifest, destination, progress=move))
    return 0
