"""The page of an audit: the images side by side, and what to do about each finding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise.client import Client
from arcwise.client.gallery_messages import AuditFinding, TemplateAbout
from arcwise.errors import GalleryError
from arcwise.gallery import EnrolledTemplate, Gallery, open_gallery, shown_address
from arcwise.verbs.asking import is_address
from arcwise.verbs.enrolled_images import EnrolledImages, shown_template
from arcwise.verbs.gallery_audit import GalleryAudit, undecided
from arcwise.verbs.gallery_audit_decisions import ANSWERS, KIND, KINDS, LISTED, Kind
from arcwise.verbs.review_images import note_on_the_rest

if TYPE_CHECKING:
    from arcwise.report import CaptionedImage, Question, Strip
    from arcwise.report.sections import Frame

ASKED = 40
"""Findings of each kind on a page, which then has some megabytes."""

IMAGES = 3
"""Images that show an identity."""

TITLES: dict[Kind, str] = {
    "duplicate": "One image, enrolled more than once",
    "hub": "Templates that are near to everyone",
    "one identity": "Two identities, but perhaps one",
    "misfit": "Templates that do not fit their identity",
}

WORDS = {
    "first": "Only the first", "last": "Only the last", "merge": "One identity",
    "move": "Move to the other", "quarantine": "Quarantine", "remove": "Remove",
    "keep": "Leave as it is", None: "Cannot tell",
}  # fmt: skip
"""What the buttons say."""


def write_audit_page(path: Path, found: GalleryAudit) -> Path:
    """Write the findings as one HTML file that holds all images, small; return its path.

    Args:
        path: the file; a page there is replaced.
        found: in a gallery.
    """
    from arcwise.report import write_review
    from arcwise.report.review import DECISIONS

    total = len(found.findings)
    summary = (
        f"{total:,} findings in {found.templates:,} templates of {found.identities:,} identities, "
        "the surest of each kind first. ? marks the templates in question. Decide, save the "
        f"decisions, and do them: arcwise gallery audit {Path(shown_address(found.gallery)).name} "
        f"--apply {DECISIONS}. {limits_said(found)}"
    )
    remote = is_address(found.gallery)
    with Client(found.gallery) if remote else open_gallery(found.gallery, mode="r") as store:
        shown = _Shown(store, found)
        questions = [shown.question(kind, several) for kind in KINDS for several in (False, True)]
        return write_review(
            path,
            f"Audit of {Path(shown_address(found.gallery)).name}",
            [one for one in questions if one is not None],
            [],
            kind=KIND,
            listed=LISTED,
            decided=[one.record() | {"answer": one.answer} for one in found.decisions],
            summary=summary,
        )


def limits_said(found: GalleryAudit) -> str:
    """Return by which thresholds identities and misfits were found, in words."""
    if found.point is None or found.pair is None:
        return " ".join(f"{one[0].upper()}{one[1:]}." for one in found.notes)
    bound = "at most" if not found.point.exact else "about"
    return (
        f"Two identities are one from similarity {found.point.threshold:.4f} on, where {bound} "
        f"{100 * found.point.fpir:.2g} of 100 images of others would find somebody. A template "
        f"does not fit below {found.pair.threshold:.4f}, which {100 * found.pair.far:g} of 100 "
        "pairs of different identities reach."
    )


class _Shown:
    """The strips of a page, each image decoded once."""

    def __init__(self, store: Gallery | Client, found: GalleryAudit) -> None:
        self._store, self._found = store, found
        self._images = None if isinstance(store, Client) else EnrolledImages(found.gallery, None)
        self._of = cache(self._templates)
        self._pixels: dict[int, np.ndarray | str] = {}

    def question(self, kind: Kind, several: bool) -> Question | None:
        """Return the findings of a kind, about two identities or not; None without any."""
        from arcwise.report import ImageStrips, Question

        findings = [
            one for one in self._found.findings
            if one.kind == kind and several == (len(one.identities) > 1)
        ]  # fmt: skip
        if not findings:
            return None
        title = TITLES[kind]
        if kind == "duplicate":
            title += ", by two identities" if several else ""
        note = note_on_the_rest(ASKED, len(findings))
        answers = [one for one in ANSWERS[kind] if several or one != "merge"]
        return Question(
            ImageStrips(title, [self._strip(one) for one in findings[:ASKED]], note),
            [undecided(one).record() for one in findings[:ASKED]],
            [(WORDS[one], one) for one in (*answers, None)],
            "answer",
        )

    def _strip(self, one: AuditFinding) -> Strip:
        from arcwise.report import Strip

        every = [template for name in one.identities for template in self._of(name)]
        by_number = {template.template: template for template in every}
        suspects = [] if one.kind == "one identity" else list(one.templates[: 2 * IMAGES])
        images = [self._image(by_number.get(number), "suspect") for number in suspects]
        if one.kind != "duplicate":
            for name in one.identities:
                typical = [
                    template for template in self._of(name) if template.template not in suspects
                ]
                nearest_first = sorted(typical, key=lambda t: t.template != one.nearest)
                images += [self._image(template, "neutral") for template in nearest_first[:IMAGES]]
        return Strip(images, f"{' and '.join(one.identities)}: {one.said}")

    def _templates(self, identity: str) -> Sequence[EnrolledTemplate | TemplateAbout]:
        if not isinstance(self._store, Client):
            return self._store.templates(identity)
        try:
            return self._store.identity(identity).templates
        except GalleryError:  # removed since
            return []

    def _image(
        self, template: EnrolledTemplate | TemplateAbout | None, frame: Frame
    ) -> CaptionedImage:
        from arcwise.report import CaptionedImage

        if template is None:
            return CaptionedImage("not there any more", "", frame)
        number = template.template
        if number not in self._pixels:
            self._pixels[number] = shown_template(
                self._store, self._images, number, template.metadata
            )
        return CaptionedImage(self._pixels[number], f"{template.identity}: {number}", frame)
