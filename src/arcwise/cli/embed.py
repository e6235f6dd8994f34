"""`arcwise embed`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data, ModelFolder
from arcwise.cli.screen import counted, left_out, progress
from arcwise.verbs.embed import embed


def command(
    model: ModelFolder,
    data: Data,
    out: Path = Path("embeddings.parquet"),
    cache: bool = True,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Write the embeddings of a data set to a Parquet file.

    Images that cannot be read have no row; they are counted and listed, and the exit status is 0
    all the same. It is 2 where none can be read, and nothing is written then.

    Args:
        model: Model folder.
        data: Folder, table or zip of images.
        out: File to write.
        cache: Keep embeddings for the next time, in the user's cache folder.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    with progress("embedding") as move:
        opened = naming.open(data, identities=False)
        result = embed(model, opened, out, cached=cache, progress=move)
    if json:
        print_json(vars(result))
        return 0
    for note in result.notes:
        print(f"warning: {note}", file=sys.stderr)
    left_out("images that could not be read and have no row", result.failures)
    left_out("files that are not images", result.ignored)
    reused = f", {result.reused:,} of them from the cache" if result.reused else ""
    print(f"{result.path}: {counted(result.vectors, 'vector')} of {result.dim} dimensions{reused}")
    return 0
