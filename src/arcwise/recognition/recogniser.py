"""A model and its gallery, opened once: embed, search, decide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace as replaced
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arcwise import runtime
from arcwise.errors import ArcwiseError
from arcwise.gallery import (
    Decision,
    Gallery,
    GalleryCalibration,
    GallerySize,
    OperatingPoint,
    Receipt,
    Where,
    open_gallery,
    shown_address,
)
from arcwise.recognition.answers import (
    Answer,
    SearchResult,
    Verified,
    accepted_from,
    decided,
    search_result,
)
from arcwise.recognition.growing import Growth, Sightings, grown
from arcwise.recognition.images import ImageList, image_rows
from arcwise.recognition.new_templates import templates_of
from arcwise.recognition.opening import open_with_model
from arcwise.recognition.quality import check_least_quality, refuse_low_quality
from arcwise.recognition.thresholds import (
    search_operating_point,
    size_where,
    unmet_condition,
    verification_threshold,
)
from arcwise.recognition.together import TOGETHER, pooled, unmeasured, weighting
from arcwise.runtime import Embedded, EmbeddingCache, ImageRows, ImageSource, Model, listed

Images = Iterable[ImageSource] | ImageRows
"""A list of what `Model.embed` takes, or rows of a data set."""


class Recogniser:
    """A model and its gallery: opened once, it answers many times, to any number of threads.

    A search sees all that was enrolled before it began, by any process. The threshold that decides
    is chosen once, and again where templates or the calibration of the gallery have changed.

    Args:
        model: the model folder, or a loaded model; None for the one that the gallery recorded.
        gallery: the file.
        create: whether the gallery is made, with the first enrolment, if there is none.
        mode: "rw", or "r" to search without being able to change anything.

    Attributes:
        model: the loaded model; may be set to the same one with other thresholds.
        path: the gallery's file.

    Raises:
        ArcwiseError: no model is named or recorded, or it cannot be loaded.
        GalleryError: no gallery, or one of another model.
    """

    def __init__(
        self,
        model: str | Path | Model | None,
        gallery: str | Path,
        *,
        create: bool = False,
        mode: str = "rw",
    ) -> None:
        self.path = gallery
        self.model, self._gallery = open_with_model(gallery, model, create=create, mode=mode)
        self._lock, self._growing = threading.Lock(), threading.Lock()
        self._size = lru_cache(8)(lambda about, where: size_where(self.gallery, where))
        self._unmet = lru_cache(8)(lambda about, where: unmet_condition(self.gallery, where))
        self._point = lru_cache(16)(  # by rates; in another state of the gallery another
            lambda model, about, calibration, where, far, fpir: search_operating_point(
                model, self._size(about, where), calibration, far=far, fpir=fpir
            )
        )

    @property
    def exists(self) -> bool:
        """Whether there is a gallery yet."""
        return self._gallery is not None

    @property
    def gallery(self) -> Gallery:
        """The open gallery; it is made now if there was none."""
        with self._lock:
            if self._gallery is None:
                self._gallery = open_gallery(self.path, create=True, model=self.model)
            return self._gallery

    @property
    def aligns(self) -> bool:
        """Whether the model turns a face by its landmarks."""
        return self.model.aligns

    def embed(
        self,
        images: Images,
        *,
        thumbnails: bool = False,
        cache: EmbeddingCache | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Embedded:
        """Return the embeddings of the readable images, and why the others have none.

        Args:
            images: paths (`archive.zip/member` too), encoded images as bytes, (H, W, 3) uint8 RGB
                arrays or Pillow images, mixed as you like; or a manifest.
            thumbnails: whether a small image of each is made, too.
            cache: of `runtime.model_cache`: what is in it is not computed again.
            progress: called with (images done, images in all).

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: none of several can.
        """
        rows = image_rows(images)
        if not len(rows):
            raise ArcwiseError("no image is named; name one or more")
        return runtime.embed_manifest(
            self.model, rows, progress=progress, cache=cache, thumbnails=thumbnails
        )

    def operating_point(
        self, where: Where = None, far: float | None = None, fpir: float | None = None
    ) -> tuple[GallerySize, GalleryCalibration | None, OperatingPoint | None]:
        """Return the size of the gallery, what was measured against it, and what decides a search.

        Under a condition the size is that of the part which meets it. Args are those of `search`.
        """
        about, calibration = self.gallery.about(), self.gallery.calibration
        point = self._point(self.model, about, calibration, where, far, fpir)
        return self._size(about, where), calibration, point

    def search(
        self,
        images: Images,
        *,
        k: int = 5,
        where: Where = None,
        everyone: bool = False,
        together: bool = False,
        far: float | None = None,
        fpir: float | None = None,
        cache: EmbeddingCache | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> SearchResult:
        """Find each image's closest identities and decide, at a stated error rate.

        For several images together the rate was not measured, nor for templates of several where
        the threshold is not of this gallery: `unmeasured` says so, and the decisions state none.

        Args:
            images: as `embed` takes them. One of several that cannot be read fails alone.
            k: how many identities to return.
            where: a condition on metadata: only templates that meet it take part.
            everyone: whether to return all identities from the threshold on.
            together: whether all images are of one identity, searched with and decided on once.
            far: false-accept rate of one comparison.
            fpir: share of unknown images that may get any answer: what keeps it, or the nearest
                stricter one, decides. By default it is the lowest rate that was measured for such a
                gallery and still finds half of the images of enrolled identities.
            cache: as `embed` takes it.
            progress: called with (images embedded, images in all).

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: no image can, no threshold is for the rate, or there is none to return
                everyone by.
            GalleryError: the condition cannot be read.
        """
        if k < 1:
            raise ArcwiseError(f"k is {k}; expected 1 or more: how many identities to show")
        # What is wrong with a rate or a condition is said before any work.
        size, _, point = self.operating_point(where, far, fpir)
        if everyone:
            self._check_decides(size, point)
        rows = image_rows(images)
        embedded = self.embed(rows, cache=cache, progress=progress)
        vectors, names = embedded.vectors, [rows.images[row] for row in embedded.rows]
        count = len(vectors) if together else 0
        if count > 1:
            vectors = pooled(vectors, embedded.quality)[0][None]
            names = [f"{count} images together ({names[0]}, …)"]
        size, calibration, point = self.operating_point(where, far, fpir)
        looked_at = 2 if point is None else max(2, point.neighbours + 1)  # by the decision
        most = looked_at if everyone else max(k, looked_at)
        hits = self.gallery.search(vectors, k=most, where=where)
        shown = [of_query[:k] for of_query in hits]
        if everyone and point is not None:
            shown = [
                self.gallery.above(vector, accepted_from(point, of_query), where=where)[0]
                for vector, of_query in zip(vectors, hits, strict=True)
            ]
        several = any(TOGETHER in hit.metadata for of_query in hits for hit in of_query)
        own = point is not None and point.in_this_gallery
        reason = ""
        if point is not None:
            reason = unmeasured(count, several and not own, shown_address(self.path))
            if reason:  # the threshold decides, and no rate of it is repeated
                point = replaced(point, fpir=1.0, fpir_interval=(0.0, 1.0), exact=False, dir=None)
        answers = tuple(
            Answer(name, tuple(listed_hits), decided(of_query, point, promised=not reason))
            for name, of_query, listed_hits in zip(names, hits, shown, strict=True)
        )
        result = search_result(answers, embedded, size, calibration, point, count)
        how = weighting(self.model) if count > 1 else ""
        unmet = "" if size.templates else self._unmet(self.gallery.about(), where)
        return replaced(
            result,
            licence=self.model.licence,
            weighting=how,
            unmeasured=reason,
            notes=(*result.notes, *([unmet] if unmet else [])),
        )

    def verify(self, identity: str, images: Images, *, far: float | None = None) -> Verified:
        """Compare one image, or several taken together, with one enrolled identity.

        Args:
            identity: who it is said to be.
            images: of one claim, which is decided on once. One of several that cannot be read does
                not count.
            far: false-accept rate; by default the lowest that the model resolves and that still
                accepts half of the mated pairs.

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: no image can, the identity is not enrolled, or the model has no threshold.
        """
        threshold = verification_threshold(self.model, far)
        if threshold is None:
            raise ArcwiseError(
                f"{self.model.path}: the model has no thresholds, so nothing can be accepted; "
                f"measure them: arcwise calibrate {self.model.path} DATA"
            )
        embedded = self.embed(images)
        vector, _ = pooled(embedded.vectors, embedded.quality)
        count = len(embedded.rows)
        result = self.gallery.verify(identity, vector)
        several = any(TOGETHER in one for one in self.gallery.metadata(identity))
        return Verified(
            accepted=result.similarity >= threshold.threshold,
            similarity=result.similarity,
            templates=result.templates,
            threshold=threshold,
            notes=embedded.notes,
            together=count,
            weighting=weighting(self.model) if count > 1 else "",
            unmeasured=unmeasured(count, several, shown_address(self.path)),
            failures=tuple(embedded.failures),
        )

    def enrol(
        self,
        identity: str,
        images: Iterable[ImageSource] | ImageList,
        *,
        metadata: Mapping[str, Any] | None = None,
        together: bool = False,
        replace: bool = False,
        thumbnails: bool = True,
        least_quality: float | None = None,
    ) -> Receipt:
        """Enrol images of one identity, all of them or none; return once they are on disk.

        Args:
            identity: whose they are.
            images: as `embed` takes them.
            metadata: a JSON object, kept with each template beside what is recorded of its image.
            together: whether they become one template.
            replace: whether the identity's older templates go.
            thumbnails: whether a small image is kept with each template.
            least_quality: what the model must estimate of each image, at least.

        Raises:
            ImageError: an image cannot be used, or is of too low a quality.
            ArcwiseError: the model estimates no quality, and one is asked for.
            GalleryError: the identity is blank, or the metadata is no JSON.
        """
        if least_quality is not None:
            check_least_quality(self.model, least_quality)
        rows = images if isinstance(images, ImageList) else ImageList(listed(images))
        embedded = self.embed(rows, thumbnails=thumbnails)
        if embedded.failures:
            raise embedded.failures[0]
        if least_quality is not None:
            refuse_low_quality(rows.images, embedded, least_quality)
        items = templates_of(identity, rows, embedded, metadata=metadata, together=together)
        return self.gallery.enrol(items, replace=replace)

    def grow(
        self,
        images: Iterable[ImageSource] | ImageList,
        *,
        fpir: float = 0.01,
        least_quality: float | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Growth:
        """Search images one after the other, and keep those of nobody as sightings.

        One that meets two earlier sightings, which meet each other, becomes an identity with them:
        `unknown-0001`, marked in its metadata; see `recognition.growing`. Only one process at a
        time may do this with a gallery.

        Args:
            images: as for `search`.
            fpir: share of images of others that may meet a sighting, among all of them.
            least_quality: what the model must estimate of an image that is kept, at least.
            progress: called with (images embedded, images in all).

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: no image can, or no threshold decides or promises a rate.
        """
        if least_quality is not None:
            check_least_quality(self.model, least_quality)
        rows = images if isinstance(images, ImageList) else ImageList(listed(images))
        with self._growing:
            return grown(
                Sightings(self.gallery, self.model, fpir),
                rows,
                self.embed(rows, thumbnails=True, progress=progress),
                self._decided,
                least_quality=least_quality,
            )

    def _check_decides(self, size: GallerySize, point: OperatingPoint | None) -> None:
        if point is None and size.templates:
            raise ArcwiseError(
                f"{shown_address(self.path)}: no threshold says who is known; measure one: "
                f"arcwise calibrate {self.model.path} DATA"
            )

    def _decided(self, vector: NDArray[np.float32]) -> tuple[Decision | None, float | None]:
        """Return the decision on one image, and its similarity to the closest identity."""
        size, _, point = self.operating_point()
        self._check_decides(size, point)
        k = 2 if point is None else max(2, point.neighbours + 1)
        hits = self.gallery.search(vector, k=k)[0]
        return decided(hits, point, promised=False), hits[0].similarity if hits else None

    def close(self) -> None:
        """Close the gallery."""
        if self._gallery is not None:
            self._gallery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
