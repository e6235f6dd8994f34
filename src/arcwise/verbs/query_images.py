"""The images of a query: files, and what folders, archives and tables hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arcwise.data.containers import KINDS
from arcwise.errors import ArcwiseError, ImageError
from arcwise.recognition.images import ImageList

if TYPE_CHECKING:
    from arcwise.data.manifest import Manifest

HOLD_IMAGES = frozenset((*KINDS, ".csv"))
"""Endings of files that hold or name images; a file of any other is taken for an image."""


def query_images(sources: Sequence[str | Path | Manifest]) -> ImageList:
    """Return all images, each named by its path as the user would type it.

    One of several sources that is not there, or holds no image, is a row that cannot be read: it
    fails alone, in its place. Files that are no images are in `ignored`, and what was noted in
    `notes`. Only what is more than an image file needs the packages that read data sets.

    Args:
        sources: image files, or folders, zips and tables of them.

    Raises:
        ArcwiseError: none is named, or the only one named is not there or holds no image.
    """
    images: list[str | ImageError] = []
    landmarks: list[list[float] | None] = []
    ignored: list[str] = []
    notes: list[str] = []
    for source in sources:
        try:
            manifest = source if not isinstance(source, str | Path) else _opened(str(source))
            if manifest is not None and not manifest.images:
                raise ArcwiseError(f"{manifest.name}: no image in it")
        except ArcwiseError as problem:
            if len(sources) == 1:
                raise
            name = str(source) if isinstance(source, str | Path) else source.name
            reason = str(problem).removeprefix(f"{name}: ")
            images.append(ImageError(name.encode(errors="backslashreplace").decode(), reason))
            landmarks.append(None)
            continue
        if manifest is None:
            images.append(str(Path(source)))  # type: ignore[arg-type]
            landmarks.append(None)
            continue
        images += [str(manifest.root / image) for image in manifest.images]
        landmarks += manifest.column("landmarks") or [None] * len(manifest)
        ignored += [str(manifest.root / file) for file in manifest.ignored]
        notes += manifest.notes
    if not images:
        raise ArcwiseError("no image is named; name one or more files or folders")
    known = any(points is not None for points in landmarks)
    return ImageList(images, landmarks if known else None, tuple(ignored), tuple(notes))


def _opened(name: str) -> Manifest | None:
    """Return the images at a path; None where it is an image itself.

    Raises:
        ArcwiseError: nothing is there, or nothing that can be read to its end; whatever the system
            says of the path is said in a line.
    """
    if not name:
        raise ArcwiseError("an empty name; expected the path of an image or a folder")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ArcwiseError(f"{name}: a name that is no text (UTF-8); rename it")
    path = Path(name)
    try:
        if not path.exists() and "{" not in name:  # the braces of numbered shards
            raise ArcwiseError(f"{name}: no such file or folder")
        if path.is_file() and path.suffix.lower() not in HOLD_IMAGES:
            return None
        if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end, or begin
            raise ArcwiseError(f"{name}: a pipe or device; expected an image or a folder")
        from arcwise.data.formats.opening import open_manifest

        return open_manifest(path, identities=False, top_folders="part")  # whose it is, the query
    except OSError as problem:
        raise ArcwiseError(f"{name}: {problem.strerror or problem}") from None
