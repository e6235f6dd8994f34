"""`arcwise search`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, ImageFiles
from arcwise.cli.screen import FEW, counted, left_out
from arcwise.errors import ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import Decision, OperatingPoint, shown_address
from arcwise.verbs.search import SearchResult, search
from arcwise.verbs.search_page import page_path, write_page


def command(
    gallery: GalleryName,
    images: ImageFiles,
    k: int = 5,
    where: str | None = None,
    everyone: bool = False,
    together: bool = False,
    far: float | None = None,
    fpir: float | None = None,
    model: Path | None = None,
    detector: Path | None = None,
    boxes: Path | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Find whose image this is, or that it is unknown.

    Exit status 0: every image is answered; 1: some are, and the others (missing, unreadable) are
    listed in their places; 2: none is.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        images: Image files, or folders, zips and tables of them.
        k: Number of identities to show.
        where: Condition on metadata, such as 'shop == "Berlin" and price < 3': only templates that
            meet it take part.
        everyone: Show all identities from the threshold on, however many, instead of the first k.
        together: Take all images for one query, and decide once. They are weighted by the quality
            that the model estimates, if it does. No rate is promised, as it is measured for single
            images.
        far: False-accept rate of one comparison, to decide by that.
        fpir: Part of unknown images that may get any answer; what keeps it, or the nearest
            stricter rate, decides. By default the lowest rate that was measured for such a gallery
            and still finds half of the images of enrolled identities.
        model: Folder of the gallery's model, if it moved.
        detector: YuNet .onnx file: each face that it finds in an image is a query of its own.
        boxes: Table with the columns image and box (left, top, width, height in pixels): what is in
            each box of an image is a query of its own.
        out: Page of the queries with their hits as images: a file ending in .html, or a folder for
            search.html. An older page is replaced.
        json: Print one JSON document instead.
    """
    page = None if out is None else page_path(out)  # what is wrong with it is said first
    result = search(
        gallery,
        images,
        k=k,
        where=where,
        everyone=everyone,
        together=together,
        far=far,
        fpir=fpir,
        model=model,
        detector=detector,
        boxes=boxes,
    )
    explanation = explained(result, where)
    written = None
    if page is not None:
        summary = " ".join(f"{line[0].upper()}{line[1:]}." for line in explanation)
        written = write_page(
            page,
            result.queries,
            gallery=gallery,
            summary=summary,
            objects=result.objects,
            point=result.point,
        )
    if json:
        print_json(_document(gallery, result, explanation, written))
        return 1 if result.failures else 0
    for note in result.notes:
        print(f"warning: {note}", file=sys.stderr)
    for answer in result.queries:
        if isinstance(answer, ImageError):
            print(f"{answer.name}: not answered: {answer.reason}")
            continue
        verdict = "" if result.size.templates else ": unknown"
        if answer.decision is not None:
            verdict = f": {answer.decision.identity or 'unknown'}{_lead(answer.decision)}"
        print(f"{answer.image}{verdict}")
        for hit in answer.hits:
            print(f"  {hit.similarity:7.4f}  {hit.identity}  {hit.metadata.get('image', '')}")
    left_out("files that are not images", result.ignored)
    if result.failures:
        total = len(result.failures) + (result.together or len(result.answers))
        asked = "queries" if result.objects else "images"  # of one image there may be many
        print(f"{len(result.failures)} of {total} {asked} are not answered")
    for line in explanation:
        print(line)
    if written is not None:
        print(f"page: {written}")
    return 1 if result.failures else 0


def _lead(decision: Decision) -> str:
    """Return what was compared with the threshold, where that is not the similarity shown below."""
    if decision.above_next is None:
        return ""
    return (
        f" ({decision.above_next:.4f} above the mean of the next {decision.neighbours}, threshold "
        f"{decision.threshold:.4f})"
    )


def explained(result: SearchResult, where: str | None = None) -> list[str]:
    """Return what decided, and what that means for 100 images, a line each."""
    size, point = result.size, result.point
    if not size.templates and where is not None:
        return ["nobody who is enrolled meets the condition, so everything is unknown"]
    if not size.templates:
        return ["the gallery is empty: nobody is enrolled, so everything is unknown"]
    enrolled = f"{counted(size.identities, 'identity')} with {counted(size.templates, 'template')}"
    if point is None:
        return [
            "nothing is decided, as the model has no thresholds; measure them: arcwise calibrate "
            "MODEL DATA"
        ]
    together = []
    if result.together > 1:
        together = [f"answered once for {result.together} images together, {result.weighting}"]
    if result.unmeasured:
        return [
            *together,
            f"answered at {point.criterion}; {result.unmeasured}",
        ]
    lines = [f"answered at {point.criterion}: {point}", _measured(point, result, enrolled)]
    if result.outgrown and result.calibration is not None:
        before = result.calibration
        lines.append(
            "warning: the gallery has outgrown its calibration, which was measured with "
            f"{counted(before.identities, 'identity')} and "
            f"{counted(before.templates, 'template')}; others were enrolled since: calibrate it "
            "again"
        )
    elif where is None and result.calibration and result.calibration.second_look_ended(size):
        lines.append(
            "warning: the gallery was calibrated with a second look at the hits, and has changed "
            "since: the similarity decides until it is calibrated again"
        )
    if point.in_this_gallery and point.basis.identities is None:
        lines.append(
            "to know the interval: arcwise calibrate MODEL DATA --gallery GALLERY, with a folder "
            "for each stranger"
        )
    elif not point.in_this_gallery and not (point.exact and point.promises):
        lines.append(
            "to measure it for this gallery: arcwise calibrate MODEL DATA --gallery GALLERY, with "
            f"images of {FEW} or more identities that are not enrolled"
        )
    return [*lines, "other rates: --fpir, --far"]


def _measured(point: OperatingPoint, result: SearchResult, enrolled: str) -> str:
    """Return what the threshold that decides was measured on, in words."""
    basis = point.basis
    if isinstance(basis, Threshold):
        return (
            f"this is the threshold of single comparisons at FAR {basis.far:g}"
            f"{'' if basis.resolved else ', too few pairs to be sure of it'}; enrolled are "
            f"{enrolled}"
        )
    on = "images of strangers, it is not known which of one"
    if basis.identities is not None:
        on = counted(basis.identities, "identity")
    if point.in_this_gallery:
        changed = "; it decides until something is enrolled or removed" if point.neighbours else ""
        then = result.calibration
        if then is not None and not point.exact:  # some of them take no part, or are gone
            changed = (
                f", with {counted(then.identities, 'identity')} and "
                f"{counted(then.templates, 'template')}; searched now are {enrolled} of them, "
                "which answer no more of others"
            )
        return f"measured against this gallery, on {on}{changed}"
    few = basis.templates
    each = "several templates" if few is None else f"{counted(few, 'template')} each"
    return (
        f"measured for {counted(basis.gallery, 'identity')} with {each}, on {on}; enrolled are "
        f"{enrolled}"
    )


def _document(
    gallery: str, result: SearchResult, explanation: list[str], page: Path | None
) -> dict[str, object]:
    """Return the document of --json."""
    objects = result.objects or [None] * len(result.queries)
    return {
        "gallery": shown_address(gallery),
        "enrolled": result.size,
        "operating_point": None if result.point is None else result.point.as_dict(),
        "together": result.together,
        "unmeasured": result.unmeasured,
        "outgrown": result.outgrown,
        "explained": explanation,
        "queries": [
            {"image": one.name, "object": part, "error": one.reason, "identity": None, "hits": []}
            if isinstance(one, ImageError)
            else {
                "image": one.image,
                "object": part,
                "error": None,
                "identity": None if one.decision is None else one.decision.identity,
                "decided": one.decision is not None,
                "above_next": None if one.decision is None else one.decision.above_next,
                "hits": one.hits,
            }
            for one, part in zip(result.queries, objects, strict=True)
        ],
        "ignored": result.ignored,
        "notes": result.notes,
        "licence": result.licence,
        "page": page,
    }
