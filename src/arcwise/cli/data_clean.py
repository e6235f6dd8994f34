"""`arcwise data clean`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import counted, left_out, progress
from arcwise.cli.sources import EmbeddingsOrModel, model_and_data
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_clean import LabelReport, clean, write_label_errors
from arcwise.verbs.data_clean_decisions import CleanedData, apply_decisions
from arcwise.verbs.data_clean_page import write_label_page
from arcwise.verbs.review_images import check_images
from arcwise.verbs.search_page import page_path
from arcwise.verbs.table_path import table_path


def command(
    sources: EmbeddingsOrModel,
    out: Path | None = None,
    page: Path | None = None,
    decisions: Path | None = None,
    apply: Path | None = None,
    cache: bool = True,
    seed: int = 0,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Find wrong labels: identities to merge, to split, or to relieve of an image.

    A page shows the images of each suspected error, and a person decides. --apply then writes a
    new table in which the decisions hold. Nothing is deleted, or changed in its place.

    Args:
        sources: Table of labelled embeddings, as `arcwise embed` writes it; or a model folder and
            labelled images. With --apply the data alone.
        out: Table to write, .parquet or .csv: of suspected errors (by default label-errors.csv), or
            with --apply the cleaned data. It must not be there yet.
        page: Page to decide on: a file that ends in .html, or a folder for label-errors.html. An
            older page is replaced.
        decisions: File of decisions that the page saved; they are not asked again.
        apply: File of decisions that the page saved, to write a new table with.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Seed of everything random.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    model, data = model_and_data(sources, "data clean")
    if apply is not None:
        if len(sources) > 1 or page is not None or decisions is not None:
            raise ArcwiseError("--apply takes the data and --out alone; leave the rest out")
        if out is None:
            raise ArcwiseError("--apply writes a new table; name it with --out")
        done = apply_decisions(naming.open(Path(data), identities=False), apply, out)
        if json:
            print_json(vars(done))
        else:
            show_cleaned(done)
        return 0
    shown = None if page is None else page_path(page, "label-errors.html")
    out = table_path(out or "label-errors.csv")
    manifest = naming.open(Path(data), identities=False)
    if shown is not None:
        check_images(manifest)
    with progress("comparing") as move:
        report = clean(
            manifest, model=model, decisions=decisions,
            cached=cache, seed=seed, progress=move,
        )  # fmt: skip
    if shown is not None:
        write_label_page(shown, report)
    written = write_label_errors(report, out)
    if json:
        print_json(_document(report, written, shown))
        return 0
    for note in report.notes:
        print(f"warning: {note}", file=sys.stderr)
    left_out("images that could not be read", report.failures)
    left_out("files that are not images", report.ignored)
    counts = report.counts
    print(
        f"{counted(len(report.names), 'image')} of {counted(len(report.identities), 'identity')}: "
        f"{counted(len(report.errors), 'suspected error')}, "
        f"{sum(not one.against for one in report.errors):,} with no vote against"
        + (f"; {report.decided:,} others are decided already" if report.decided else "")
    )
    print(
        f"same image {counts['same image']:,}, member {counts['member']:,}, split "
        f"{counts['split']:,}, merge {counts['merge']:,}"
    )
    print(report.clusters.links)
    print(f"table: {written}")
    if shown is not None:
        print(f"page: {shown}")
    return 0


def show_cleaned(done: CleanedData) -> None:
    """Print what became of a data set."""
    for note in done.notes:
        print(f"warning: {note}", file=sys.stderr)
    if done.outdated:
        print(
            f"warning: {done.outdated:,} decisions are about images that are not in the data, or "
            "of another identity by now",
            file=sys.stderr,
        )
    print(
        f"{done.path}: {counted(done.rows, 'row')} of {counted(done.identities, 'identity')}; "
        f"{done.merged:,} identities merged into others, {done.split:,} split off, "
        f"{counted(done.moved, 'image')} moved, {done.removed:,} removed"
    )


def _document(report: LabelReport, written: Path, page: Path | None) -> dict[str, object]:
    return {
        "images": len(report.names),
        "identities": len(report.identities),
        "errors": report.counts,
        "decided": report.decided,
        "threshold": report.clusters.links.threshold,
        "around": report.clusters.links.around,
        "reason": report.clusters.links.reason,
        "failures": report.failures,
        "ignored": report.ignored,
        "notes": report.notes,
        "table": written,
        "page": page,
    }
