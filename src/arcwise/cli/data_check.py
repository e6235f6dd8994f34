"""`arcwise data check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.screen import progress
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.data_check import check


def command(
    data: Data,
    against: tuple[Path, ...] = (),
    other_identities: bool = False,
    model: str | None = None,
    preparation: Path | None = None,
    cache: bool = True,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Look at a data set: counts, unreadable files, (near-)duplicates, leaks, suspect labels.

    Exit status 0: no problems; 1: problems; 2: it could not be looked at. Problems: what cannot be
    decoded; the same image more than once; one image, or nearly one, of two identities or in
    two splits or data sets; an identity in several of those, or spelled in two ways; rows without
    an identity among others that have one. Everything else is a note: nearly the same image
    within an identity, identities with one image, files that are no images, and what --model
    suspects.

    Args:
        data: Data set in any form: a folder, a table, an archive.
        against: Other data sets that should share no image and no identity with it.
        other_identities: Identities of the other data sets are none of this one's, though they may
            be called alike (0, 1, …).
        model: Model folder, a bare .onnx with --preparation, or - for vectors in the data; its
            embeddings reveal labels that may be wrong.
        preparation: JSON file of how an image is prepared, for a bare .onnx.
        cache: Keep embeddings for the next time, in the user's cache folder.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    manifest = open_manifest(data, identities=False, **naming.options)  # the report has its notes
    with progress("reading") as move:
        report = check(
            manifest,
            against=against,
            other_identities=other_identities,
            model=model,
            preparation=preparation,
            cached=cache,
            progress=move,
            comparing=partial(move, now="comparing"),
            embedding=partial(move, now="embedding"),
        )
    if json:
        print_json(report.as_dict())
    else:
        print(report)
    return 1 if report.problems else 0
