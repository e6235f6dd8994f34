"""`arcwise enrol`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data, GalleryName
from arcwise.cli.screen import counted, left_out, progress
from arcwise.cli.stopping import status_of
from arcwise.gallery import shown_address
from arcwise.verbs.asking import is_address
from arcwise.verbs.enrol import Enrolled, enrol
from arcwise.verbs.enrol_metadata import typed_pairs


def command(
    gallery: GalleryName,
    data: Data,
    model: Path | None = None,
    replace: bool = False,
    again: bool = False,
    together: bool = False,
    least_quality: float | None = None,
    thumbnails: bool = True,
    metadata: tuple[str, ...] = (),
    metadata_columns: tuple[str, ...] = (),
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Put images of known identities into a gallery.

    Identities that have templates already are refused without --replace or --again.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database. A file, or a gallery in a
            database, is made if there is none.
        data: Data set in any form: a folder of folders, a table, an archive.
        model: Model folder; an existing gallery knows its own.
        replace: Replace older templates of the same identities.
        again: Add templates to identities that have some.
        together: Make one template of all images of an identity, weighted by the quality that the
            model estimates, if it does.
        least_quality: Refuse images below this quality, for a model that estimates one.
        thumbnails: Keep a small image with each template: a JPEG of at most 160 pixels a side.
        metadata: What to keep with each template, for conditions of a search: key=value. A value is
            a number, true, false, or a text, which quotes make of a number too.
        metadata_columns: Columns of the data set to keep with the templates of their rows.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    embedded = False
    try:
        with progress("embedding") as move:

            def moved(done: int, total: int) -> None:
                nonlocal embedded
                embedded = done == total
                move(done, total)

            result = enrol(
                gallery,
                naming.open(data),
                model=model,
                replace=replace,
                again=again,
                together=together,
                least_quality=least_quality,
                thumbnails=thumbnails,
                metadata=typed_pairs(metadata),
                columns=metadata_columns,
                progress=moved,
            )
    except KeyboardInterrupt as stop:
        left = "nothing was enrolled"  # all are enrolled at once, after they are embedded
        if is_address(gallery):
            left = "identities that were sent before are enrolled"
        elif embedded:
            left = "all images are enrolled, or none is: `arcwise gallery info` says"
        print(f"stopped; {left}", file=sys.stderr)
        return status_of(stop)
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, **vars(result)})
    else:
        _show(place, result)
    return 0


def _show(gallery: str, result: Enrolled) -> None:
    left_out("images that could not be read and are not enrolled", result.failures)
    left_out("images whose quality is too low, not enrolled", result.refused)
    left_out("identities with no other image, not enrolled", result.left_out)
    left_out("files that are not images", result.ignored)
    for note in result.notes:
        print(f"warning: {note}")
    if result.trained_images:
        print(f"{result.trained_images:,} of these images were trained on")
    before, replaced = "", ""
    if result.had_templates and not result.replaced:
        before = f", {result.had_templates} of which had templates before"
    if result.replaced:
        replaced = f", {result.replaced} older ones replaced"
    elif result.repeated:
        replaced = f", {result.repeated} of the images were enrolled already"
    if result.weighting and result.images == result.templates:
        print("no identity has several images to take together: each is a template")
    elif result.weighting:
        print(
            f"{counted(result.images, 'image')} became {counted(result.templates, 'template')}, "
            f"{result.weighting}; thresholds measured for templates of one image do not hold for "
            f"them: arcwise calibrate MODEL DATA --gallery {gallery}"
        )
    print(
        f"{gallery}: enrolled {counted(result.images, 'image')} of "
        f"{counted(result.identities, 'identity')}{before}{replaced}; {result.total:,} in all"
    )
