"""Enrol: pictures of known identities into a gallery."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise import runtime
from arcwise.data.digests import content_digests
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.gallery import open_gallery
from arcwise.identity import is_bare_number
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
    called: dict[str, str] = {}  # what those are called that have templates
    if there(gallery):
        with open_gallery(gallery, mode="r", model=loaded) as store:
            called = {one: forms[0] for one in manifest.classes if (forms := store.forms(one))}
            if called and not (replace or again):
                held = {one: store.metadata(one) for one in called}
                raise GalleryError(_asked(gallery, called, held, manifest, digests))
    embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
    images = manifest.images
    trained = None if loaded.bundle is None else loaded.bundle.trained_images()
    root = os.fsencode(os.path.abspath(manifest.root)).decode(errors="replace")
    items = [
        (
            called.get(identities[row], identities[row]),
            vector,
            {"image": images[row], "root": root, _DIGEST: f"{digests[row]:016x}"},
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
            known=len(called),
            trained_images=None if trained is None else int(np.isin(digests, trained).sum()),
        )


def _asked(
    gallery: str | Path,
    called: Mapping[str, str],
    held: Mapping[str, list[dict[str, Any]]],
    manifest: Manifest,
    digests: NDArray[np.int64],
) -> str:
    """What to say of identities that have templates (`held`) already."""
    enrolled = {(one, template.get(_DIGEST)) for one, found in held.items() for template in found}
    rows = zip(manifest.identities, digests.tolist(), strict=True)
    repeated = sum((identity, f"{digest:016x}") in enrolled for identity, digest in rows)
    same = f"; {repeated:,} of these pictures are enrolled already" if repeated else ""
    listed = [
        f"{one}: {len(held[one])}" if one == name else f"{one} (there {name}): {len(held[one])}"
        for one, name in called.items()
    ]
    others = ""
    if all(map(is_bare_number, called)):
        others = "; if these numbers stand for others than there, give them names (say b-1)"
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return (
        f"{gallery}: {len(listed):,} of these identities have templates already "
        f"({', '.join(listed[:_SHOWN])}{more}){same}; say --replace to replace their templates, or "
        f"--again to add to them{others}"
    )
