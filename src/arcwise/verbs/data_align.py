"""Photographs → aligned crops, from landmarks or a detector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.data.file_names import MANIFEST, member_paths
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
from arcwise.data.reading import each_image
from arcwise.data.writing import FileSink, new_folder, new_zip
from arcwise.data.writing.manifest_tables import as_csv, pairs_renamed, rows_renamed
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.detect import FaceDetector, most_central
from arcwise.images.landmarks import align as align_face
from arcwise.images.landmarks import five_points, is_profile
from arcwise.images.plausible import doubtful
from arcwise.images.preparation import Preparation
from arcwise.verbs.aligned import Aligned, Policies

_ENCODINGS = {"png": (".png", []), "jpg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95])}
_PAIRS = "pairs.csv"


def align(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    detector: FaceDetector | str | os.PathLike[str] | None = None,
    size: int = 112,
    encoding: Literal["png", "jpg"] = "png",
    policies: Policies = Policies(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> Aligned:
    """Crops of the faces of a data set, as a data set: a folder or `.zip` with a `manifest.csv`.

    Where the manifest has `landmarks` (5 or 68 points, image-left first) they are used; elsewhere
    the detector looks. All other columns are kept, and the pairs that the data set states.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; ends in .zip, or is a folder.
        detector: a YuNet model file, or a detector.
        size: side of the crops, in pixels.
        encoding: `png` keeps every pixel; `jpg` (quality 95) is a quarter of the size.
        policies: what becomes of pictures with several faces, none, or a profile.
        progress: called with the pictures done and their total.

    Raises:
        ArcwiseError: neither landmarks nor a detector, or no crop of any picture.
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
            "bring a table with a column landmarks of 10 or 136 numbers"
        )
    if detector is not None and not isinstance(detector, FaceDetector):
        detector = FaceDetector(detector)
    ending, options = _ENCODINGS[encoding]
    paths = member_paths(manifest, taken=[MANIFEST, _PAIRS], ending=ending)
    target = Path(destination)
    work = partial(
        _crop,
        landmarks=landmarks,
        detector=detector,
        size=size,
        policies=policies,
    )
    done = Aligned(target, policies, notes=manifest.notes)
    rows: list[int] = []
    opened = new_zip if target.suffix.lower() == ".zip" else new_folder
    with opened(target) as files:
        for row, found in enumerate(each_image(manifest, work, progress=progress)):
            if isinstance(found, ImageError):
                done.unreadable.append(found)
                continue
            if found.impossible:
                done.impossible.append(ImageError(manifest.image(row), found.impossible))
                continue
            done.count(manifest.image(row), found.faces, found.profile, found.doubtful)
            if found.pixels is not None:
                _, data = cv2.imencode(ending, found.pixels[..., ::-1], options)
                files.add(paths[row], data.tobytes())
                rows.append(row)
        if not rows:
            raise ArcwiseError(f"{manifest.name}: no crop of {len(manifest)} pictures; {done.why}")
        done.crops = len(rows)
        done.pairs = _describe(files, manifest, rows, [paths[row] for row in rows])
    return done


class _Crop(NamedTuple):
    pixels: NDArray[np.uint8] | None  # None: left out
    faces: int
    profile: bool = False
    impossible: str | None = None  # why the landmarks are those of no face
    doubtful: str | None = None  # what is odd about them


def _crop(
    row: int,
    data: bytes,
    image: NDArray[np.uint8],
    *,
    landmarks: list[list[float] | None],
    detector: FaceDetector | None,
    size: int,
    policies: Policies,
) -> _Crop:
    known, faces = landmarks[row], 1
    try:
        if known is not None:
            points = five_points(known)
        else:
            found = detector.detect(image) if detector is not None else []
            faces = len(found)
            if not found:
                return _Crop(_centre(image, size) if policies.none == "centre" else None, 0)
            if faces > 1 and policies.several == "leave-out":
                return _Crop(None, faces)
            central = policies.several == "central"
            points = (most_central(found, *image.shape[:2]) if central else found[0]).landmarks
        profile = is_profile(points)
        if profile and policies.profile == "leave-out":
            return _Crop(None, faces, profile)
        odd = doubtful(points, *image.shape[:2]) if known is not None and not profile else None
        return _Crop(align_face(image, points, size), faces, profile, doubtful=odd)
    except ArcwiseError as problem:
        return _Crop(None, faces, impossible=str(problem))


def _centre(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The largest square in the middle, scaled."""
    return Preparation(size, size, resize="crop").pixels(image)


def _describe(
    files: FileSink, manifest: Manifest, rows: Sequence[int], images: list[str]
) -> int | None:
    """Writes the table and the pairs of the crops; how many of the pairs are left."""
    table = rows_renamed(manifest, rows, images)
    stale = [name for name in ("landmarks", "box") if name in table.column_names]
    files.add(MANIFEST, as_csv(table.drop_columns(stale)))
    pairs = pairs_renamed(manifest, rows, images)
    if pairs is None:
        return None
    files.add(_PAIRS, as_csv(pairs))
    return pairs.num_rows
