"""`arcwise watchlist`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, ImageFiles
from arcwise.cli.screen import SHOWN, counted, left_out, progress
from arcwise.cli.stopping import status_of
from arcwise.evaluation import INTERVAL_NOT_KNOWN
from arcwise.verbs.asking import is_address
from arcwise.verbs.search_page import page_path
from arcwise.verbs.watchlist import Screened, hits_path, screen, write_hits
from arcwise.verbs.watchlist_page import write_watchlist_page


def command(
    gallery: GalleryName,
    images: ImageFiles,
    where: str | None = None,
    fpir: float | None = None,
    model: Path | None = None,
    detector: Path | None = None,
    boxes: Path | None = None,
    out: Path | None = None,
    page: Path | None = None,
    cache: bool = True,
    json: bool = False,
) -> int:
    """Screen a folder of images against a gallery: everyone whom an image is like.

    Exit status 0: every image is compared; 1: some could not be read, which are listed. The same
    command goes on where it was stopped.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        images: Folders of images, or image files.
        where: Condition on metadata, such as 'list == "wanted"': only templates that meet it are
            compared with.
        fpir: Part of images of others that may have a hit; what keeps it, or the nearest stricter
            rate, decides. By default as `arcwise search` has it.
        model: Folder of the gallery's model, if it moved.
        detector: YuNet .onnx file: each face that it finds in an image is compared.
        boxes: Table with the columns image and box (left, top, width, height in pixels): what is in
            each box of an image is compared.
        out: Table of the hits to write, .csv or .parquet.
        page: Page of the hits with their images: a file ending in .html, or a folder for
            watchlist.html.
        cache: Keep embeddings for the next time, in the user's cache folder.
        json: Print one JSON document instead.
    """
    shown = None if page is None else page_path(page, "watchlist.html")
    table = None if out is None else hits_path(out)
    try:
        with progress("embedding") as move:
            result = screen(
                gallery,
                images,
                where=where,
                fpir=fpir,
                model=model,
                detector=detector,
                boxes=boxes,
                cached=cache,
                progress=move,
            )
    except KeyboardInterrupt as stop:
        if cache and detector is None and boxes is None and not is_address(gallery):
            print("stopped; the same command goes on where it was", file=sys.stderr)
        return status_of(stop)
    if table is not None:
        write_hits(result, table)
    said = explained(result, where)
    if shown is not None:
        write_watchlist_page(shown, result, summary=said)
    if json:
        document = {name: value for name, value in vars(result).items() if name != "thumbnails"}
        print_json(document | {"expected": result.expected, "table": table, "page": shown})
        return 1 if result.failures else 0
    for note in result.notes:
        print(f"warning: {note}", file=sys.stderr)
    for hit in result.hits[: 4 * SHOWN]:
        print(f"{hit.similarity:7.4f}  {hit.identity}  {hit.image}")
    if len(result.hits) > 4 * SHOWN:
        print(f"… and {len(result.hits) - 4 * SHOWN:,} more hits; --out HITS.csv has all")
    left_out("images that could not be read", result.failures)
    left_out("files that are not images", result.ignored)
    print(said)
    for name, path in (("table", table), ("page", shown)):
        if path is not None:
            print(f"{name}: {path}")
    return 1 if result.failures else 0


def explained(result: Screened, where: str | None = None) -> str:
    """Return what was compared, by which threshold, and how many hits chance would give."""
    if result.point is None and where is not None:
        return f"{result.gallery}: nobody who is enrolled there meets the condition"
    if result.point is None:
        return f"{result.gallery}: nobody is enrolled there to compare with"
    compared = "object" if result.objects else "image"
    said = (
        f"{result.images_with_hits:,} of {counted(result.images, compared)} have a hit among "
        f"{counted(result.size.identities, 'identity')}, at "
        f"{result.point.criterion}"
    )
    if result.expected is None:
        reason = result.unmeasured or str(result.point)
        return f"{said}; {reason}"
    how = "about" if result.point.exact else "at most"
    chance = f"if all were of others, {how} {result.expected:,.1f} would have one by chance"
    unknown = result.point.basis.identities is None
    return f"{said}; {chance}{f' ({INTERVAL_NOT_KNOWN})' if unknown else ''}"
