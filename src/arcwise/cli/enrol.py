"""`arcwise enrol`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import left_out, progress
from arcwise.verbs.enrol import enrol


def command(
    gallery: Positional[str],
    data: Positional[Path],
    model: Path | None = None,
    replace: bool = False,
    image_column: str | None = None,
    identity_column: str | None = None,
) -> int:
    """Put pictures of known identities into a gallery.

    Args:
        gallery: The gallery's file; made if there is none.
        data: A folder of folders, a CSV or Parquet table, or a zip.
        model: The model folder; an existing gallery knows its own.
        replace: Whether older pictures of the same identities go.
        image_column: The column of the pictures, in a table that calls it otherwise.
        identity_column: The column of the identities, likewise.
    """
    with progress("embedding") as move:
        result = enrol(
            gallery,
            data,
            model=model,
            replace=replace,
            image_column=image_column,
            identity_column=identity_column,
            progress=move,
        )
    left_out("pictures could not be read and are not enrolled", result.failures)
    left_out("files are not pictures", result.ignored)
    replaced = f", {result.replaced} older ones replaced" if result.replaced else ""
    print(
        f"{gallery}: enrolled {result.templates} pictures of {result.identities} identities"
        f"{replaced}; {result.total} in all"
    )
    return 0
