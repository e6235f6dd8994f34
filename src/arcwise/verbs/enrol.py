"""Enrol: pictures of known identities into a gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise import runtime
from arcwise.data.content import content_digests
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.gallery import open_gallery
from arcwise.verbs.model_of import model_of, there

_DIGEST = "content"
"""What a template's metadata call the digest of the image file it was made from."""

_SHOWN = 3


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
        known: identities of these that had templates before.
        trained_images: how many of the data set's pictures the model was trained on; None if it
            does not say.
    """

    templates: int
    identities: int
    replaced: int
    total: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    known: int = 0
    trained_images: int | None = None


def enrol(
    gallery: str | Path,
    data: str | Path | Manifest,
    *,
    model: str | Path | None = None,
    replace: bool = False,
    again: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Enrolled:
    """Embed a data set and enrol it: every readable picture, or none if anything goes wrong.

    Args:
        gallery: the file; it is created, for `model`, where there is none.
        data: pictures with identities, in any form that `open_manifest` reads.
        model: the model folder; an existing gallery knows its own.
        replace: whether an identity's older templates go.
        again: whether templates are added to identities that have some.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: no model, no pictures, or a gallery of another model; identities that have
            templates already, with neither `replace` nor `again`; or both of these.
    """
    if replace and again:
        raise ArcwiseError(
            "both replace and again; older templates are replaced (--replace) or kept (--again)"
        )
    manifest = open_manifest(data)
    identities = manifest.identities  # complain before embedding
    loaded = model_of(gallery, model, create=True)
    digests = content_digests(manifest)
    with_templates: dict[str, int] = {}
    called: dict[str, str] = {}  # what an identity is called there, where it is
    if there(gallery):
        with open_gallery(gallery, mode="r", model=loaded) as store:
            held = {one: store.metadata(one) for one in manifest.classes}
            called = {one: (store.forms(one) or [one])[0] for one in manifest.classes}
        with_templates = {one: len(templates) for one, templates in held.items() if templates}
        if with_templates and not (replace or again):
            shown = {
                one if one == called[one] else f"{one} (there {called[one]})": count
                for one, count in with_templates.items()
            }
            raise GalleryError(_asked(gallery, shown, _repeated(manifest, digests, held)))
    embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
    images = manifest.images
    trained = None if loaded.bundle is None else loaded.bundle.trained_images()
    items = [
        (
            called.get(identities[row], identities[row]),
            vector,
            {"image": images[row], _DIGEST: f"{digests[row]:016x}"},
        )
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
            known=len(with_templates),
            trained_images=None if trained is None else int(np.isin(digests, trained).sum()),
        )


def _repeated(
    manifest: Manifest, digests: NDArray[np.int64], held: Mapping[str, list[dict[str, Any]]]
) -> int:
    """How many pictures are enrolled already for their identity, byte for byte."""
    enrolled = {
        (identity, template.get(_DIGEST)) for identity, found in held.items() for template in found
    }
    return sum(
        (identity, f"{digest:016x}") in enrolled
        for identity, digest in zip(manifest.identities, digests.tolist(), strict=True)
    )


def _asked(gallery: str | Path, with_templates: Mapping[str, int], repeated: int) -> str:
    listed = [f"{one}: {count}" for one, count in with_templates.items()]
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    same = f"; {repeated:,} of these pictures are enrolled already" if repeated else ""
    return (
        f"{gallery}: {len(listed):,} of these identities have templates already "
        f"({', '.join(listed[:_SHOWN])}{more}){same}; say --replace to replace their templates, or "
        "--again to add to them"
    )
