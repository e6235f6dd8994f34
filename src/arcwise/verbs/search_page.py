"""The page of a search: each query with the enrolled images that are closest to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from arcwise.client import Client
from arcwise.data.image_files import read_image_bytes
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.gallery import Gallery, Hit, OperatingPoint, open_gallery, shown_address
from arcwise.images import decode
from arcwise.recognition.objects import Box, cut
from arcwise.recognition.opening import gallery_may_exist
from arcwise.verbs.asking import is_address

if TYPE_CHECKING:
    import numpy as np

    from arcwise.recognition.answers import QueryObject
    from arcwise.report import Strip
    from arcwise.verbs.search import Answer

MAX_IMAGES = 1000
"""Images on a page, about: more would make it too large to open."""

FULL_SIZE = 120
"""Images up to which they are kept as large as on any page; more are kept smaller."""


def page_path(out: str | Path, name: str = "search.html") -> Path:
    """Return the file that a page goes to, before any work is done for it.

    Args:
        out: a file that ends in .html, or a folder.
        name: what the file is called in a folder.

    Raises:
        ArcwiseError: something else is there, or the name ends otherwise.
        ImportError: what draws pages is not installed.
    """
    import arcwise.report  # noqa: F401  # now, not after the work

    path = Path(out)
    if path.is_dir() or (not path.suffix and not path.exists()):
        path = path / name
    elif path.suffix.lower() != ".html":
        raise ArcwiseError(f"{out}: expected a page, ending in .html, or a folder for one")
    if path.exists() and not path.is_file():
        raise ArcwiseError(f"{path}: not a file; name another page")
    existing = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not os.access(existing, os.W_OK) or (existing != path and not existing.is_dir()):
        raise ArcwiseError(f"{path}: {existing} cannot be written to; name another page")
    return path


def write_page(
    path: Path,
    queries: Sequence[Answer | ImageError],
    *,
    gallery: str | Path,
    summary: str,
    objects: Sequence[QueryObject] = (),
    point: OperatingPoint | None = None,
) -> Path:
    """Write the queries with their hits as one HTML file that holds all images, small.

    Where an enrolled image is not where it was enrolled from, the small one is shown that the
    gallery keeps, as for a gallery on a server; where it keeps none, the reason is in its place.

    Args:
        path: of `page_path`; a page there is replaced.
        queries: every query in its order: its answer, or why it has none.
        gallery: its file, for the title, and for images named from its folder; or its address on
            a server.
        summary: a sentence or two on what decided, and what it promises.
        objects: which part of an image each query is; () where they are whole images.
        point: the threshold that decided, whose interval says which decisions are doubtful.

    Returns:
        The path.
    """
    from arcwise.report import CaptionedImage, ImageStrips, Strip, write_report
    from arcwise.report.html import SIZES

    width = 1 + max(
        (len(one.hits) for one in queries if not isinstance(one, ImageError)), default=0
    )
    shown = queries[: max(1, MAX_IMAGES // width)]
    longest = SIZES[0] if width * len(shown) <= FULL_SIZE else SIZES[3]
    images = _Images(gallery, longest)

    def strip(one: Answer | ImageError, part: QueryObject | None) -> Strip:
        if isinstance(one, ImageError):
            return Strip([CaptionedImage(one.reason, "query")], f"{one.name}: not answered")
        where = (one.image, None) if part is None else (part.image, part.box)
        pictures = [CaptionedImage(images.file(("",), *where), "query")]
        for hit in one.hits:
            is_answer = one.decision is not None and hit.identity == one.decision.identity
            pictures.append(
                CaptionedImage(
                    images.enrolled(hit),
                    f"{hit.identity}, {hit.similarity:.3f}",
                    "answer" if is_answer else "neutral",
                )
            )
        return Strip(pictures, f"{one.image}: {_verdict(one, point)}")

    note = "Below each enrolled image: its identity, and its similarity to the query."
    if any(not isinstance(one, ImageError) and one.decision is not None for one in shown):
        note += " → marks the answer."
    if len(shown) < len(queries):
        note += f" The first {len(shown):,} of {len(queries):,} queries; search for fewer at once."
    count = f"{len(queries):,} {'query' if len(queries) == 1 else 'queries'}"
    title = f"{count} in {Path(shown_address(gallery)).name}"
    with images:
        strips = list(map(strip, shown, objects or [None] * len(shown)))
    section = ImageStrips("Queries and the closest identities", strips, note)
    return write_report(path, title, [section], summary)


def _verdict(answer: Answer, point: OperatingPoint | None) -> str:
    """Return what a query is, in a few words, and why; the server's page says it alike."""
    decision = answer.decision
    if decision is None:
        return "no decision"
    if decision.similarity is None:
        return "unknown, nobody is enrolled"
    compared, closest = decision.similarity, f"{decision.similarity:.3f}"
    if decision.above_next is not None:
        compared = decision.above_next
        closest = (
            f"the closest is {compared:.3f} above the mean of the next {decision.neighbours}, which"
        )
    side = "is below" if decision.identity is None else "reaches"
    why = f"{closest} {side} the threshold {decision.threshold:.3f}"
    doubts = []
    if point is not None and _within(point, compared):
        low, high = point.basis.low, point.basis.high
        doubts.append(f", which lies between {low:.3f} and {high:.3f} with 95 % confidence")
    second = None if decision.margin is None else compared - decision.margin
    if decision.identity is not None and second is not None and second >= decision.threshold:
        doubts.append("; a second one reaches it too")
    name = decision.identity or "unknown"
    return f"{'doubtful: ' if doubts else ''}{name}, {why}{''.join(doubts)}"


def _within(point: OperatingPoint, compared: float) -> bool:
    """Return whether another measurement of the threshold might decide otherwise."""
    low, high = point.basis.low, point.basis.high
    return (low > -1 or high < 1) and low < high and low <= compared <= high


class _Images:
    """The images of a page, small, each read once; a context manager.

    Args:
        gallery: its file, or its address on a server.
        longest: pixels on the longer side, at most.
    """

    def __init__(self, gallery: str | Path, longest: int) -> None:
        self._gallery, self._longest = gallery, longest
        self._folder = os.path.dirname(os.path.abspath(shown_address(gallery)))
        self._opened = ExitStack()
        self.file = cache(self._file)  # several queries may be in one, or near to one
        self._kept = cache(self._kept_image)

    def enrolled(self, hit: Hit) -> np.ndarray | str:
        """Return the image of a template, or else the small one that is kept with it; or why not.

        Of a server it is the small one: a file of that name here is perhaps another image.
        """
        image, root = hit.metadata.get("image"), hit.metadata.get("root")
        if is_address(self._gallery):
            found: np.ndarray | str = "the server keeps no image"
        elif not isinstance(image, str):
            found = "no image is recorded"
        else:  # galleries older than this name no root
            found = self.file((root,) if isinstance(root, str) else ("", self._folder), image)
        kept = self._kept(hit.template) if isinstance(found, str) else None
        return found if kept is None else kept

    def _file(self, roots: Sequence[str], image: str, box: Box | None = None) -> np.ndarray | str:
        """Return an image, or what is in a box of it, from the first root that has it.

        Where none has, it is why it cannot be shown.
        """
        from arcwise.report import shrunk

        why = ""
        for root in roots:
            try:
                pixels = decode(read_image_bytes(root, image), image)
                return shrunk(pixels if box is None else cut(pixels, box)[0], self._longest)
            except ArcwiseError as problem:  # of the image, or of the archive that it was in
                reason = problem.reason if isinstance(problem, ImageError) else str(problem)
                why = why or reason
        return f"cannot be shown: {why}"

    def _kept_image(self, template: int) -> np.ndarray | None:
        from arcwise.report import shrunk

        try:
            content = None if self._store is None else self._store.thumbnail(template)
        except GalleryError:  # removed since
            return None
        return None if content is None else shrunk(decode(content, ""), self._longest)

    @cached_property
    def _store(self) -> Client | Gallery | None:
        """What keeps the small images, opened where one is needed; None where it is gone."""
        if is_address(self._gallery):
            return self._opened.enter_context(Client(str(self._gallery)))
        if not gallery_may_exist(self._gallery):
            return None
        return self._opened.enter_context(open_gallery(self._gallery, mode="r"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
