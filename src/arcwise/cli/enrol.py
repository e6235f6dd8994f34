"""`arcwise enrol`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.verbs.enrol import enrol


def command(
    gallery: Positional[str],
    data: Positional[Path],
    model: Path | None = None,
    replace: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Put pictures of known identities into a gallery.

    Args:
        gallery: The gallery's file; made if there is none.
        data: A data set in any form: a folder of folders, a table, an archive.
        model: The model folder; an existing gallery knows its own.
        replace: Whether older pictures of the same identities go.
        naming: How a table calls things.
    """
    with progress("embedding") as move:
        result = enrol(
            gallery,
            naming.open(data),
            model=model,
            replace=replace,
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
