"""`arcwise data check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.screen import progress
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_check import check
from arcwise.verbs.quality_page import write_quality_page
from arcwise.verbs.search_page import page_path


def command(
    data: Data,
    against: tuple[Path, ...] = (),
    other_identities: bool = False,
    model: str | None = None,
    preparation: Path | None = None,
    out: Path | None = None,
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
            embeddings reveal labels that may be wrong. A model that estimates the quality of
            images shows the worst, and whether errors fall without them.
        preparation: JSON file of how an image is prepared, for a bare .onnx.
        out: Page of the images of lowest quality and of the errors without them: a file ending in
            .html, or a folder for quality.html. It needs such a model.
        cache: Keep embeddings for the next time, in the user's cache folder.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    manifest = open_manifest(data, identities=False, **naming.options)  # the report has its notes
    page = None if out is None else page_path(out, "quality.html")  # what is wrong is said first
    if page is not None and model is None:
        raise ArcwiseError(f"--out {out}: the page shows what a model finds; name one: --model")
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
    if page is not None:
        write_quality_page(page, manifest, report.by_model)
    if json:
        print_json(report.as_dict() | ({} if page is None else {"page": page}))
    else:
        print(report)
        if page is not None:
            print(f"page: {page}")
    return 1 if report.problems else 0
