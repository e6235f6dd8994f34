"""`arcwise embed`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.verbs.embed import embed


def command(
    model: Positional[Path],
    data: Positional[Path],
    out: Path = Path("embeddings.parquet"),
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Write the embeddings of a data set to a Parquet file.

    Pictures that cannot be read have no row; they are counted and listed, and the exit status is 0
    all the same. It is 2 where none can be read, and nothing is written then.

    Args:
        model: A model folder.
        data: A folder, table or zip of pictures.
        out: The file to write.
        json: Print one JSON document instead.
        naming: How a table calls things.
    """
    with progress("embedding") as move:
        result = embed(
            model,
            naming.open(data, identities=False),
            out,
            progress=move,
        )
    if json:
        print_json(vars(result))
        return 0
    left_out("pictures could not be read and have no row", result.failures)
    left_out("files are not pictures", result.ignored)
    print(f"{result.path}: {result.vectors} vectors of {result.dim} dimensions")
    return 0
