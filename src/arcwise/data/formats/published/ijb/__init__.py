"""IJB-B and IJB-C: images in `loose_crop`, templates and pairs to compare in `meta`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.published.ijb import meta_files as ijb_meta
from arcwise.data.formats.published.ijb.meta_files import PAIRS, POINTS, ROWS, SPLITS, Meta, pc
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

IMAGE_FOLDER = "loose_crop"

PUBLISHED = {"ijbb": (227_630, 12_115, 10_270), "ijbc": (469_375, 23_124, 19_557)}
"""Images, templates and mated pairs of the data sets as they were published."""

_SHOWN = 5


def recognises(path: Path) -> bool:
    """Return whether the folder has a list of faces where these data sets have it."""
    return ijb_meta.find(path / "meta") is not None


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of a folder of `meta` and `loose_crop`.

    A row is an image in a template. `landmarks` and `quality` are the detector's, found by the
    image's name whatever the order of the lines; `identity` is the subject and `split` the
    gallery, or `probe`, of its template in the lists of the 1:N protocol; `pairs` are those of
    the 1:1 protocol. What does not fit together is in `notes`.

    Raises:
        ArcwiseError: a file that is needed is missing or has a line that cannot be read, or one
            template has two subjects.
    """
    meta = ijb_meta.find(path / "meta")
    assert meta is not None, "it was recognised"
    name = path.resolve().name
    rows = ijb_meta.rows(meta.files[ROWS])
    lacking: list[str] = []
    faces = _file(meta, POINTS, "no landmarks and no detector scores", lacking)
    listed = _file(meta, PAIRS, "no pairs to verify", lacking)
    points = None if faces is None else ijb_meta.points(faces)
    pairs = None if listed is None else ijb_meta.pairs(listed)
    subjects = _subjects(meta, lacking)

    image = pc.binary_join_element_wise(IMAGE_FOLDER, rows.column("name"), "/")
    columns = {"image": image, "template": rows.column("template"), "media": rows.column("media")}
    if points is not None:
        place = pc.index_in(rows.column("name"), value_set=points.column("name").combine_chunks())
        columns |= {one: points.column(one).take(place) for one in ("landmarks", "quality")}
    if subjects is not None:
        listed_in = subjects.column("template").combine_chunks()
        place = pc.index_in(rows.column("template"), value_set=listed_in)
        if place.null_count:
            absent = rows.column("template").filter(pc.is_null(place)).unique()
            lacking.append(
                f"no 1:N protocol: {_some(absent)} of the templates in no gallery and no probes"
            )
        else:
            columns |= {one: subjects.column(one).take(place) for one in ("identity", "split")}
    if identities and "identity" not in columns:
        raise ArcwiseError(
            f"{path}: the identities of its images are not known ({lacking[-1]}); "
            "'arcwise evaluate' verifies the pairs it lists"
        )
    crops = _crops(path)
    notes = (
        *lacking,
        *_counts(meta.prefix, rows, pairs),
        *_joins(rows, points, pairs),
        *_images(rows, crops),
    )
    return Manifest(
        pa.table(columns),
        path,
        name,
        understood=f"the lists of {meta.prefix} in meta, the images in {IMAGE_FOLDER}",
        pairs=pairs,
        notes=notes,
    )


def _file(meta: Meta, ending: str, without: str, lacking: list[str]) -> Path | None:
    """Return a file, or None with a line about what is missing without it."""
    if ending not in meta.files:
        lacking.append(f"{without}: no {meta.prefix}{ending} in {meta.folder.name}")
    return meta.files.get(ending)


def _subjects(meta: Meta, lacking: list[str]) -> pa.Table | None:
    """Return every template's `identity` and `split`; None without the lists of the 1:N protocol.

    Raises:
        ArcwiseError: a template has two subjects, or is in two of the lists.
    """
    parts = []
    for split, endings in SPLITS.items():
        file = next((meta.files[one] for one in endings if one in meta.files), None)
        if file is None:
            names = " or ".join(meta.prefix + one for one in endings)
            lacking.append(f"no 1:N protocol, no identities: no {names} in {meta.folder.name}")
            return None
        part = ijb_meta.subjects(file)
        parts.append(part.append_column("split", pa.array([split] * len(part))))
    table = pa.concat_tables(parts).group_by(["template", "identity", "split"]).aggregate([])
    for column, what in (("identity", "subject"), ("split", "list of the 1:N protocol")):
        each = table.group_by(["template", column]).aggregate([])
        counts = each.group_by("template").aggregate([(column, "count")])
        torn = counts.filter(pc.greater(counts.column(f"{column}_count"), 1)).column("template")
        if len(torn):
            raise ArcwiseError(
                f"{meta.folder}: {len(torn):,} templates have more than one {what}, "
                f"{torn[0]} for one; expected one each"
            )
    return table


def _crops(path: Path) -> pa.Array:
    """Return the names in the folder of images, listed once; a test for each file takes minutes."""
    try:
        with os.scandir(path / IMAGE_FOLDER) as entries:
            return pa.array([one.name for one in entries], pa.string())
    except (OSError, UnicodeEncodeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise ArcwiseError(
            f"{path / IMAGE_FOLDER}: {reason}; expected the folder of images"
        ) from None


def _counts(prefix: str, rows: pa.Table, pairs: pa.Table | None) -> Iterator[str]:
    """Yield a note on what there is more or less of than was published."""
    if prefix not in PUBLISHED:
        return
    images, templates, mated = PUBLISHED[prefix]
    counts = [("images", len(rows), images)]
    counts += [("templates", pc.count_distinct(rows.column("template")).as_py(), templates)]
    if pairs is not None:
        counts += [("mated pairs", pc.sum(pairs.column("same")).as_py(), mated)]
    other = [
        f"{count:,} {what} of {published:,}"
        for what, count, published in counts
        if count != published
    ]
    if other:
        yield f"not the published {prefix}, no result to compare with others': {', '.join(other)}"


def _joins(rows: pa.Table, points: pa.Table | None, pairs: pa.Table | None) -> Iterator[str]:
    """Yield a note on what one file names and another does not."""
    if points is not None:
        names = points.column("name")
        if bare := _without(rows.column("name"), names):
            yield f"no landmarks and no detector score: {bare}"
        if spare := _without(names, rows.column("name")):
            yield f"landmarks of images that are in no template: {spare}"
        doubled = len(names) - pc.count_distinct(names).as_py()
        if doubled:
            yield f"landmarks given more than once, the first taken: {doubled:,} lines"
    if pairs is not None:
        templates = rows.column("template").unique()
        sides = [_absent(pairs.column(side), templates) for side in "ab"]
        absent = pa.chunked_array([part for side in sides for part in side.chunks], pa.string())
        if len(absent):
            yield f"pairs of templates that no image is in: {_some(absent.unique())}"


def _images(rows: pa.Table, crops: pa.Array) -> Iterator[str]:
    """Images that are listed and not there, and the other way round."""
    if missing := _without(rows.column("name"), crops):
        yield f"images that are not there: {missing}"
    if spare := _without(pa.chunked_array([crops]), rows.column("name")):
        yield f"images that no list names: {spare}"


def _some(names: pa.Array) -> str:
    """Return how many, and the first few."""
    shown = ", ".join(names.slice(0, _SHOWN).to_pylist())
    return f"{len(names):,} ({shown}{', …' if len(names) > _SHOWN else ''})"


def _without(names: pa.ChunkedArray, others: pa.ChunkedArray | pa.Array) -> str:
    """Return the names that are not among others, in words; empty where all are."""
    absent = _absent(names, others).unique()
    return _some(absent) if len(absent) else ""


def _absent(names: pa.ChunkedArray, others: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    if isinstance(others, pa.ChunkedArray):
        others = others.combine_chunks()
    return names.filter(pc.invert(pc.is_in(names, value_set=others)))
