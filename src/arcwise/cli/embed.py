"""`arcwise embed`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.verbs.embed import embed


def command(
    model: Positional[Path],
    data: Positional[Path],
    out: Path = Path("embeddings.parquet"),
    naming: NamingOptions = USUAL,
) -> int:
    """Write the embeddings of a data set to a Parquet file.

    Args:
        model: A model folder.
        data: A folder, table or zip of pictures.
        out: The file to write.
        naming: How a table calls things.
    """
    with progress("embedding") as move:
        result = embed(
            model,
            naming.open(data, identities=False),
            out,
            progress=move,
        )
    left_out("pictures could not be read and have no row", result.failures)
    left_out("files are not pictures", result.ignored)
    print(f"{result.path}: {result.vectors} vectors of {result.dim} dimensions")
    return 0
