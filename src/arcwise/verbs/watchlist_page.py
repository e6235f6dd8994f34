"""The page of a screening: each hit with the identities that it is like."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from arcwise.data.image_files import read_image_bytes
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode
from arcwise.recognition.answers import QueryObject
from arcwise.recognition.objects import Box, cut
from arcwise.verbs.enrolled_images import EnrolledImages
from arcwise.verbs.watchlist import Screened, WatchlistHit

SHOWN = 300
"""Images with hits on a page: more would make it too large to open."""

EACH = 5
"""Identities shown with an image, at most."""


def write_watchlist_page(path: Path, result: Screened, *, summary: str) -> Path:
    """Write the hits as one HTML file that holds all images, small; return its path.

    Args:
        path: the file; a page there is replaced.
        result: of a screening.
        summary: a sentence or two on what decided, and what it promises.
    """
    from arcwise.report import CaptionedImage, ImageStrips, Section, Strip, Table, write_report
    from arcwise.report.html import SIZES, shrunk

    by_image: dict[str, list[WatchlistHit]] = {}  # or by object; the most similar first
    for one in result.hits:
        by_image.setdefault(one.image, []).append(one)
    order = list(by_image)
    images = EnrolledImages(result.gallery, None)

    @cache
    def query(image: str, box: Box | None) -> np.ndarray | str:
        try:
            pixels = decode(read_image_bytes("", image), image)
            return shrunk(pixels if box is None else cut(pixels, box)[0], SIZES[3])
        except ArcwiseError as problem:
            return f"cannot be shown: {problem}"

    def enrolled(hit: WatchlistHit) -> np.ndarray | str:
        try:
            small = result.thumbnails.get(hit.template)
            content = images.find(hit.metadata).content if small is None else small
            return shrunk(decode(content, hit.identity), SIZES[3])
        except ImageError as problem:
            return f"cannot be shown: {problem.reason}"
        except ArcwiseError as problem:
            return f"cannot be shown: {problem}"

    def strip(image: str) -> Strip:
        hits = by_image[image]
        more = f" and {len(hits) - EACH:,} more" if len(hits) > EACH else ""
        part = hits[0].object or QueryObject(image, None)
        pictures = [CaptionedImage(query(part.image, part.box), "image")]
        pictures += [
            CaptionedImage(enrolled(hit), f"{hit.identity}, {hit.similarity:.3f}")
            for hit in hits[:EACH]
        ]
        return Strip(pictures, f"{image}: {', '.join(hit.identity for hit in hits[:EACH])}{more}")

    note = ""
    if len(order) > SHOWN:
        note = f"The {SHOWN:,} most similar of {len(order):,} images with a hit; the table has all."
    sections: list[Section] = [ImageStrips("Hits", [strip(one) for one in order[:SHOWN]], note)]
    if result.failures:
        rows = [(one.name, one.reason) for one in result.failures]
        sections.append(Table("Images that could not be read", ("image", "reason"), rows))
    compared = "objects" if result.objects else "images"
    title = f"{result.images_with_hits:,} of {result.images:,} {compared} are like somebody in "
    return write_report(path, title + Path(result.gallery).name, sections, summary)
