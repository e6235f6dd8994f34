"""Data align: crops of faces, aligned by landmarks or a detector."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

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
from arcwise.images.landmarks import Template, five_points, is_profile
from arcwise.images.landmarks import align as align_face
from arcwise.images.plausible import doubtful
from arcwise.images.preparation import Preparation

_ENCODINGS = {"png": (".png", []), "jpg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95])}
_PAIRS = "pairs.csv"
_SHOWN = 10


Several = Literal["largest", "central", "leave-out"]
Faceless = Literal["leave-out", "centre"]
Profile = Literal["keep", "leave-out"]


@dataclass(frozen=True)
class Policies:
    """What to do with images that are not plain portraits.

    Attributes:
        several: of faces that a detector finds, the largest is taken, or the most central, or the
            image is left out.
        none: an image without a face, or without landmarks where there is no detector, is left
            out, or the largest square in its middle is taken.
        profile: a face whose nose is beyond an eye (`images.landmarks.is_profile`) is kept, or
            left out: five points fix it badly.
    """

    several: Several = "largest"
    none: Faceless = "leave-out"
    profile: Profile = "keep"

    def __post_init__(self) -> None:
        for name, kind in (("several", Several), ("none", Faceless), ("profile", Profile)):
            if getattr(self, name) not in get_args(kind):
                expected = ", ".join(get_args(kind))
                raise ArcwiseError(f"{name} is {getattr(self, name)!r}; expected one of {expected}")


@dataclass
class Aligned:
    """What an alignment did; it prints itself.

    Attributes:
        path: where the crops are.
        policies: that were followed.
        crops: how many there are.
        several: images with more than one face.
        faceless: images without one.
        profiles: images whose face is a profile.
        unreadable: images that cannot be decoded; left out.
        impossible: images whose landmarks can be those of no face in them; left out.
        doubtful: crops whose landmarks are odd, and how: outside the image in part, say.
        pairs: to verify, that are left of the data set's; None where it states none.
        notes: what the data set has to say about itself.
    """

    path: Path
    policies: Policies
    crops: int = 0
    several: list[str] = field(default_factory=list)
    faceless: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    unreadable: list[ImageError] = field(default_factory=list)
    impossible: list[ImageError] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    pairs: int | None = None
    notes: tuple[str, ...] = ()

    def count(self, image: str, faces: int, profile: bool, doubtful: str | None = None) -> None:
        """Count one image."""
        if faces > 1:
            self.several.append(image)
        if not faces:
            self.faceless.append(image)
        if profile:
            self.profiles.append(image)
        if doubtful:
            self.doubtful.append(f"{image}: {doubtful}")

    @property
    def why(self) -> str:
        """The reason why there is no crop at all."""
        if self.impossible:
            return f"{len(self.impossible):,} have landmarks that cannot be: {self.impossible[0]}"
        if self.unreadable:
            return str(self.unreadable[0])
        return "none has a face" if self.faceless else "the policies leave all of them out"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _suspicion(self) -> str:
        if len(self.profiles) <= self.crops / 2:
            return ""
        return "; are landmarks written x y, x y, …: eyes, nose, mouth corners, image-left first?"

    def _lines(self) -> Iterator[str]:
        pairs = "" if self.pairs is None else f", {self.pairs:,} pairs to verify"
        yield f"{self.path}: {self.crops:,} crops{pairs}"
        yield from (f"  note: {note}" for note in self.notes)
        several = {"largest": "the largest taken", "central": "the most central taken"}
        faceless = {"centre": "the middle taken"}
        profiles = {"keep": "kept"}
        policies = self.policies
        for what, done, names in (
            ("several faces", several.get(policies.several), self.several),
            ("no face found", faceless.get(policies.none), self.faceless),
            ("profiles", profiles.get(policies.profile), self.profiles),
            ("odd landmarks", "kept", self.doubtful),
            ("landmarks that cannot be", None, [str(error) for error in self.impossible]),
            ("unreadable", None, [str(error) for error in self.unreadable]),
        ):
            if names:
                odd = self._suspicion() if names is self.profiles else ""
                yield f"  {what}, {done or 'left out'} ({len(names):,}){odd}"
                yield from (f"    {name}" for name in names[:_SHOWN])
            if len(names) > _SHOWN:
                yield f"    ... and {len(names) - _SHOWN:,} more"


def align(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    detector: FaceDetector | str | os.PathLike[str] | None = None,
    size: int = 112,
    template: Template = "five-point",
    encoding: Literal["png", "jpg"] = "png",
    policies: Policies = Policies(),
    progress: Progress | None = None,
) -> Aligned:
    """Write crops of the faces of a data set, as a folder or `.zip` with a `manifest.csv`.

    Where the manifest has `landmarks` (5 or 68 points, image-left first) they are used; elsewhere
    the detector looks. All other columns are kept, and the pairs that the data set states.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; ends in .zip, or is a folder.
        detector: a YuNet model file, or a detector.
        size: side of the crops, in pixels.
        template: where the face is in a crop; as the model was trained that will see it.
        encoding: `png` keeps every pixel; `jpg` (quality 95) is a quarter of the size.
        policies: what to do with images with several faces, none, or a profile.
        progress: called with the images done and their total.

    Raises:
        ArcwiseError: neither landmarks nor a detector, or no crop of any image.
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
        template=template,
        policies=policies,
    )
    done = Aligned(target, policies, notes=manifest.notes)
    rows: list[int] = []
    opened = new_zip if target.suffix.lower() == ".zip" else new_folder
    with opened(target) as files:
        for row, crop in enumerate(each_image(manifest, work, progress=progress)):
            if isinstance(crop, ImageError):
                done.unreadable.append(crop)
                continue
            if crop.impossible:
                done.impossible.append(ImageError(manifest.image(row), crop.impossible))
                continue
            done.count(manifest.image(row), crop.faces, crop.profile, crop.doubtful)
            if crop.pixels is not None:
                _, data = cv2.imencode(ending, crop.pixels[..., ::-1], options)
                files.add(paths[row], data.tobytes())
                rows.append(row)
        if not rows:
            raise ArcwiseError(f"{manifest.name}: no crop of {len(manifest)} images; {done.why}")
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
    template: Template,
    policies: Policies,
) -> _Crop:
    of_row, faces = landmarks[row], 1
    try:
        if of_row is not None:
            points = five_points(of_row)
        else:
            detected = detector.detect(image) if detector is not None else []
            faces = len(detected)
            if not detected:
                return _Crop(_centre(image, size) if policies.none == "centre" else None, 0)
            if faces > 1 and policies.several == "leave-out":
                return _Crop(None, faces)
            central = policies.several == "central"
            face = most_central(detected, *image.shape[:2]) if central else detected[0]
            points = face.landmarks
        profile = is_profile(points)
        if profile and policies.profile == "leave-out":
            return _Crop(None, faces, profile)
        stated = of_row is not None and not profile
        odd = doubtful(points, *image.shape[:2]) if stated else None
        return _Crop(align_face(image, points, size, template), faces, profile, doubtful=odd)
    except ArcwiseError as problem:
        return _Crop(None, faces, impossible=str(problem))


def _centre(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the largest square in the middle, scaled."""
    return Preparation(size, size, resize="crop").pixels(image)


def _describe(
    files: FileSink, manifest: Manifest, rows: Sequence[int], images: list[str]
) -> int | None:
    """Write the table and the pairs of the crops; return how many pairs are left."""
    table = rows_renamed(manifest, rows, images)
    stale = [name for name in ("landmarks", "box") if name in table.column_names]
    files.add(MANIFEST, as_csv(table.drop_columns(stale)))
    pairs = pairs_renamed(manifest, rows, images)
    if pairs is None:
        return None
    files.add(_PAIRS, as_csv(pairs))
    return pairs.num_rows
