"""The templates of a gallery, embedded again with another model, into a gallery that follows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from arcwise.data.parallel import each_row
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.gallery import DamagedGallery, Gallery, GalleryAbout, NewTemplate
from arcwise.identity import written_form
from arcwise.images import decode
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import TOGETHER, images_of, metadata_of_all, pooled
from arcwise.runtime import Model, QualifiedEmbeddings
from arcwise.verbs.enrolled_images import EnrolledImages

UPGRADED_FROM = "upgraded_from"
"""The key, in a template's metadata, of the number that it had in the gallery before."""

_OF_IMAGES = ("image", "root", CONTENT, "landmarks", TOGETHER)  # what is recorded of them
_BATCH = 64  # templates embedded at once, and safe on disk together

Progress = Callable[[int, int, str], object]
"""Called with what is done, the total, and what is being done."""


class TemplateNow(NamedTuple):
    """A template as it is, taking part or in quarantine.

    Attributes:
        template: its id.
        identity: whose it is.
        metadata: the JSON object of it.
        quarantine: why it takes part in nothing; None where it does.
    """

    template: int
    identity: str
    metadata: dict[str, Any]
    quarantine: str | None

    @property
    def origin(self) -> Any:
        """The id that it had in the gallery before, in one that was upgraded."""
        return self.metadata.get(UPGRADED_FROM)


def templates_now(gallery: Gallery) -> list[TemplateNow]:
    """Return all templates, those in quarantine too, as they are at one moment."""
    return [
        TemplateNow(template, written_form(identity) or identity, metadata, reason)
        for one in gallery.stored()
        for template, identity, metadata, reason in zip(
            one.templates.tolist(), one.identities, one.metadata, one.quarantined, strict=True
        )
    ]


@dataclass(frozen=True)
class MissingTemplate:
    """A template that cannot be embedded again.

    Attributes:
        template: its number in the old gallery.
        identity: whose it is.
        image: the path that was enrolled; None where none is recorded.
        reason: why not.
    """

    template: int
    identity: str
    image: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.identity}: {self.image or f'template {self.template}'}: {self.reason}"


class TakenIn(NamedTuple):
    """What one run did.

    Attributes:
        state: what the old gallery said of itself, in the state that was taken in.
        embedded: templates that were put into the new gallery.
        removed: templates that were taken out of it.
        missing: templates of the old gallery that are not in it.
        whole: images taken whole by a model of turned faces.
    """

    state: GalleryAbout
    embedded: int
    removed: int
    missing: list[MissingTemplate]
    whole: int


def take_in(
    old: Gallery, new: Gallery, model: Model, places: EnrolledImages, progress: Progress
) -> TakenIn:
    """Bring the new gallery to what the old one holds, as it is when this ends.

    Templates in quarantine stay there, and thumbnails are those of the old gallery. What was
    assigned, annotated, quarantined or released there since is followed.
    """
    embedded = removed = whole = 0
    missing: dict[int, MissingTemplate] = {}
    while True:
        state = old.about()  # before: a change while templates are read is one after this state
        templates = {one.template: one for one in templates_now(old)}
        removed += _follow(templates, new)
        done = {one.origin for one in templates_now(new)}
        missing = {one: missing[one] for one in missing if one in templates}
        pending = [one for one in templates.values() if one.template not in {*done, *missing}]
        if not pending:
            return TakenIn(state, embedded, removed, list(missing.values()), whole)
        for ready, vectors, failed in _embedded_again(pending, model, places):
            items = [_item(one, vector, old) for one, vector in zip(ready, vectors, strict=True)]
            receipt = new.enrol(items)
            for one, template in zip(ready, receipt.templates, strict=True):
                if one.template.quarantine is not None:
                    new.quarantine([template], one.template.quarantine)
            embedded += len(items)
            whole += sum(one.whole for one in ready)
            missing |= {one.template: one for one in failed}
            progress(len(done) + embedded + len(missing), len(templates), "embedding")


def _follow(templates: Mapping[int, TemplateNow], new: Gallery) -> int:
    """Let templates of the new gallery be what they are in the old one now.

    Args:
        templates: of the old gallery, by id.
        new: the new one.

    Returns:
        How many were removed: the old gallery has them no more, or of other images.
    """
    gone: list[int] = []
    assigned: dict[str, list[int]] = defaultdict(list)
    held: dict[str | None, list[int]] = defaultdict(list)
    seen = set()
    for one in templates_now(new):
        was = templates.get(one.origin)
        if was is None or was.template in seen or not _same_images(was.metadata, one.metadata):
            gone.append(one.template)
            continue
        seen.add(was.template)
        metadata = _carried(was, one.metadata)
        if metadata != one.metadata:
            new.annotate(one.template, metadata)
        if was.identity != one.identity:
            assigned[was.identity].append(one.template)
        if was.quarantine != one.quarantine:
            held[was.quarantine].append(one.template)
    if gone:
        new.remove_templates(gone)
    for identity, those in assigned.items():
        new.assign(those, identity)
    for reason, those in held.items():
        if reason is None:
            new.release(those)
        else:
            new.quarantine(those, reason)
    return len(gone)


def _same_images(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether two templates are of the same images, by what they record of them."""
    before, after = images_of(old), images_of(new)
    return len(before) == len(after) and all(
        one.get(CONTENT) in (None, other.get(CONTENT))
        and one.get("landmarks") == other.get("landmarks")
        for one, other in zip(before, after, strict=True)
    )


def _carried(was: TemplateNow, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template of the new gallery records: what the old one says, images as found.

    Args:
        was: the template in the old gallery.
        new: what is recorded of the images now.
    """  # fmt: skip

    def joined(said: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        besides = {key: value for key, value in said.items() if key not in _OF_IMAGES}
        return besides | {key: found[key] for key in _OF_IMAGES if key in found}

    carried = joined(was.metadata, new) | {UPGRADED_FROM: was.template}
    images = images_of(new)
    if len(images) > 1:
        both = zip(images_of(was.metadata), images, strict=True)
        carried[TOGETHER] = [joined(said, found) for said, found in both]
    return carried


class _Prepared(NamedTuple):
    """A template whose K images wait for the network.

    Attributes:
        template: of the old gallery.
        pixels: (K, H, W, 3).
        metadata: what to record of each image.
        whole: how many of them are taken whole.
    """

    template: TemplateNow
    pixels: np.ndarray
    metadata: list[dict[str, Any]]
    whole: int


class _Embedded(NamedTuple):
    """What a template is to the new model: its vector, its quality, and what to record of it."""

    vector: np.ndarray
    quality: float | None
    metadata: dict[str, Any]


def _embedded_again(
    templates: Sequence[TemplateNow], model: Model, places: EnrolledImages
) -> Iterator[tuple[list[_Prepared], list[_Embedded], list[MissingTemplate]]]:
    """Yield batches: templates, what each is to the new model, and the templates that fail."""

    def prepared(row: int) -> _Prepared | MissingTemplate:
        one = templates[row]
        prepared_images, metadata, whole = [], [], 0
        for recorded in images_of(one.metadata):
            image = recorded.get("image")
            name = image if isinstance(image, str) else None
            try:
                image_file = places.find(recorded)
                pixels = decode(image_file.content, name or "")
                whole += model.takes_whole(pixels, image_file.landmarks)
                prepared_images.append(model.prepare(pixels, image_file.landmarks))
            except ImageError as problem:
                return MissingTemplate(one.template, one.identity, name, problem.reason)
            except ArcwiseError as problem:
                return MissingTemplate(one.template, one.identity, name, str(problem))
            metadata.append(image_file.metadata)
        return _Prepared(one, np.stack(prepared_images), metadata, whole)

    results = each_row(prepared, len(templates), ahead=_BATCH)
    while batch := [result for _, result in zip(range(_BATCH), results, strict=False)]:
        ready = [one for one in batch if isinstance(one, _Prepared)]
        failed = [one for one in batch if isinstance(one, MissingTemplate)]
        vectors = []
        if ready:
            names = [str(image["image"]) for one in ready for image in one.metadata]
            pixels = np.concatenate([one.pixels for one in ready])
            embedded = model.embed_pixels_with_quality(pixels, batch_size=_BATCH, names=names)
            vectors = _pooled(ready, embedded)
        yield ready, vectors, failed


def _pooled(ready: Sequence[_Prepared], embedded: QualifiedEmbeddings) -> list[_Embedded]:
    """Return what each template is, of the embeddings of all their images in turn."""
    ends = np.cumsum([len(one.pixels) for one in ready])
    found = []
    for one, end in zip(ready, ends.tolist(), strict=True):
        part = slice(end - len(one.pixels), end)
        quality = None if embedded.quality is None else embedded.quality[part]
        vector, mean_quality = pooled(embedded.vectors[part], quality)
        metadata = _carried(one.template, metadata_of_all(one.metadata, quality))
        found.append(_Embedded(vector, mean_quality, metadata))
    return found


def _item(one: _Prepared, now: _Embedded, old: Gallery) -> NewTemplate:
    """Return what to enrol of a template, with its thumbnail."""
    try:
        image = old.thumbnail(one.template.template)
    except DamagedGallery:
        raise
    except GalleryError:  # it was removed there meanwhile, and will be here
        image = None
    return NewTemplate(one.template.identity, now.vector, now.metadata, now.quality, image)
