"""`arcwise gallery grow`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, ImageFiles
from arcwise.cli.screen import SHOWN, counted, left_out, progress
from arcwise.gallery import shown_address
from arcwise.recognition import Growth
from arcwise.verbs.gallery_grow import grow


def command(
    gallery: GalleryName,
    images: ImageFiles,
    fpir: float = 0.01,
    least_quality: float | None = None,
    model: Path | None = None,
    json: bool = False,
) -> int:
    """Search images one after the other; strangers who come back become identities.

    An image of nobody is kept in quarantine. One that meets two earlier ones, which meet each
    other, becomes an identity with them: unknown-0001. A person confirms it or takes it apart with
    `arcwise gallery confirm`.

    Args:
        gallery: Gallery file, or postgresql://HOST/DATABASE?gallery=NAME of a database.
        images: Image files or folders, in the order in which they came.
        fpir: Part of images of others that may meet one of those that are kept.
        least_quality: Keep no image below this quality, for a model that estimates one.
        model: Folder of the gallery's model, if it moved.
        json: Print one JSON document instead.
    """
    with progress("embedding") as move:
        result = grow(
            gallery, images, fpir=fpir, least_quality=least_quality, model=model, progress=move
        )
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, **vars(result), "discovered": result.discovered})
    else:
        show(place, result)
    return 0


def show(gallery: str, result: Growth) -> None:
    """Print who is new, and what is kept."""
    for note in result.notes:
        print(f"warning: {note}", file=sys.stderr)
    left_out("images that are not kept", result.failures)
    known = [one for one in result.images if one.identity is not None and not one.discovered]
    kept = sum(one.kept for one in result.images)
    print(
        f"{counted(len(result.images), 'image')}: {len(known):,} of enrolled identities, {kept:,} "
        f"of nobody and kept, {counted(len(result.discovered), 'new identity')}"
    )
    for name in result.discovered[: 4 * SHOWN]:
        print(f"  {name}: arcwise gallery confirm {gallery} {name} NAME, or --undo")
    print(
        f"{gallery}: {counted(result.sightings, 'image')} of strangers in quarantine; two of them "
        f"meet at similarity >= {result.point.threshold:.4f}"
    )
