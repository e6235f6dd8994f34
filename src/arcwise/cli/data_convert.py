"""`arcwise data convert`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Destination, Source
from arcwise.cli.screen import progress
from arcwise.cli.stopping import status_of
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.data_convert import convert


def command(
    source: Source,
    destination: Destination,
    pairs: Path | None = None,
    naming: NamingOptions = USUAL,
) -> int:
    """Turn one form of a data set into another, named by the destination's ending.

    Images are copied byte for byte and not looked at: `arcwise data check` does that. After an
    interruption the same command goes on where it stopped.

    Args:
        source: Data set in any form: a folder, .zip, .rec, .tar, .bin, .parquet or .csv.
        destination: New folder (ending in /), .zip, .rec, .tar (shards of it), .parquet with
            the images inside, .bin (the images of pairs), or a .csv that points at the
            images where they are: the only form that does not copy them.
        pairs: File pairs.csv or pairs.txt of pairs to verify, instead of the data set's own.
        naming: Names of the columns and folders of a table.
    """
    manifest = open_manifest(source, identities=False, **naming.options)  # notes: in the summary
    try:
        with progress("converting") as move:
            print(convert(manifest, destination, pairs=pairs, progress=move, say=print))
    except KeyboardInterrupt as stop:
        print("stopped; the same command goes on from there", file=sys.stderr)
        return status_of(stop)
    return 0
