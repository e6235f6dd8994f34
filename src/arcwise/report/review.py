"""A report whose strips of images are judged in the browser, without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcwise.files import atomic_write
from arcwise.report.html import render
from arcwise.report.sections import ImageStrips, Section

DECISIONS = "decisions.json"
"""What the browser calls the file that it saves."""

SAME = (("The same", True), ("Not the same", False), ("Cannot tell", None))
"""Answers to whether two images are of one identity: the words, and their value in the file."""


@dataclass(frozen=True)
class Question:
    """Strips of images to judge.

    Attributes:
        section: the images; the labels of the strips name them.
        records: of each strip what the file repeats of it, besides the answer.
        answers: the words on the buttons, and what each of them says in the file.
        field: the name of the answer in the file.
    """

    section: ImageStrips
    records: Sequence[dict[str, Any]]
    answers: Sequence[tuple[str, bool | str | None]] = SAME
    field: str = "same"


def write_review(
    path: str | os.PathLike[str],
    title: str,
    questions: Sequence[Question],
    sections: Sequence[Section],
    *,
    kind: str = "arcwise decisions",
    listed: str = "pairs",
    decided: Sequence[dict[str, Any]] = (),
    summary: str = "",
) -> Path:
    """Write a page that asks, and saves the answers to a file; return its path.

    The file is JSON: {"kind": …, "version": 1, "pairs": […]}, the records of what was judged, each
    with its answer.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: heading of the page.
        questions: what is to be judged, which comes first.
        sections: what follows.
        kind: what the file says of itself.
        listed: the name of the list in it.
        decided: records with the answers given before, which the file repeats.
        summary: a sentence or two about the results.

    Raises:
        ArcwiseError: the file cannot be written; an older one is as it was.
    """
    target = Path(path)
    groups = [
        {
            "section": place, "records": list(one.records), "answers": list(one.answers),
            "field": one.field, "labels": [strip.label for strip in one.section.rows],
        }
        for place, one in enumerate(questions, 1)
    ]  # fmt: skip
    text = render(
        title,
        [*(one.section for one in questions), *sections],
        summary,
        template="review.html",
        questions={
            "groups": groups, "decided": list(decided), "file": DECISIONS, "kind": kind,
            "listed": listed,
        },
    )  # fmt: skip
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")
    return target
