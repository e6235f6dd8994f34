"""A query to a gallery: the images, and the threshold that decides about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from arcwise import runtime
from arcwise.data.formats.folder import read_single
from arcwise.data.formats.opening import FILES, open_manifest
from arcwise.data.formats.table import TABLES
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import (
    Gallery,
    OperatingPoint,
    check_one_rate,
    nearest,
    operating_points,
    usual_point,
)
from arcwise.images import decode
from arcwise.runtime import Embedded, Model

T = TypeVar("T")

_MIN_TAR = 0.5  # a default rate should accept so many mated pairs, at least


@dataclass(frozen=True, eq=False)
class _QueryImages(Manifest):
    """Images by their paths; `problem` says why one that was named cannot be read."""

    def read(self, index: int) -> bytes:
        problem = self.table.column("problem")[index].as_py()
        if problem is not None:
            raise ImageError(self.image(index), problem)
        return super().read(index)


def query_images(sources: Sequence[str | Path | Manifest]) -> Manifest:
    """Return one manifest of all images, each named by its path as the user would type it.

    One of several sources that is not there, or holds no image, is a row that cannot be read: it
    fails alone, in its place. Files that are no images are in `ignored`, and what was noted in
    `notes`.

    Args:
        sources: image files, or folders, zips and tables of them.

    Raises:
        ArcwiseError: none is named, or the only one named is not there or holds no image.
    """
    names: list[str] = []
    landmarks: list[list[float] | None] = []
    problems: list[str | None] = []
    ignored: list[str] = []
    notes: list[str] = []
    for source in sources:
        try:
            manifest = _opened(source)
        except ArcwiseError as problem:
            if len(sources) == 1:
                raise
            name = source.name if isinstance(source, Manifest) else str(source)
            names.append(name.encode(errors="backslashreplace").decode())
            landmarks.append(None)
            problems.append(str(problem).removeprefix(f"{name}: "))
            continue
        names += [str(manifest.root / image) for image in manifest.images]
        landmarks += manifest.column("landmarks") or [None] * len(manifest)
        problems += [None] * len(manifest)
        ignored += [str(manifest.root / file) for file in manifest.ignored]
        notes += manifest.notes
    if not names:
        raise ArcwiseError("no image is named; name one or more files or folders")
    columns = {"image": pa.array(names, pa.string()), "problem": pa.array(problems, pa.string())}
    if any(points is not None for points in landmarks):
        columns["landmarks"] = pa.array(landmarks, pa.list_(pa.float32()))
    return _QueryImages(
        pa.table(columns), Path(), "the query", ignored=tuple(ignored), notes=tuple(notes)
    )


def embed_query_images(model: Model, images: Manifest) -> Embedded:
    """Return the embeddings of the readable images, and why the others have none.

    Raises:
        ImageError: the only image cannot be read.
        ArcwiseError: none of several can.
    """
    if len(images) == 1:
        decode(images.read(0), images.images[0])  # complains of this image, not of all
    return runtime.embed_manifest(model, images)


def in_order(embedded: Embedded, answers: Sequence[T]) -> list[T | ImageError]:
    """Return the answers and, where an image has none, its failure, in the order of the query.

    Args:
        embedded: of `embed_query_images`.
        answers: one for each of its rows.
    """
    answer_at = dict(zip(embedded.rows.tolist(), answers, strict=True))
    failures = iter(embedded.failures)  # in the order of their rows
    rows = range(len(answers) + len(embedded.failures))
    return [answer_at[row] if row in answer_at else next(failures) for row in rows]


def verification_threshold(model: Model, far: float | None) -> Threshold | None:
    """Return the threshold at a false-accept rate.

    Without a rate, it is that of the lowest rate that the data resolve and that still accepts
    half of the mated pairs; where none does, of the highest.

    Returns:
        The threshold; None when no rate is requested and the model has no thresholds.

    Raises:
        ArcwiseError: the model has no threshold for the requested rate.
    """
    thresholds = sorted(model.thresholds, key=lambda threshold: threshold.far)
    if far is None:
        resolved = [one for one in thresholds if one.resolved] or thresholds[-1:]
        accepting = [one for one in resolved if one.tar is None or one.tar >= _MIN_TAR]
        return next(iter(accepting or resolved[-1:]), None)
    for threshold in thresholds:
        if abs(threshold.far - far) <= 1e-9 * far:
            return threshold
    rates = ", ".join(f"{t.far:g}" for t in thresholds)
    rates = rates or f"none; measure them: arcwise calibrate {model.path} DATA"
    raise ArcwiseError(f"{model.path}: no threshold for FAR {far:g}; the model has {rates}")


def search_operating_point(
    model: Model, gallery: Gallery, far: float | None, fpir: float | None
) -> OperatingPoint | None:
    """Return the threshold from which on a search answers, and what it promises in the gallery.

    Args:
        model: with its thresholds.
        gallery: with its size, and what was measured against it.
        far: decide by the threshold of a single comparison at this false-accept rate.
        fpir: keep this false-positive identification rate, or the nearest stricter one.

    Returns:
        The operating point; None in an empty gallery, and where no rate is requested and there
        are no thresholds.

    Raises:
        ArcwiseError: both rates are requested, or one that nothing keeps in this gallery.
    """
    check_one_rate(far, fpir)
    points = _points_in(model, gallery)
    size = gallery.size()
    if far is not None:
        threshold = verification_threshold(model, far)
        assert threshold is not None  # or it raised
        of_pairs = operating_points(size, [threshold], ()) if size.templates else []
        if size.templates and not of_pairs:
            raise ArcwiseError(
                f"{model.path}: the threshold for FAR {far:g} is not resolved, too few pairs: "
                "calibrate on more, or ask for a higher rate"
            )
        return next(iter(of_pairs), None)
    if fpir is None or not size.templates:
        return usual_point(points)
    if not 0 < fpir < 1:
        raise ArcwiseError(f"fpir is {fpir:g}; expected a rate between 0 and 1")
    point = nearest(points, fpir)
    if point is None:
        rates = sorted(one.fpir for one in points if one.promises)
        kept = ", ".join(dict.fromkeys(f"{rate:.2g}" for rate in rates)) or "nothing"
        raise ArcwiseError(
            f"{model.path}: no threshold keeps FPIR {fpir:g} among {size.identities} identities "
            f"with {size.templates} templates; what it has keeps {kept} there: arcwise calibrate "
            f"{model.path} DATA --fpir {fpir:g} --gallery-size {size.identities} --templates "
            f"{-(-size.templates // size.identities)}, or --gallery with the gallery's path"
        )
    return point


def _points_in(model: Model, gallery: Gallery) -> list[OperatingPoint]:
    """Return what every resolved threshold promises in a gallery; [] where nobody is enrolled.

    Where none is resolved, it is the model's most lax one, which promises nothing.
    """
    size = gallery.size()
    if not size.templates:
        return []
    calibration = gallery.calibration
    points = operating_points(size, model.thresholds, model.search_thresholds, calibration)
    if not points and model.thresholds:
        lax = max(model.thresholds, key=lambda threshold: threshold.far)
        points.append(OperatingPoint(lax.threshold, 1.0, (0.0, 1.0), lax, False, False, None))
    return points


def _opened(source: str | Path | Manifest) -> Manifest:
    """Return the manifest of a source, with at least one image.

    Raises:
        ArcwiseError: there is none; whatever the system says of the path is said in a line.
    """
    try:
        manifest = source if isinstance(source, Manifest) else _open_path(str(source))
    except OSError as problem:
        raise ArcwiseError(f"{source}: {problem.strerror or problem}") from None
    if not manifest.images:
        raise ArcwiseError(f"{manifest.name}: no image in it")
    return manifest


def _open_path(name: str) -> Manifest:
    """Return the images at a path; a file that is no data set is taken for an image.

    Raises:
        ArcwiseError: nothing is there, or nothing that can be read to its end.
    """
    if not name:
        raise ArcwiseError("an empty name; expected the path of an image or a folder")
    if _is_not_utf8(name):
        raise ArcwiseError(f"{name}: a name that is no text (UTF-8); rename it")
    path = Path(name)
    if not path.exists() and "{" not in name:  # the braces of numbered shards
        raise ArcwiseError(f"{name}: no such file or folder")
    if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end, or never begin
        raise ArcwiseError(f"{name}: a pipe or device; expected an image or a folder")
    if path.is_file() and path.suffix.lower() not in (*FILES, *TABLES):
        return read_single(path, identities=False)
    return open_manifest(path, identities=False, top_folders="part")  # the query is whose they are


def _is_not_utf8(name: str) -> bool:
    """Return whether a path has bytes that are not UTF-8, which no table holds."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)
