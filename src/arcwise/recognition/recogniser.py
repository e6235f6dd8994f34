"""A model and its gallery, opened once: embed, search, decide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace as replaced
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from arcwise import runtime
from arcwise.errors import ArcwiseError
from arcwise.gallery import (
    Gallery,
    GalleryCalibration,
    GallerySize,
    NewTemplate,
    OperatingPoint,
    Receipt,
    open_gallery,
)
from arcwise.gallery.contract import Where
from arcwise.gallery.filters import condition
from arcwise.recognition.answers import Answer, SearchResult, Verified, decided, in_order
from arcwise.recognition.images import ImageList, image_rows
from arcwise.recognition.opening import open_with_model
from arcwise.recognition.thresholds import search_operating_point, verification_threshold
from arcwise.recognition.together import (
    TOGETHER,
    best_of,
    metadata_of_all,
    pooled,
    unmeasured,
    weighting,
)
from arcwise.runtime import Embedded, ImageRows, ImageSource, Model, listed

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
        model: the loaded model.
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
        self._lock = threading.Lock()
        self._size = lru_cache(1)(lambda about: self.gallery.size())
        self._point = lru_cache(16)(  # by rates; in another state of the gallery another
            lambda about, calibration, far, fpir: search_operating_point(
                self.model, self._size(about), calibration, far=far, fpir=fpir
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

    def embed(
        self, images: Images, *, progress: Callable[[int, int], object] | None = None
    ) -> Embedded:
        """Return the embeddings of the readable images, and why the others have none.

        Args:
            images: paths (`archive.zip/member` too), encoded images as bytes, (H, W, 3) uint8 RGB
                arrays or Pillow images, mixed as you like; or a manifest.
            progress: called with (images done, images in all).

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: none of several can.
        """
        rows = image_rows(images)
        if not len(rows):
            raise ArcwiseError("no image is named; name one or more")
        return runtime.embed_manifest(self.model, rows, progress=progress)

    def operating_point(
        self, far: float | None = None, fpir: float | None = None
    ) -> tuple[GallerySize, GalleryCalibration | None, OperatingPoint | None]:
        """Return the size of the gallery, what was measured against it, and what decides a search.

        Args:
            far: as for `search`.
            fpir: as for `search`.

        Raises:
            ArcwiseError: no threshold is for the rate.
        """
        about, calibration = self.gallery.about(), self.gallery.calibration
        return self._size(about), calibration, self._point(about, calibration, far, fpir)

    def search(
        self,
        images: Images,
        *,
        k: int = 5,
        together: bool = False,
        far: float | None = None,
        fpir: float | None = None,
        where: Where = None,
        everyone: bool = False,
    ) -> SearchResult:
        """Find each image's closest identities and decide, at a stated error rate.

        For several images together the rate was not measured, nor for templates of several where
        the threshold is not of this gallery: `unmeasured` says so, and the decisions state none.
        With `where`, fewer templates can be taken for the query: the rate is at most what it is in
        the whole gallery, and how many are found is not known.

        Args:
            images: as `embed` takes them. One of several that cannot be read fails alone.
            k: how many identities to return.
            together: whether all images are of one identity, searched with and decided on once.
            far: false-accept rate of one comparison.
            fpir: share of unknown images that may get any answer: what keeps it, or the nearest
                stricter one, decides. By default it is the lowest rate that was measured for such a
                gallery and still finds half of the images of enrolled identities.
            where: a condition on metadata (`gallery.filters`): which templates take part.
            everyone: whether the hits are all identities from the threshold on, and not the K
                closest.

        Raises:
            ImageError: the only image cannot be used.
            ArcwiseError: no image can, no threshold is for the rate, or the condition cannot be
                read.
        """
        if k < 1:
            raise ArcwiseError(f"k is {k}; expected 1 or more: how many identities to show")
        self.operating_point(far, fpir)  # what is wrong with a rate is said before any work
        meets = None if where is None else condition(where)
        rows = image_rows(images)
        embedded = self.embed(rows)
        vectors, names = embedded.vectors, [rows.images[row] for row in embedded.rows]
        count = len(vectors) if together else 0
        if count > 1:
            vectors = pooled(vectors, embedded.quality)[0][None]
            names = [f"{count} images together ({names[0]}, …)"]
        size, calibration, point = self.operating_point(far, fpir)
        if point is not None and meets is not None:
            interval = (0.0, point.fpir_interval[1])
            point = replaced(point, exact=False, dir=None, fpir_interval=interval)
        # The decision looks at the runner-up.
        hits = self.gallery.search(vectors, k=max(k, 2), where=meets)
        shown = [of_query[:k] for of_query in hits]
        if everyone and point is not None:
            shown = self.gallery.above(vectors, point.threshold, where=meets)
        elif everyone and size.templates:
            raise ArcwiseError(
                f"{self.model.path}: the model has no thresholds, so nobody is above one; measure "
                f"them: arcwise calibrate {self.model.path} DATA"
            )
        several = any(TOGETHER in hit.metadata for of_query in hits for hit in of_query)
        own = point is not None and point.in_this_gallery
        reason = ""
        if point is not None:
            reason = unmeasured(count, several and not own, str(self.path))
        answers = tuple(
            Answer(name, tuple(to_show), decided(of_query, point, promised=not reason))
            for name, to_show, of_query in zip(names, shown, hits, strict=True)
        )
        failures = tuple(embedded.failures)
        return SearchResult(
            answers=answers,
            point=point,
            size=size,
            calibration=calibration,
            failures=failures,
            queries=(*answers, *failures) if count > 1 else in_order(embedded, answers),
            notes=embedded.notes,
            licence=self.model.licence,
            together=count,
            weighting=weighting(self.model) if count > 1 else "",
            unmeasured=reason,
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
            unmeasured=unmeasured(count, several, str(self.path)),
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
    ) -> Receipt:
        """Enrol images of one identity, all of them or none; return once they are on disk.

        Args:
            identity: whose they are.
            images: as `embed` takes them.
            metadata: a JSON object, kept with each template beside what is recorded of its image.
            together: whether they become one template.
            replace: whether the identity's older templates go.

        Raises:
            ImageError: an image cannot be used.
            GalleryError: the identity is blank, or the metadata is no JSON.
        """
        rows = images if isinstance(images, ImageList) else ImageList(listed(images))
        embedded = self.embed(rows)
        if embedded.failures:
            raise embedded.failures[0]
        return self.enrol_embedded(
            identity, rows, embedded, metadata=metadata, together=together, replace=replace
        )

    def enrol_embedded(
        self,
        identity: str,
        images: ImageList,
        embedded: Embedded,
        *,
        metadata: Mapping[str, Any] | None = None,
        together: bool = False,
        replace: bool = False,
        thumbnails: Sequence[bytes | None] | None = None,
    ) -> Receipt:
        """Enrol what `embed` made of images of one identity; return once it is on disk.

        Args:
            identity: whose they are.
            images: that were embedded.
            embedded: of those that could be read, M.
            metadata: as for `enrol`.
            together: as for `enrol`.
            replace: as for `enrol`.
            thumbnails: M encoded images for a person to see; of images together, that of the best.

        Raises:
            GalleryError: the identity is blank, or the metadata is no JSON.
        """
        recorded = [images.record(row) for row in embedded.rows.tolist()]
        shown = [None] * len(recorded) if thumbnails is None else thumbnails
        each = [slice(row, row + 1) for row in range(len(recorded))]
        items = []
        for group in [slice(None)] if together else each:
            quality = None if embedded.quality is None else embedded.quality[group]
            vector, mean_quality = pooled(embedded.vectors[group], quality)
            about = {**metadata_of_all(recorded[group], quality), **(metadata or {})}
            best = shown[group][best_of(quality)]
            items.append(NewTemplate(identity, vector, about, mean_quality, best))
        return self.gallery.enrol(items, replace=replace)

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
