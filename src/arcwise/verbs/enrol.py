"""Enrol: images of known identities into a gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.client import Client
from arcwise.data.digests import content_digests
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import NewTemplate, shown_address
from arcwise.identity import is_bare_number
from arcwise.recognition import Recogniser
from arcwise.recognition.quality import check_least_quality
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import (
    best_image,
    images_of,
    metadata_of_all,
    pooled,
    weighting,
)
from arcwise.runtime import Embedded
from arcwise.verbs.asking import is_address, refuse_model
from arcwise.verbs.enrol_metadata import check_keys, column_metadata, joined
from arcwise.verbs.enrol_on_server import enrol_on_server
from arcwise.verbs.enrol_result import Enrolled, RefusedImage
from arcwise.verbs.enrolled_images import image_metadata

__all__ = ["Enrolled", "RefusedImage", "enrol"]

_SHOWN = 3


def enrol(
    gallery: str | Path,
    data: str | Path | Manifest,
    *,
    model: str | Path | None = None,
    replace: bool = False,
    again: bool = False,
    together: bool = False,
    least_quality: float | None = None,
    thumbnails: bool = True,
    metadata: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
    progress: Callable[[int, int], object] | None = None,
) -> Enrolled:
    """Embed a data set and enrol it: every readable image, or none if anything goes wrong.

    The quality that a model estimates is stored with each template.

    Args:
        gallery: the file, which is created, for `model`, where there is none; or its address on a
            server.
        data: images with identities, in any form that `open_manifest` reads.
        model: the model folder; an existing gallery knows its own.
        replace: whether an identity's older templates go.
        again: whether templates are added to identities that have some.
        together: whether all images of an identity become one template, weighted by the quality
            that the model estimates, if it does.
        least_quality: images below it are refused; only for a model that estimates a quality.
        thumbnails: whether a small image is kept with each template.
        metadata: a JSON object, kept with each template.
        columns: of the data set, whose values are kept with the templates of their rows.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: no model, no images, or a gallery of another model; identities that have
            templates already, with neither `replace` nor `again`; both of these; a least quality
            for a model that estimates none, or that no image has; or metadata that cannot be kept.
    """
    if replace and again:
        raise ArcwiseError(
            "both replace and again; older templates are replaced (--replace) or kept (--again)"
        )
    manifest = open_manifest(data)
    identities = manifest.identities  # complain before embedding
    check_keys(metadata or {})
    of_rows = column_metadata(manifest, columns)
    if is_address(gallery):
        refuse_model(gallery, model)
        with Client(str(gallery)) as client:
            return enrol_on_server(
                client,
                manifest,
                joined([{}] * len(manifest), metadata, of_rows),
                replace=replace,
                again=again,
                together=together,
                least_quality=least_quality,
                progress=progress,
            )
    with Recogniser(model, gallery, create=True) as recogniser:
        loaded = recogniser.model
        if least_quality is not None:
            check_least_quality(loaded, least_quality)
        digests = content_digests(manifest)
        enrolled_as: dict[str, str] = {}  # the written form of identities that have templates
        repeated = np.zeros(len(manifest), bool)
        if recogniser.exists:
            store = recogniser.gallery
            enrolled_as = {one: forms[0] for one in manifest.classes if (forms := store.forms(one))}
            templates = {one: store.metadata(one) for one in enrolled_as}
            repeated = _repeated(templates, identities, digests)
            if enrolled_as and not (replace or again):
                message = _ask_what_to_do(enrolled_as, templates, int(repeated.sum()))
                raise GalleryError(f"{shown_address(gallery)}: {message}")
        embedded = recogniser.embed(manifest, thumbnails=thumbnails, progress=progress)
        of_images = joined(image_metadata(manifest, digests), metadata, of_rows)
        trained = None if loaded.bundle is None else loaded.bundle.trained_images()
        names = np.array([enrolled_as.get(one, one) for one in identities], object)[embedded.rows]
        good = np.ones(len(embedded.rows), bool)
        if least_quality is not None and embedded.quality is not None:
            good = embedded.quality >= least_quality
            if not good.any():
                raise ArcwiseError(
                    f"{manifest.name}: no image has a quality of {least_quality:g}; the best has "
                    f"{embedded.quality.max():.3f}: lower --least-quality, or bring better images"
                )
        refused = [
            RefusedImage(
                manifest.image(embedded.rows[place]),
                str(names[place]),
                float(embedded.quality[place]),
            )
            for place in np.flatnonzero(~good)
            if embedded.quality is not None
        ]
        groups = [np.array([place]) for place in np.flatnonzero(good)]
        if together:
            groups = [
                np.flatnonzero(good & (names == name))
                for name in dict.fromkeys(names[good].tolist())
            ]
        items = [_item(embedded, group, names, of_images) for group in groups]
        receipt = recogniser.gallery.enrol(items, replace=replace)
        return Enrolled(
            templates=len(receipt),
            identities=len({one.identity for one in items}),
            replaced=receipt.replaced,
            total=len(recogniser.gallery),
            failures=tuple(embedded.failures),
            notes=embedded.notes,
            ignored=manifest.ignored,
            had_templates=len(enrolled_as),
            repeated=int(repeated[embedded.rows[good]].sum()),
            images=int(good.sum()),
            weighting=weighting(loaded) if together else "",
            refused=tuple(sorted(refused, key=lambda one: one.quality)),
            left_out=tuple(sorted(set(names[~good]) - set(names[good]))),
            trained_images=None if trained is None else int(np.isin(digests, trained).sum()),
        )


def _item(
    embedded: Embedded,
    group: NDArray[np.int64],
    names: NDArray[Any],
    of_images: Sequence[dict[str, Any]],
) -> NewTemplate:
    """Return the template of one image, or of several of an identity."""
    quality = None if embedded.quality is None else embedded.quality[group]
    vector, mean_quality = pooled(embedded.vectors[group], quality)
    metadata = metadata_of_all([of_images[row] for row in embedded.rows[group]], quality)
    image = None
    if embedded.thumbnails:
        image = embedded.thumbnails[group[best_image(quality)]]
    return NewTemplate(str(names[group[0]]), vector, metadata, mean_quality, image)


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
        (one, image.get(CONTENT))
        for one, each in templates.items()
        for template in each
        for image in images_of(template)
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
