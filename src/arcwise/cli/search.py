"""`arcwise search`."""

from __future__ import annotations

import sys
from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.as_json import print_json
from arcwise.cli.screen import left_out
from arcwise.errors import ImageError
from arcwise.evaluation import Threshold
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
    json: bool = False,
) -> int:
    """Find whose picture this is, or that it is unknown.

    Exit status 0: every picture is answered; 1: some are, and the others (missing, unreadable) are
    listed in their places; 2: none is.

    Args:
        gallery: The gallery's file.
        images: Picture files, or folders of them.
        k: How many identities to show.
        far: False-accept rate of one comparison, to decide by that.
        fpir: Share of unknown pictures that may get any answer; what keeps it, or the nearest
            stricter rate, decides. By default the lowest rate that was measured for such a gallery
            and still finds half of the pictures of enrolled identities.
        model: Where the gallery's model is now, if it moved.
        out: A page of the queries with their hits as pictures: a file ending in .html, or a
            folder for search.html. A page there is replaced.
        json: Print one JSON document instead.
    """
    page = None if out is None else page_path(out)  # what is wrong with it is said first
    found = search(gallery, images, k=k, far=far, fpir=fpir, model=model)
    said = explained(found)
    written = None
    if page is not None:
        written = write_page(page, found.asked, gallery=gallery, summary=" ".join(said))
    if json:
        print_json(_document(gallery, found, said, written))
        return 1 if found.failures else 0
    for note in found.notes:
        print(f"mind: {note}", file=sys.stderr)
    for answer in found.asked:
        if isinstance(answer, ImageError):
            print(f"{answer.name}: not answered: {answer.reason}")
            continue
        verdict = "" if found.size.templates else ": unknown"
        if answer.decision is not None:
            verdict = f": {answer.decision.identity or 'unknown'}"
        print(f"{answer.image}{verdict}")
        for hit in answer.hits:
            print(f"  {hit.similarity:7.4f}  {hit.identity}  {hit.metadata.get('image', '')}")
    left_out("files are not pictures", found.ignored)
    if found.failures:
        print(f"{len(found.failures)} of {len(found.asked)} pictures are not answered")
    for line in said:
        print(line)
    if written is not None:
        print(f"page: {written}")
    return 1 if found.failures else 0


def explained(found: Found) -> list[str]:
    """Return what decided, and what that means for 100 images, a line each."""
    size, point = found.size, found.point
    if not size.templates:
        return ["the gallery is empty: nobody is enrolled, so everything is unknown"]
    here = f"{size.identities} identities with {size.templates} templates"
    if point is None:
        return [
            "no decision, nothing can be promised: the model has no thresholds; arcwise calibrate "
            "measures them"
        ]
    lines = [f"answered at similarity >= {point.threshold:.4f}: {point}"]
    basis = point.basis
    if isinstance(basis, Threshold):
        lines.append(
            f"this is the threshold of single comparisons at FAR {basis.far:g}"
            f"{'' if basis.resolved else ', too few pairs to be sure of it'}; enrolled are {here}"
        )
    elif point.in_this_gallery:
        lines.append(f"measured against this gallery, on {basis.identities} identities")
    else:
        few = basis.templates
        each = "several templates" if few is None else f"{few} template{'s'[: few > 1]} each"
        lines.append(
            f"measured for {basis.gallery} identities with {each}, on "
            f"{basis.identities} identities; enrolled are {here}"
        )
    if found.outgrown and found.calibrated is not None:
        then = found.calibrated
        lines.append(
            f"warning: the gallery has outgrown its calibration, which was measured with "
            f"{then.identities} identities and {then.templates} templates; others were enrolled "
            "since: calibrate it again"
        )
    if not point.exact or not point.promises:
        lines.append(
            "to measure it for this gallery: arcwise calibrate MODEL DATA --gallery GALLERY; other "
            "rates: --fpir, --far"
        )
    else:
        lines.append("other rates: --fpir, --far")
    return lines


def _document(gallery: str, found: Found, said: list[str], page: Path | None) -> dict[str, object]:
    """Return what a program reads."""
    return {
        "gallery": gallery,
        "enrolled": found.size,
        "operating_point": None if found.point is None else found.point.as_dict(),
        "outgrown": found.outgrown,
        "explained": said,
        "queries": [
            {"image": one.name, "error": one.reason, "identity": None, "hits": []}
            if isinstance(one, ImageError)
            else {
                "image": one.image,
                "error": None,
                "identity": None if one.decision is None else one.decision.identity,
                "decided": one.decision is not None,
                "hits": one.hits,
            }
            for one in found.asked
        ],
        "ignored": found.ignored,
        "notes": found.notes,
        "page": page,
    }
