"""An MXNet `.rec`: InsightFace's layout, and what im2rec writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from arcwise.data.containers.recordio import RecordContainer
from arcwise.data.formats.file_kinds import OWN_TABLES, printable
from arcwise.data.formats.manifest_columns import with_nobody_empty
from arcwise.data.formats.pairs import with_pairs_beside
from arcwise.data.formats.records.companions import (
    SIDECAR,
    listed_files,
    missing_notes,
    property_notes,
    read_own_table,
)
from arcwise.data.formats.records.labels import LabelledRecords, read_labelled
from arcwise.data.image_files import open_container
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

_COMPANIONS = (".idx", ".lst", SIDECAR, ".pairs.csv")


def recognises(path: Path) -> bool:
    """Return whether a `.rec` lies in this folder, and no table of ours that describes it."""
    return bool(_inside(path)) and not any((path / name).is_file() for name in OWN_TABLES)


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of a `.rec`, or of a folder with one; its images are `train.rec/key`.

    The identity is the record's label (the first, where it has several) as text. A table that
    `convert` wrote beside it is believed instead when it lists the same records. Records that
    are damaged have no label: they are left out where every row must have an identity.

    Raises:
        ArcwiseError: no RecordIO file, or several in the folder.
    """
    if path.is_dir():
        record_file = _only(path)
        manifest = with_pairs_beside(read(record_file, identities=identities), record_file)
        own = {"property", *(record_file.with_suffix(one).name for one in (".rec", *_COMPANIONS))}
        others = sorted({one.name for one in path.iterdir()} - own)
        return replace(manifest, name=path.resolve().name, ignored=tuple(map(printable, others)))
    container = open_container(str(path))
    assert isinstance(container, RecordContainer), "its ending was checked"
    records, notes = _described(container, path, identities=identities)
    table = with_nobody_empty(records.table, str(path), identities=identities)
    notes += property_notes(path, records.table, container)
    return Manifest(
        table,
        path.parent,
        path.stem,
        understood=records.understood,
        notes=(*container.notes, *container.unnamed(records.gaps), *records.notes, *notes),
    )


def _described(
    container: RecordContainer, path: Path, *, identities: bool
) -> tuple[LabelledRecords, tuple[str, ...]]:
    """Return the images by the table beside them, else by their labels, and notes."""
    notes: tuple[str, ...] = ()
    sidecar = path.with_suffix(SIDECAR)
    if sidecar.is_file():
        table = read_own_table(sidecar, path.name, container, identities=identities)
        if table is not None:
            missing = missing_notes(sidecar.name, path.name, table, container)
            return LabelledRecords(table, f"RecordIO, as {sidecar.name} lists it"), missing
        notes = (
            f"{sidecar.name} lists other records than these, and is not used: names, splits and "
            "other columns that it may hold are not known",
        )
    records = read_labelled(container, path.name, identities=identities)
    if not len(records.table):
        raise ArcwiseError(f"{path}: no image in it")
    files = path.with_suffix(".lst")
    if files.is_file():
        listed = listed_files(files, path.name, records.table)
        notes += listed.notes
        if listed.files is not None:
            records = records._replace(table=records.table.append_column("file", listed.files))
    return records, notes


def _inside(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix.lower() == ".rec")


def _only(folder: Path) -> Path:
    files = _inside(folder)
    if len(files) > 1:
        names = ", ".join(printable(one.name) for one in files)
        raise ArcwiseError(f"{folder}: holds {len(files)} .rec files ({names}); name one of them")
    return files[0]
