"""Enrol: pictures of known identities into a gallery."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from arcwise import runtime
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.errors import ImageError
from arcwise.gallery import open_gallery
from arcwise.verbs.model_of import model_of


@dataclass(frozen=True)
class Enrolled:
    """What was enrolled.

    Attributes:
        templates: pictures enrolled.
        identities: of how many identities.
        replaced: older templates that they replaced.
        total: templates in the gallery now.
        failures: pictures that could not be read, and are not enrolled.
        ignored: files that are not pictures.
    """

    templates: int
    identities: int
    replaced: int
    total: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]


def enrol(
    gallery: str | Path,
    data: str | Path | Manifest,
    *,
    model: str | Path | None = None,
    replace: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Enrolled:
    """Embed a data set and enrol it: every readable picture, or none if anything goes wrong.

    Args:
        gallery: the file; it is created, for `model`, where there is none.
        data: pictures with identities, in any form that `open_manifest` reads.
        model: the model folder; an existing gallery knows its own.
        replace: whether an identity's older templates go.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: no model, no pictures, or a gallery of another model.
    """
    manifest = open_manifest(data)
    identities = manifest.identities  # complain before embedding
    loaded = model_of(gallery, model, create=True)
    embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
    images = manifest.images
    root = os.fsencode(os.path.abspath(manifest.root)).decode(errors="replace")
    items = [
        (identities[row], vector, {"image": images[row], "root": root})
        for row, vector in zip(embedded.rows, embedded.vectors, strict=True)
    ]
    with open_gallery(gallery, create=True, model=loaded) as store:
        receipt = store.enrol(items, replace=replace)
        return Enrolled(
            templates=len(receipt),
            identities=len({identity for identity, _, _ in items}),
            replaced=receipt.replaced,
            total=len(store),
            failures=tuple(embedded.failures),
            ignored=manifest.ignored,
        )
