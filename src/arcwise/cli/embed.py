"""`arcwise embed`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import left_out, progress
from arcwise.verbs.embed import embed


def command(
    model: Positional[Path],
    data: Positional[Path],
    out: Path = Path("embeddings.parquet"),
    image_column: str | None = None,
    identity_column: str | None = None,
) -> int:
    """Write the embeddings of a data set to a Parquet file.

    Args:
        model: A model folder.
        data: A folder, table or zip of pictures.
        out: The file to write.
        image_column: The column of the pictures, in a table that calls it otherwise.
        identity_column: The column of the identities, likewise.
    """
    with progress("embedding") as move:
        result = embed(
            model,
            data,
            out,
            image_column=image_column,
            identity_column=identity_column,
            progress=move,
        )
    left_out("pictures could not be read and have no row", result.failures)
    left_out("files are not pictures", result.ignored)
    print(f"{result.path}: {result.vectors} vectors of {result.dim} dimensions")
    return 0
