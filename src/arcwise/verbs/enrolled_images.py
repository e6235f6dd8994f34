"""The image that a template was made from: what is recorded of it, and finding it again."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.client import Client
from arcwise.data.digests import content_digest, content_digests
from arcwise.data.formats.opening import open_manifest
from arcwise.data.image_files import read_image_bytes
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.gallery import Gallery, shown_address
from arcwise.images import decode
from arcwise.recognition.recorded import CONTENT, image_record

_LANDMARKS = (10, 136)  # x and y of 5 or 68 points


class TemplateImage(NamedTuple):
    """The image that a template was made from.

    Attributes:
        content: the bytes of its file.
        landmarks: what it is aligned by; None where none are recorded.
        metadata: what to record of it, where it lies now.
    """

    content: bytes
    landmarks: list[float] | None
    metadata: dict[str, Any]


def image_metadata(manifest: Manifest, digests: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return what a template records of every row's image: where it lies, its content, landmarks.

    Args:
        manifest: with images.
        digests: (N,) of the image files.
    """
    landmarks = manifest.column("landmarks") or [None] * len(manifest)
    return [
        image_record(image, manifest.root, digest, points)
        for image, digest, points in zip(manifest.images, digests.tolist(), landmarks, strict=True)
    ]


class EnrolledImages:
    """Images found by what templates record: where they were, or else under another folder.

    A file with other content than the recorded one is not taken. Threads may share this.

    Args:
        gallery: whose templates they are; where no folder is recorded, its own is tried.
        images: a folder, archive or table in which images are looked for as well, by the path
            that was enrolled and by their content.

    Raises:
        ArcwiseError: there is no image in `images`.
    """

    def __init__(self, gallery: str | Path, images: str | Path | None) -> None:
        self._folder = os.path.dirname(os.path.abspath(shown_address(gallery)))
        self._images = None
        if images is not None:  # looked through: what its folders are called says nothing
            self._images = open_manifest(images, identities=False, top_folders="part")
        self._under = [] if images is None else [os.path.abspath(images)]
        self._lock = threading.Lock()
        self._rows: dict[str, int] | None = None  # of `images`, by content

    def find(self, metadata: Mapping[str, Any]) -> TemplateImage:
        """Return the image that a template was made from.

        Raises:
            ImageError: it is not there, or none is recorded.
        """
        image, recorded = metadata.get("image"), metadata.get(CONTENT)
        if not isinstance(image, str):
            raise ImageError("no image", "none is recorded with the template")
        reasons = []
        for root in self._roots(metadata):
            try:
                content = read_image_bytes(root, image)
            except ImageError as problem:
                reasons.append(problem.reason)
                continue
            digest = f"{content_digest(content):016x}"
            if recorded in (None, digest):
                return _template_image(content, metadata, root, image)
            reasons.append(f"another image lies there now (in {root})")
        moved = self._with_content(recorded, metadata)
        if moved is None:
            raise ImageError(image, reasons[0])
        return moved

    def _roots(self, metadata: Mapping[str, Any]) -> list[str]:
        """Return the folders that the path of a template's image may start from."""
        root = metadata.get("root")  # galleries older than this name none
        roots = [root] if isinstance(root, str) else ["", self._folder]
        return [*roots, *self._under]

    def _with_content(self, recorded: Any, metadata: Mapping[str, Any]) -> TemplateImage | None:
        """Return the image with this digest, wherever it lies in `images`; None without one."""
        if self._images is None or not isinstance(recorded, str):
            return None
        with self._lock:
            if self._rows is None:
                digests = content_digests(self._images).tolist()
                self._rows = {f"{one:016x}": row for row, one in enumerate(digests) if one}
        row = self._rows.get(recorded)
        if row is None:
            return None
        root, image = os.path.abspath(self._images.root), self._images.image(row)
        return _template_image(self._images.read(row), metadata, root, image)


def shown_template(
    store: Gallery | Client,
    images: EnrolledImages | None,
    template: int,
    metadata: Mapping[str, Any],
) -> NDArray[np.uint8] | str:
    """Return the image of a template for a person to see: its thumbnail, or else the image itself.

    Args:
        store: the open gallery, or the server that has it.
        images: of that gallery; None where they are not on this machine.
        template: its number.
        metadata: of the template.

    Returns:
        (H, W, 3) uint8 RGB; or why it cannot be shown.
    """
    try:
        thumbnail = store.thumbnail(template)
        if thumbnail is None and images is None:
            return "the server keeps no image"
        content = images.find(metadata).content if images and thumbnail is None else thumbnail
        return decode(content or b"", f"template {template}")
    except ImageError as problem:
        return f"cannot be shown: {problem.reason}"
    except ArcwiseError as problem:
        return f"cannot be shown: {problem}"


def _template_image(
    content: bytes, metadata: Mapping[str, Any], root: str, image: str
) -> TemplateImage:
    points = metadata.get("landmarks")
    if not (
        isinstance(points, list)
        and len(points) in _LANDMARKS
        and all(isinstance(one, int | float) for one in points)
    ):
        points = None
    place = image_record(image, root, content_digest(content))
    return TemplateImage(content, points, {**metadata, **place})
