"""The page about the quality of a data set's images: the worst, and what is gained without them."""

from __future__ import annotations

from pathlib import Path

from arcwise.data.check.check_report import ModelReport
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.images import decode

SHOWN = 60
"""Images on the page, at most."""

_IN_A_ROW = 10


def write_quality_page(path: Path, manifest: Manifest, report: ModelReport | None) -> Path:
    """Write the curve of error against share rejected, and the worst images, as one HTML file.

    Args:
        path: of `search_page.page_path`; a page there is replaced.
        manifest: the data set that was checked.
        report: what the model found.

    Raises:
        ArcwiseError: there is no model, or it estimates no quality.
    """
    from arcwise.report import (
        CaptionedImage,
        ImageStrips,
        Plot,
        Section,
        Strip,
        plots,
        shrunk,
        write_report,
    )
    from arcwise.report.html import SIZES

    if report is None or report.quality is None:
        name = "none is named" if report is None else f"{report.model} does not"
        raise ArcwiseError(
            f"{path}: the page shows the quality that a model estimates, and {name}; give --model "
            "one that was trained with --recipe sets, or leave --out out"
        )
    quality, sections = report.quality, list[Section]()
    if quality.rejection is not None:
        found = str(quality.rejection)
        sections.append(
            Plot(
                "Error against share rejected",
                plots.error_versus_reject({report.model: quality.rejection}),
                f"{found[0].upper()}{found[1:]}. A level line is a quality worth nothing.",
            )
        )
    rows = {image: row for row, image in enumerate(manifest.images)}
    pictures = []
    for one in quality.worst[:SHOWN]:
        try:
            image = shrunk(decode(manifest.read(rows[one.image]), one.image), SIZES[2])
            pictures.append(CaptionedImage(image, f"{one.quality:.3f} {one.identity}"))
        except ArcwiseError as problem:
            pictures.append(CaptionedImage(f"cannot be shown: {problem}", one.image))
    strips = [
        Strip(pictures[start : start + _IN_A_ROW], "")
        for start in range(0, len(pictures), _IN_A_ROW)
    ]
    sections.append(
        ImageStrips("Images of lowest quality", strips, "Below each image: quality and identity.")
    )
    low = quality.spread.low
    summary = f"Median quality {quality.median:.3f}, one image in twenty under {low:.3f}."
    if quality.spread.warning:
        summary += f" Warning: {quality.spread.warning}."
    if quality.unmeasured:
        summary += f" Whether errors fall without the worst is not measured: {quality.unmeasured}."
    return write_report(path, f"Quality of {manifest.name}, by {report.model}", sections, summary)
