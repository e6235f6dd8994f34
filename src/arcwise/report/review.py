"""A report whose pairs of images are judged in the browser: the same, or not the same."""

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


@dataclass(frozen=True)
class Question:
    """Pairs to judge.

    Attributes:
        section: the pairs as images, two a strip.
        pairs: (name, name) of each strip, as the decisions name them.
        drawn: of what the pairs are a random sample; empty for chosen ones.
    """

    section: ImageStrips
    pairs: Sequence[tuple[str, str]]
    drawn: str = ""


def write_review(
    path: str | os.PathLike[str],
    title: str,
    questions: Sequence[Question],
    sections: Sequence[Section],
    *,
    decided: Sequence[dict[str, Any]] = (),
    summary: str = "",
) -> Path:
    """Write a page that asks, and saves the answers to a file; return its path.

    The file is JSON: {"kind": "arcwise decisions", "version": 1, "pairs": [{"a", "b", "same",
    "drawn"}, …]}, with `same` true, false, or null for a pair that cannot be told.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: heading of the page.
        questions: pairs to judge, which come first.
        sections: what follows.
        decided: pairs decided before, which the file repeats.
        summary: a sentence or two about the results.

    Raises:
        ArcwiseError: the file cannot be written; an older one is as it was.
    """
    target = Path(path)
    groups = [
        {"section": place, "drawn": one.drawn, "pairs": list(one.pairs)}
        for place, one in enumerate(questions, 1)
    ]
    text = render(
        title,
        [*(one.section for one in questions), *sections],
        summary,
        template="review.html",
        questions={"groups": groups, "decided": list(decided), "file": DECISIONS},
    )
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")
    return target
