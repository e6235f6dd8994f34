"""The images of a page that is judged: whether they are there, and each decoded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from arcwise.data.formats.table import with_reachable_images
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode

if TYPE_CHECKING:
    import numpy as np


def check_images(manifest: Manifest) -> None:
    """Raise where no page can be made of a data set, before any work is done for it.

    Raises:
        ArcwiseError: it has no images, or none of a few is there.
    """
    if not manifest.has_images:
        raise ArcwiseError(
            f"{manifest.title}: holds embeddings without images, of which no page can be made; "
            "expected a column 'image', as `arcwise embed` writes it"
        )
    if len(manifest):
        with_reachable_images(manifest.table, manifest.root, manifest.title)


def images_are_there(manifest: Manifest) -> bool:
    """Return whether one of a few images is there, of a data set that names some."""
    try:
        check_images(manifest)
    except ArcwiseError:
        return False
    return True


def note_on_the_rest(asked: int, count: int) -> str:
    """Return what a page says of findings that it does not ask about; empty where it has all."""
    if count <= asked:
        return ""
    return (
        f"The {asked} surest of {count:,}; the next page has others: give the decisions to the "
        "next run with --decisions."
    )


def pixels_once(manifest: Manifest) -> Callable[[int], np.ndarray | str]:
    """Return a function from a row to its image, small and decoded once; or why it cannot be."""
    from arcwise.report import shrunk

    @cache
    def pixels(row: int) -> np.ndarray | str:
        try:
            return shrunk(decode(manifest.read(row), manifest.image(row)))
        except ImageError as error:
            return error.reason

    return pixels
