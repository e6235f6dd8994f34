"""Growing: a stranger who comes back becomes an identity of the gallery, after stated evidence.

An image that is nobody's is kept as a *sighting*: a template in quarantine, which takes part in no
search. A new one that meets two earlier ones, which meet each other too, becomes an identity with
them, `unknown-0001`. Two sightings meet at a threshold of its own: the one that keeps a rate among
as many identities as there are sightings. A person confirms the identity, or takes it apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, ImageError
from arcwise.gallery import (
    Decision,
    Gallery,
    GallerySize,
    NewTemplate,
    OperatingPoint,
    nearest,
    operating_points,
)
from arcwise.identity import identity_key
from arcwise.recognition.images import ImageList
from arcwise.recognition.recorded import CONTENT
from arcwise.runtime import Embedded, Model

UNKNOWN = "unknown"
"""The identity of sightings, and how those of strangers who came back begin."""

GROWN = "grown"
"""The key, in the metadata of templates of an identity that was not confirmed, which is true."""

SIGHTING = "sighting"
"""The key, in the metadata of a sighting, which is true."""

SEEN = "unknown, seen "
"""How the reason begins for which a sighting is in quarantine."""

TAKEN_APART = "unknown, taken apart"
"""Why templates are in quarantine of an identity that a person undid; they are no sightings."""

EARLIER = 2
"""Earlier sightings that a new one must meet."""

_NAME = re.compile(rf"{UNKNOWN}-(\d+)")


@dataclass(frozen=True)
class Sighting:
    """What became of one image.

    Attributes:
        image: its path.
        identity: who it is of; None where it is unknown.
        similarity: to the closest identity; None where nobody is enrolled.
        kept: whether it is a new sighting; an unknown image that is one already is not.
        discovered: whether the identity is new, made of this image and earlier ones.
        template: number of its template, where it became one.
    """

    image: str
    identity: str | None
    similarity: float | None
    kept: bool = False
    discovered: bool = False
    template: int | None = None


@dataclass(frozen=True)
class Growth:
    """What became of images that a gallery grows with.

    Attributes:
        images: one for every readable image, in their order.
        failures: images that could not be read, or are of too low a quality to be kept.
        earlier: sightings that were kept before.
        sightings: that are kept now.
        point: at which two sightings met at the end, and what it promises.
        notes: what the user has to know of the images.
    """

    images: tuple[Sighting, ...]
    failures: tuple[ImageError, ...]
    earlier: int
    sightings: int
    point: OperatingPoint
    notes: tuple[str, ...] = ()

    @property
    def discovered(self) -> tuple[str, ...]:
        """The new identities."""
        return tuple(str(one.identity) for one in self.images if one.discovered)


class Sightings:
    """The sightings of a gallery, in memory: S vectors of D dimensions.

    Args:
        gallery: open for writing.
        model: whose thresholds say what meets.
        fpir: share of images of others that may meet a sighting, among all of them.

    Raises:
        ArcwiseError: the model has no threshold that promises a rate.
    """

    def __init__(self, gallery: Gallery, model: Model, fpir: float) -> None:
        self._gallery, self._model, self._fpir = gallery, model, fpir
        self._read()
        assert self.point  # what is wrong with the thresholds is said before any work

    def __len__(self) -> int:
        return len(self._templates)

    def knows(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether an image is a sighting already, by what would be recorded of it."""
        return _image_of(metadata) in self._images

    @property
    def point(self) -> OperatingPoint:
        """The threshold at which two sightings meet, among as many as there are."""
        count = max(1, len(self))
        size = GallerySize(count, count, 1, 1, count)
        model = self._model
        points = operating_points(size, model.thresholds, model.search_thresholds)
        promising = [one for one in points if one.promises]
        found = nearest(points, self._fpir) or min(
            promising, key=lambda one: (one.fpir, one.threshold), default=None
        )
        if found is None:
            raise ArcwiseError(
                f"{model.path}: no threshold promises a rate among {count} sightings, so nobody "
                f"can be known again; measure some: arcwise calibrate {model.path} DATA"
            )
        return found

    def add(
        self, vector: NDArray[np.float32], metadata: Mapping[str, Any], quality: float | None,
        thumbnail: bytes | None,
    ) -> tuple[int, str | None]:  # fmt: skip
        """Keep an image of nobody, or make an identity of it with those that it meets.

        Returns:
            The number of its template, and the new identity; None where it is a sighting.
        """
        if self._gallery.about().changes != self._changes:  # somebody else did something
            self._read()
        met = self._met(vector)
        if len(met) < EARLIER:
            about = {**metadata, SIGHTING: True}
            (number,) = self._enrol(UNKNOWN, vector, about, quality, thumbnail)
            again = [*(self._templates[row] for row in met), number]
            times = "1 time" if len(again) == 1 else f"{len(again)} times"
            self._gallery.quarantine(again, f"{SEEN}{times}")
            self._templates.append(number)
            self._images |= {_image_of(metadata)} - {None}
            self._vectors = np.concatenate([self._vectors, vector[None]])
            self._changes = self._gallery.about().changes
            return number, None
        name, seen = self._free_name(), len(met) + 1
        founders = [self._templates[row] for row in met]
        metadata_of = {one.template: one.metadata for one, _ in self._gallery.quarantined()}
        self._gallery.assign(founders, name)
        for one in founders:
            kept = {key: value for key, value in metadata_of[one].items() if key != SIGHTING}
            self._gallery.annotate(one, {**kept, GROWN: True, "seen": seen})
        self._gallery.release(founders)
        about = {**metadata, GROWN: True, "seen": seen}
        (number,) = self._enrol(name, vector, about, quality, thumbnail)
        left = np.setdiff1d(np.arange(len(self)), met)
        self._templates = [self._templates[row] for row in left]
        self._vectors = self._vectors[left]
        self._changes = self._gallery.about().changes
        return number, name

    def _met(self, vector: NDArray[np.float32]) -> list[int]:
        """Return the rows that a vector meets and of which each meets another, or else any."""
        threshold = self.point.threshold
        rows = np.flatnonzero(self._vectors @ vector >= threshold)
        both = self._vectors[rows] @ self._vectors[rows].T >= threshold
        together = rows[both.sum(axis=1) >= EARLIER]  # itself and another
        return (together if len(together) else rows[:1]).tolist()

    def _enrol(
        self, identity: str, vector: NDArray[np.float32], metadata: Mapping[str, Any],
        quality: float | None, thumbnail: bytes | None,
    ) -> tuple[int, ...]:  # fmt: skip
        item = NewTemplate(identity, vector, metadata, quality, thumbnail)
        return self._gallery.enrol([item]).templates

    def _read(self) -> None:
        """Read the sightings that the gallery keeps; finish what was stopped on the way."""
        gallery = self._gallery
        stray = [
            one.template for one in gallery.templates(UNKNOWN) if one.metadata.get(SIGHTING) is True
        ]
        if stray:
            gallery.quarantine(stray, f"{SEEN}1 time")
        self._changes = gallery.about().changes
        self._templates: list[int] = []
        self._images: set[tuple[str, str] | None] = set()
        vectors: list[NDArray[np.float32]] = [np.empty((0, gallery.dim), np.float32)]
        for chunk in gallery.stored():
            reasons = enumerate(chunk.quarantined)
            kept = [row for row, why in reasons if why is not None and why.startswith(SEEN)]
            self._templates += chunk.templates[kept].tolist()
            self._images |= {_image_of(chunk.metadata[row]) for row in kept} - {None}
            vectors.append(chunk.vectors[kept])
        self._vectors = np.concatenate(vectors)

    def _free_name(self) -> str:
        gallery = self._gallery
        names = [*gallery.identities(), *(one.identity for one, _ in gallery.quarantined())]
        return free_name(names)


def _image_of(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what an image is known by: its file, and where in it; None where nothing is."""
    content = metadata.get(CONTENT)
    return (content, str(metadata.get("landmarks"))) if isinstance(content, str) else None


def free_name(names: Iterable[str]) -> str:
    """Return the next `unknown-0001` that is none of these names."""
    numbers = [int(found[1]) for name in names if (found := _NAME.fullmatch(identity_key(name)))]
    return f"{UNKNOWN}-{max(numbers, default=0) + 1:04}"


def is_grown(metadata: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether these are the templates of an identity that nobody confirmed."""
    return bool(metadata) and all(one.get(GROWN) is True for one in metadata)


def grown(
    sightings: Sightings,
    rows: ImageList,
    embedded: Embedded,
    decide: Callable[[NDArray[np.float32]], tuple[Decision | None, float | None]],
    *,
    least_quality: float | None,
) -> Growth:
    """Return what became of images, one after the other: known, kept, or a new identity.

    Args:
        sightings: those that the gallery has, which grow.
        rows: the images.
        embedded: with their thumbnails.
        decide: the decision on a vector, and its similarity to the closest identity.
        least_quality: what the model must estimate of an image that is kept, at least.
    """
    earlier, failures, found = len(sightings), list(embedded.failures), []
    for place, row in enumerate(embedded.rows.tolist()):
        vector, name = embedded.vectors[place], rows.images[row]
        decision, similarity = decide(vector)
        if decision is not None and decision.identity is not None:
            found.append(Sighting(name, decision.identity, similarity))
            continue
        quality = None if embedded.quality is None else float(embedded.quality[place])
        if least_quality is not None and quality is not None and quality < least_quality:
            reason = f"unknown, and its quality is {quality:.3f}: not kept"
            failures.append(ImageError(name, reason))
            continue
        record = rows.record(row)
        if sightings.knows(record):
            found.append(Sighting(name, None, similarity))
            continue
        number, new = sightings.add(vector, record, quality, embedded.thumbnails[place])
        found.append(
            Sighting(
                name, new, similarity, kept=new is None, discovered=new is not None,
                template=number,
            )
        )  # fmt: skip
    return Growth(
        tuple(found), tuple(failures), earlier, len(sightings), sightings.point, embedded.notes
    )
