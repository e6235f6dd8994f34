"""IJB-B and IJB-C: pictures in `loose_crop`, and who is to be compared with whom in `meta`."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.ijb import check as ijb_check
from arcwise.data.formats.ijb import meta as ijb_meta
from arcwise.data.formats.ijb.meta import PAIRS, POINTS, ROWS, SPLITS, Meta, pc
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

PICTURES = "loose_crop"


def recognises(path: Path) -> bool:
    """Whether the folder has a list of faces where these data sets have it."""
    return ijb_meta.find(path / "meta") is not None


def read(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of a folder of `meta` and `loose_crop`.

    A row is a picture in a template. `landmarks` and `quality` are the detector's, found by the
    picture's name whatever the order of the lines; `identity` is the subject and `split` the
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
    faces = _found(meta, POINTS, "no landmarks and no detector scores", lacking)
    listed = _found(meta, PAIRS, "no pairs to verify", lacking)
    points = None if faces is None else ijb_meta.points(faces)
    pairs = None if listed is None else ijb_meta.pairs(listed)
    subjects = _subjects(meta, lacking)

    image = pc.binary_join_element_wise(PICTURES, rows.column("name"), "/")
    columns = {"image": image, "template": rows.column("template"), "media": rows.column("media")}
    if points is not None:
        place = pc.index_in(rows.column("name"), value_set=points.column("name").combine_chunks())
        columns |= {one: points.column(one).take(place) for one in ("landmarks", "quality")}
    if subjects is not None:
        listed_in = subjects.column("template").combine_chunks()
        place = pc.index_in(rows.column("template"), value_set=listed_in)
        if place.null_count:
            unknown = rows.column("template").filter(pc.is_null(place)).unique()
            lacking.append(
                f"no 1:N protocol: {ijb_check.some(unknown)} "
                "of the templates in no gallery and no probes"
            )
        else:
            columns |= {one: subjects.column(one).take(place) for one in ("identity", "split")}
    if identities and "identity" not in columns:
        raise ArcwiseError(
            f"{path}: whose pictures these are is not known ({lacking[-1]}); "
            "'arcwise evaluate' verifies the pairs it lists"
        )
    crops = _crops(path)
    notes = (
        *lacking,
        *ijb_check.counts(meta.prefix, rows, pairs),
        *ijb_check.joins(rows, points, pairs),
        *ijb_check.pictures(rows, crops),
    )
    return Manifest(
        pa.table(columns),
        path,
        name,
        understood=f"the lists of {meta.prefix} in meta, the pictures in {PICTURES}",
        pairs=pairs,
        notes=notes,
    )


def _found(meta: Meta, ending: str, without: str, lacking: list[str]) -> Path | None:
    """A file, or None with a line about what is missing without it."""
    if ending not in meta.files:
        lacking.append(f"{without}: no {meta.prefix}{ending} in {meta.folder.name}")
    return meta.files.get(ending)


def _subjects(meta: Meta, lacking: list[str]) -> pa.Table | None:
    """Every template's `identity` and `split`; None if a list of the 1:N protocol is missing.

    Raises:
        ArcwiseError: a template has two subjects, or is in two of the lists.
    """
    parts = []
    for split, endings in SPLITS.items():
        found = next((meta.files[one] for one in endings if one in meta.files), None)
        if found is None:
            names = " or ".join(meta.prefix + one for one in endings)
            lacking.append(f"no 1:N protocol, no identities: no {names} in {meta.folder.name}")
            return None
        part = ijb_meta.subjects(found)
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
    """The names in the folder of pictures, listed once: half a million questions take minutes."""
    try:
        with os.scandir(path / PICTURES) as found:
            return pa.array([one.name for one in found], pa.string())
    except (OSError, UnicodeEncodeError) as problem:
        said = getattr(problem, "strerror", None) or str(problem)
        raise ArcwiseError(f"{path / PICTURES}: {said}; expected the folder of pictures") from None
