"""What changes for the user's labelled images when a gallery is upgraded to another model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise import runtime
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Difference, Rate
from arcwise.evaluation.intervals import (
    FEW,
    mean_over_identities,
    paired_interval,
    percentile_interval,
    redrawn_means,
)
from arcwise.gallery import OperatingPoint, decide, open_gallery
from arcwise.recognition.thresholds import search_operating_point
from arcwise.runtime import Model
from arcwise.verbs.calibrate_gallery import SAME_IMAGE, with_identities
from arcwise.verbs.unseen_identities import unseen_rows


class SearchDecision(NamedTuple):
    """What a search answers to one image.

    Attributes:
        closest: the identity that is closest; None in an empty gallery.
        similarity: to it.
        answer: the identity that it decides for; None where the image is unknown to it, and where
            no threshold decides.
    """

    closest: str | None
    similarity: float
    answer: str | None


class ChangedDecision(NamedTuple):
    """An image that one of two galleries decides rightly.

    Attributes:
        image: its path in the data set.
        identity: whose it is; None where nobody of that name is enrolled.
        before: what the old gallery answers.
        after: what the new one answers.
    """

    image: str
    identity: str | None
    before: SearchDecision
    after: SearchDecision


@dataclass(frozen=True)
class GalleryComparison:
    """Two galleries of two models, searched with the same images; first is the old one.

    Attributes:
        images: further images of enrolled identities.
        identities: how many these are of.
        strangers: images of identities that are not enrolled.
        stranger_identities: how many these are of; None where the data set does not say.
        enrolled: images that are left out, because they are enrolled themselves.
        left_out: identities that are left out, because one of the models was made with them.
        points: what each gallery decides by; None without a threshold.
        rank1: how often the right identity is the closest; None without images of enrolled ones.
        dir: how often it is the answer; None where one gallery has no threshold, too.
        fpir: how often a stranger gets an answer, with the ends of every rate where it is not known
            which images are of one; None where one gallery has no threshold, or
            there are no strangers.
        worse: images that only the old gallery decides rightly; without thresholds, that are
            closest to the right identity.
        better: images that only the new one does.
        notes: what the user has to know about the identities.
    """

    images: int
    identities: int
    strangers: int
    stranger_identities: int | None
    enrolled: int
    left_out: int
    points: tuple[OperatingPoint | None, OperatingPoint | None]
    rank1: Difference | None
    dir: Difference | None
    fpir: Difference | None
    worse: tuple[ChangedDecision, ...]
    better: tuple[ChangedDecision, ...]
    notes: tuple[str, ...]

    @property
    def finds_less(self) -> tuple[Difference, ...]:
        """Those of `rank1` and `dir` that are lower in the new gallery, beyond chance.

        A lower detection rate is none where fewer strangers are answered, too: the threshold is
        stricter then.
        """
        stricter = self.fpir is not None and self.fpir.difference.high < 0
        rates = (self.rank1, None if stricter else self.dir)
        return tuple(one for one in rates if one is not None and one.difference.high < 0)


def compare_galleries(
    galleries: tuple[str | Path, str | Path],
    models: tuple[Model, Model],
    data: str | Path | Manifest,
    *,
    other_identities: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> GalleryComparison:
    """Search two galleries with the same labelled images, each with its own model and threshold.

    Identities that one of the models was made with are left out, as are images that are enrolled.
    An image is of an enrolled identity if the old gallery has it.

    Args:
        galleries: the old one and the new one.
        models: theirs.
        data: images, of which those without identities are of strangers.
        other_identities: whether identities are others than in training, though they may be
            called alike.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: there are fewer than two such identities, or no image can be read.
    """
    opened, known = with_identities(data)
    unseen = unseen_rows(opened, models, ("choose",), other_identities=other_identities)
    manifest = unseen.manifest
    total = 2 * len(manifest)

    def moved(before: int) -> Callable[[int, int], object] | None:
        return progress and (lambda done, _: progress(before + done, total))

    embedded = []
    for model, start in zip(models, (0, len(manifest)), strict=True):
        with runtime.model_cache(model) as cache:
            embedded.append(
                runtime.embed_manifest(model, manifest, progress=moved(start), cache=cache)
            )
    rows = np.intersect1d(embedded[0].rows, embedded[1].rows)
    if not len(rows):
        raise ArcwiseError(f"{manifest.name}: no image that both models can embed")
    vectors = [one.vectors[np.isin(one.rows, rows)] for one in embedded]
    ids = np.array(manifest.select(rows).identities)
    with open_gallery(galleries[0], mode="r", model=models[0]) as store:
        names = {one: forms[0] for one in set(ids.tolist()) if (forms := store.forms(one))}
        own = [
            store.verify(one, vector).similarity if one in names else -1.0
            for one, vector in zip(ids.tolist(), vectors[0], strict=True)
        ]
    kept = np.array(own) < SAME_IMAGE
    rows, ids = rows[kept], ids[kept]
    truth = [names.get(one) for one in ids.tolist()]
    enrolled = np.array([one is not None for one in truth], bool)
    answers, points = [], []
    for gallery, model, of_model in zip(galleries, models, vectors, strict=True):
        given, point = _searched(gallery, model, of_model[kept])
        answers.append(given)
        points.append(point)
    decides = None not in points
    closest, right_answer, answered = (
        np.array(
            [[test(one, own) for one, own in zip(side, truth, strict=True)] for side in answers]
        )
        for test in (
            lambda one, own: one.closest == own,
            lambda one, own: one.answer == own,
            lambda one, own: one.answer is not None,
        )
    )
    right = right_answer if decides else closest & enrolled
    changes = [
        [
            ChangedDecision(
                manifest.image(int(rows[at])), truth[at], answers[0][at], answers[1][at]
            )
            for at in np.flatnonzero(right[first] & ~right[1 - first]).tolist()
        ]
        for first in (0, 1)
    ]
    fpir = None
    if decides and not enrolled.all():
        fpir = _difference(answered[:, ~enrolled], ids[~enrolled] if known else None)
    return GalleryComparison(
        images=int(enrolled.sum()),
        identities=len(set(ids[enrolled].tolist())),
        strangers=int((~enrolled).sum()),
        stranger_identities=len(set(ids[~enrolled].tolist())) if known else None,
        enrolled=int((~kept).sum()),
        left_out=unseen.left_out,
        points=(points[0], points[1]),
        rank1=_difference(closest[:, enrolled], ids[enrolled]) if enrolled.any() else None,
        dir=_difference(right[:, enrolled], ids[enrolled]) if decides and enrolled.any() else None,
        fpir=fpir,
        worse=tuple(changes[0]),
        better=tuple(changes[1]),
        notes=unseen.notes,
    )


def _searched(
    gallery: str | Path, model: Model, vectors: NDArray[np.float32]
) -> tuple[list[SearchDecision], OperatingPoint | None]:
    """Return what a gallery answers to each of (N, D) vectors, and what it decides by."""
    with open_gallery(gallery, mode="r", model=model) as store:
        point = search_operating_point(model, store.size(), store.calibration)
        looked_at = 1 + (0 if point is None else point.neighbours)
        hits = store.search(vectors, k=looked_at) if len(vectors) else []
    given = []
    for nearest in hits:
        if not nearest:
            given.append(SearchDecision(None, -1.0, None))
            continue
        best = nearest[0]
        answer = None
        if point is not None:
            answer = decide(nearest, point.threshold, neighbours=point.neighbours).identity
        given.append(SearchDecision(best.identity, best.similarity, answer))
    return given, point


def _difference(right: NDArray[np.bool_], ids: NDArray[np.str_] | None) -> Difference:
    """Return the rates of two systems on the same images, and their difference.

    Args:
        right: (2, N) whether an image counts, for each system.
        ids: (N,) the images' identities, which are drawn for the intervals; None where they are
            not known, and with them no interval.
    """
    before, after = right.astype(float)
    value = float(after.mean() - before.mean())
    if ids is None:
        old, new = (Rate(float(one.mean()), 0.0, 1.0) for one in (before, after))
        return Difference(old, new, Rate(value, -1.0, 1.0))
    codes = np.unique(ids, return_inverse=True)[1]
    low, high = percentile_interval(redrawn_means(after - before, codes))
    if not low < high or codes.max() + 1 < FEW:  # draws of few identities are too much alike
        one, other = (int((right[side] & ~right[1 - side]).sum()) for side in (0, 1))
        ends = paired_interval(one, other, len(ids))
        low, high = min(low, ends[0]), max(high, ends[1])
    change = Rate(value, min(low, value), max(high, value))
    first, second = (mean_over_identities(side, codes) for side in (before, after))
    return Difference(first, second, change)
