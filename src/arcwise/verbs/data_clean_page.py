"""The page of suspected label errors: the images side by side, and what to do about each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise.clustering.label_errors import LabelError
from arcwise.verbs.data_clean import LabelReport
from arcwise.verbs.data_clean_decisions import ANSWERS, KIND, LISTED
from arcwise.verbs.review_images import check_images, note_on_the_rest, pixels_once

if TYPE_CHECKING:
    from arcwise.report import CaptionedImage, Question, Strip
    from arcwise.report.sections import Frame

ASKED = 40
"""Errors of each kind on a page, which then has some megabytes."""

IMAGES = 3
"""Images that show an identity, or a part of one; fewer beside a suspect, so that six are a row."""

TITLES = {
    "same image": "One image, two identities",
    "member": "Images that are not of their identity",
    "split": "One identity, but perhaps two",
    "merge": "Two identities, but perhaps one",
}

WORDS = {
    "first": "Only of the first", "second": "Only of the second", "remove": "Remove",
    "merge": "One identity", "split": "Two identities", "move": "Move to the other",
    "keep": "Leave as it is", None: "Cannot tell",
}  # fmt: skip
"""What the buttons say."""

_BETWEEN = {"same image": " and ", "member": ", but looks like ", "split": "", "merge": " and "}


def write_label_page(path: Path, report: LabelReport) -> Path:
    """Write the errors as one HTML file that holds all images, small; return its path.

    Args:
        path: the file; a page there is replaced.
        report: of images.

    Raises:
        ArcwiseError: the images are not there.
    """
    from arcwise.report import write_review
    from arcwise.report.review import DECISIONS

    check_images(report.manifest)
    shown = _Shown(report)
    questions = [shown.question(kind, known) for kind in TITLES for known in (True, False)]
    total = len(report.errors)
    summary = (
        f"{total:,} suspected errors in {len(report.names):,} images of "
        f"{len(report.identities):,} identities, by kind, the surest of each kind first. ? marks "
        "the images in question. "
        f"Decide, save the decisions, and write a new table with them: --apply {DECISIONS}."
    )
    return write_review(
        path,
        f"Labels of {report.manifest.name}",
        [one for one in questions if one is not None],
        [],
        kind=KIND,
        listed=LISTED,
        decided=[one.record() | {"answer": one.answer} for one in report.decisions],
        summary=summary,
    )


class _Shown:
    """The strips of a page, each image decoded once."""

    def __init__(self, report: LabelReport) -> None:
        self._report = report
        self._pixels = pixels_once(report.manifest)

    def question(self, kind: str, other: bool) -> Question | None:
        """Return the errors of a kind, with another identity or without; None without any."""
        from arcwise.report import ImageStrips, Question

        errors = [
            one for one in self._report.errors
            if one.kind == kind and other == (len(one.identities) > 1)
        ]  # fmt: skip
        if not errors:
            return None
        title = TITLES[kind]
        if kind == "member":
            title += ", but look like another" if other else ", and like no other one"
        note = note_on_the_rest(ASKED, len(errors))
        answers = [one for one in ANSWERS[kind] if other or one != "move"]
        return Question(
            ImageStrips(title, [self._strip(one) for one in errors[:ASKED]], note),
            [self._report.undecided(one).record() for one in errors[:ASKED]],
            [(WORDS[one], one) for one in (*answers, None)],
            "answer",
        )

    def _strip(self, error: LabelError) -> Strip:
        from arcwise.report import Strip

        names = [self._report.identities[one] for one in error.identities]
        suspect = [] if error.kind == "merge" else list(error.rows)
        shown = suspect[:IMAGES]
        if error.kind == "same image":
            owner = self._report.owner
            shown = [next(row for row in suspect if owner[row] == one) for one in error.identities]
        first = 2 if error.kind in ("same image", "member") else IMAGES
        second = 2 if error.kind == "same image" else IMAGES
        images = [self._image(row, "suspect") for row in shown]
        for identity, count in zip(error.identities, (first, second), strict=False):
            images += [
                self._image(row, "neutral") for row in self._typical(identity, suspect, count)
            ]
        votes = ", ".join(error.votes)
        if error.against:
            votes += f"; against: {', '.join(error.against)}"
        label = f"{_BETWEEN[error.kind].join(names)} ({votes}; similarity {error.similarity:.2f})"
        return Strip(images, label)

    def _typical(self, identity: int, without: list[int], count: int) -> list[int]:
        """Return the images that are most similar to all of an identity, but for some."""
        rows = np.setdiff1d(np.flatnonzero(self._report.owner == identity), without)
        vectors = self._report.vectors[rows]
        order = np.argsort(-(vectors @ vectors.sum(axis=0)), kind="stable")
        return rows[order[:count]].tolist()

    def _image(self, row: int, frame: Frame) -> CaptionedImage:
        from arcwise.report import CaptionedImage

        identity = self._report.identities[self._report.owner[row]]
        caption = f"{identity}: {Path(self._report.names[row]).name}"
        return CaptionedImage(self._pixels(row), caption, frame)
