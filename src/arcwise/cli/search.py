"""`arcwise search`."""

from __future__ import annotations

import sys
from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import left_out
from arcwise.errors import ImageError
from arcwise.verbs.search import Found, search
from arcwise.verbs.search_page import page_path, write_page


def command(
    gallery: Positional[str],
    images: Positional[tuple[Path, ...]],
    k: int = 5,
    far: float | None = None,
    fpir: float | None = None,
    model: Path | None = None,
    out: Path | None = None,
) -> int:
    """Find whose picture this is, or that it is unknown.

    Exit status 0: every picture is answered; 1: some are, and the others (missing, unreadable) are
    listed in their places; 2: none is.

    Args:
        gallery: The gallery's file.
        images: Picture files, or folders of them.
        k: How many identities to show.
        far: False-accept rate of one comparison, to decide by that.
        fpir: Share of unknown pictures that may get any answer; by default the lowest that the
            model was calibrated for at this size of gallery, and without one the lowest --far.
        model: Where the gallery's model is now, if it moved.
        out: A page of the queries with their hits as pictures: a file ending in .html, or a
            folder for search.html. A page there is replaced.
    """
    page = None if out is None else page_path(out)  # what is wrong with it is said first
    found = search(gallery, images, k=k, far=far, fpir=fpir, model=model)
    for note in found.notes:
        print(f"mind: {note}", file=sys.stderr)
    for answer in found.asked:
        if isinstance(answer, ImageError):
            print(f"{answer.name}: not answered: {answer.reason}")
            continue
        verdict = "" if answer.decision is None else f": {answer.decision.identity or 'unknown'}"
        print(f"{answer.image}{verdict}")
        for hit in answer.hits:
            print(f"  {hit.similarity:7.4f}  {hit.identity}  {hit.metadata.get('image', '')}")
    left_out("files are not pictures", found.ignored)
    if found.failures:
        print(f"{len(found.failures)} of {len(found.asked)} pictures are not answered")
    explain(found)
    if page is not None:
        decided = "" if found.threshold is None else f"Decided at {found.threshold}."
        print(f"page: {write_page(page, found.asked, gallery=gallery, summary=decided)}")
    return 1 if found.failures else 0


def explain(found: Found) -> None:
    """Say what decided, and what it means for pictures of nobody enrolled."""
    if found.threshold is None:
        print("no decision: the model has no thresholds; arcwise calibrate measures them")
        return
    print(f"decided at {found.threshold}")
    if found.expected_fpir is None:
        return
    print(
        f"of unknown pictures, about {found.expected_fpir:.1%} would be taken for somebody "
        "here, if comparisons were independent"
    )
    if 0 < found.measured_for < found.enrolled:
        print(
            f"mind: what unknown pictures really get was measured for galleries of up to "
            f"{found.measured_for} identities, here are {found.enrolled}: arcwise calibrate MODEL "
            f"DATA --gallery-size {found.enrolled}"
        )
