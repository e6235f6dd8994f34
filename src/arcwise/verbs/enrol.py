"""Enrol: images of known identities into a gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from arcwise.verbs.enrolled_images import CONTENT, image_metadata
from arcwise.verbs.gallery_model import gallery_may_exist, gallery_model

_SHOWN = 3


@dataclass(frozen=True)
class Enrolled:
    """What was enrolled.

    Attributes:
        templates: images enrolled.
        identities: of how many identities.
        replaced: older templates that these replaced.
        total: templates in the gallery now.
        failures: images that could not be read, and are not enrolled.
        ignored: files that are not images.
        had_templates: how many of the identities had templates before.
        repeated: images that were enrolled before.
        trained_images: how many of the data set's images the model was trained on; None if it
            does not say.
        notes: what the user has to know of the images.
    """

    templates: int
    identities: int
    replaced: int
    total: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    had_templates: int = 0
    repeated: int = 0
    trained_images: int | None = None
    notes: tuple[str, ...] = ()


def enrol(
    gallery: str | Path,
    data: str | Path | Manifest,
    *,
    model: str | Path | None = None,
    replace: bool = False,
    again: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Enrolled:
    """Embed a data set and enrol it: every readable image, or none if anything goes wrong.

    Args:
        gallery: the file; it is created, for `model`, where there is none.
        data: images with identities, in any form that `open_manifest` reads.
        model: the model folder; an existing gallery knows its own.
        replace: whether an identity's older templates go.
        again: whether templates are added to identities that have some.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: no model, no images, or a gallery of another model; identities that have
            templates already, with neither `replace` nor `again`; or both of these.
    """
    if replace and again:
        raise ArcwiseError(
            "both replace and again; older templates are replaced (--replace) or kept (--again)"
        )
    manifest = open_manifest(data)
    identities = manifest.identities  # complain before embedding
    loaded = gallery_model(gallery, model, create=True)
    digests = content_digests(manifest)
    enrolled_as: dict[str, str] = {}  # the written form of identities that have templates
    repeated = np.zeros(len(manifest), bool)
    if gallery_may_exist(gallery):
        with open_gallery(gallery, mode="r", model=loaded) as store:
            enrolled_as = {one: forms[0] for one in manifest.classes if (forms := store.forms(one))}
            templates = {one: store.metadata(one) for one in enrolled_as}
        repeated = _repeated(templates, identities, digests)
        if enrolled_as and not (replace or again):
            message = _ask_what_to_do(enrolled_as, templates, int(repeated.sum()))
            raise GalleryError(f"{gallery}: {message}")
    embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
    of_images = image_metadata(manifest, digests)
    trained = None if loaded.bundle is None else loaded.bundle.trained_images()
    items = [
        (
            enrolled_as.get(identities[row], identities[row]),
            vector,
            of_images[row],
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
            notes=embedded.notes,
            ignored=manifest.ignored,
            had_templates=len(enrolled_as),
            repeated=int(repeated[embedded.rows].sum()),
            trained_images=None if trained is None else int(np.isin(digests, trained).sum()),
        )


def _repeated(
    templates: Mapping[str, list[dict[str, Any]]],
    identities: Sequence[str],
    digests: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return (N,) whether each row's image is enrolled already.

    Args:
        templates: the metadata of every template of the identities that have some.
        identities: (N,) of the rows.
        digests: (N,) of their image files.
    """
    enrolled = {
        (one, template.get(CONTENT)) for one, each in templates.items() for template in each
    }
    rows = zip(identities, digests.tolist(), strict=True)
    return np.array([(identity, f"{digest:016x}") in enrolled for identity, digest in rows])


def _ask_what_to_do(
    enrolled_as: Mapping[str, str], templates: Mapping[str, list[dict[str, Any]]], repeated: int
) -> str:
    """Return the message about identities that have templates already.

    Args:
        enrolled_as: how the gallery writes each of these identities.
        templates: the metadata of their templates.
        repeated: how many of the images are enrolled already.
    """
    same = f"; {repeated:,} of these images are enrolled already" if repeated else ""
    listed = [
        f"{one}: {len(templates[one])}"
        if one == name
        else f"{one} (there {name}): {len(templates[one])}"
        for one, name in enrolled_as.items()
    ]
    advice = ""
    if all(map(is_bare_number, enrolled_as)):
        advice = "; if these numbers stand for others than there, give them names (say b-1)"
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return (
        f"{len(listed):,} of these identities have templates already "
        f"({', '.join(listed[:_SHOWN])}{more}){same}; say --replace to replace their templates, or "
        f"--again to add to them{advice}"
    )
