"""Photographs → aligned crops, from landmarks or a detector."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.names import MANIFEST, member_paths
from arcwise.data.parallel import Progress
from arcwise.data.reading import each_picture
from arcwise.data.writing import add_manifest, new_folder, new_zip
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.detect import FaceDetector
from arcwise.images.landmarks import align as align_face

_ENCODINGS = {"png": (".png", []), "jpg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95])}
_SHOWN = 10


@dataclass(frozen=True)
class Aligned:
    """What was written; it prints itself.

    Attributes:
        path: where.
        crops: how many.
        several: pictures with more than one face, of which the largest was taken.
        faceless: pictures without a face (or without landmarks, when there is no detector).
        unreadable: pictures that cannot be decoded, or whose landmarks fit no face.
    """

    path: Path
    crops: int
    several: tuple[str, ...] = ()
    faceless: tuple[str, ...] = ()
    unreadable: tuple[ImageError, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.crops:,} crops"]
        for title, names in (
            ("several faces, the largest taken", self.several),
            ("left out, no face found", self.faceless),
            ("left out, unreadable", [str(error) for error in self.unreadable]),
        ):
            if names:
                lines.append(f"  {title} ({len(names):,})")
                lines += [f"    {name}" for name in names[:_SHOWN]]
            if len(names) > _SHOWN:
                lines.append(f"    ... and {len(names) - _SHOWN:,} more")
        return "\n".join(lines)


def align(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    detector: FaceDetector | str | os.PathLike[str] | None = None,
    size: int = 112,
    encoding: Literal["png", "jpg"] = "png",
    progress: Progress | None = None,
) -> Aligned:
    """Crops of the faces of a data set, as a data set: a folder or `.zip` with a `manifest.csv`.

    Where the manifest has `landmarks` (10 numbers: x and y of eyes, nose and mouth corners,
    image-left first) they are used; elsewhere the detector looks, and its largest face is taken.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; ends in .zip, or is a folder.
        detector: a YuNet model file, or a detector.
        size: side of the crops, in pixels.
        encoding: `png` keeps every pixel; `jpg` (quality 95) is a quarter of the size.
        progress: called with the pictures done and their total.

    Raises:
        ArcwiseError: neither landmarks nor a detector, or no face in any picture.
    """
    manifest = open_manifest(source, identities=False)
    if encoding not in _ENCODINGS:
        raise ArcwiseError(f"encoding is {encoding!r}; expected {' or '.join(_ENCODINGS)}")
    if not 16 <= size <= 1024:
        raise ArcwiseError(f"size is {size}; expected 16 to 1024 pixels")
    landmarks = manifest.column("landmarks") or [None] * len(manifest)
    if detector is None and not any(landmarks):
        raise ArcwiseError(
            f"{manifest.name} has no landmarks; name a face detector (--detector yunet.onnx), or "
            "bring a table with a column landmarks of 10 numbers"
        )
    if detector is not None and not isinstance(detector, FaceDetector):
        detector = FaceDetector(detector)
    ending, options = _ENCODINGS[encoding]
    paths = member_paths(manifest, taken=[MANIFEST], ending=ending)
    target = Path(destination)
    work = partial(_crop, manifest=manifest, landmarks=landmarks, detector=detector, size=size)
    rows, several, faceless, unreadable = [], [], [], []
    opened = new_zip if target.suffix.lower() == ".zip" else new_folder
    with opened(target) as files:
        for row, found in enumerate(each_picture(manifest, work, progress=progress)):
            if isinstance(found, ImageError):
                unreadable.append(found)
            elif found.pixels is None:
                faceless.append(manifest.image(row))
            else:
                _, data = cv2.imencode(ending, found.pixels[..., ::-1], options)
                files.add(paths[row], data.tobytes())
                rows.append(row)
                if found.faces > 1:
                    several.append(manifest.image(row))
        if not rows:
            first = unreadable[0] if unreadable else "none has a face"
            raise ArcwiseError(f"{manifest.name}: no crop of {len(manifest)} pictures; {first}")
        table = manifest.select(rows).table
        stale = [name for name in ("landmarks", "box") if name in table.column_names]
        add_manifest(files, table.drop_columns(stale), [paths[row] for row in rows])
    return Aligned(target, len(rows), tuple(several), tuple(faceless), tuple(unreadable))


class _Crop(NamedTuple):
    pixels: NDArray[np.uint8] | None
    faces: int


def _crop(
    row: int,
    data: bytes,
    image: NDArray[np.uint8],
    *,
    manifest: Manifest,
    landmarks: list[list[float] | None],
    detector: FaceDetector | None,
    size: int,
) -> _Crop:
    points, faces = landmarks[row], 1
    if points is None:
        found = detector.detect(image) if detector is not None else []
        if not found:
            return _Crop(None, 0)
        points, faces = found[0].landmarks, len(found)
    try:
        return _Crop(align_face(image, points, size), faces)
    except ArcwiseError as problem:
        raise ImageError(manifest.image(row), str(problem)) from None
