"""An MXNet `.rec`: InsightFace's layout, and what im2rec writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from arcwise.data.containers.recordio import RecordContainer
from arcwise.data.formats.file_kinds import OWN_TABLES, shown
from arcwise.data.formats.manifest_columns import with_somebody
from arcwise.data.formats.pairs import with_pairs_beside
from arcwise.data.formats.records.companions import (
    SIDECAR,
    listed_files,
    missing_note,
    own_table,
    property_notes,
)
from arcwise.data.formats.records.labels import LabelledRecords, labelled
from arcwise.data.manifest import Manifest
from arcwise.data.picture import open_container
from arcwise.errors import ArcwiseError

_BESIDE = (".idx", ".lst", SIDECAR, ".pairs.csv")


def recognises(path: Path) -> bool:
    """Whether a `.rec` lies in this folder, and no table that describes it in another way."""
    return bool(_inside(path)) and not any((path / name).is_file() for name in OWN_TABLES)


def read(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of a `.rec`, or of a folder with one; its images are `train.rec/key`.

    The identity is the record's label (the first, where it has several) as text. A table that
    `convert` wrote beside it is believed instead when it lists the same records. Records that
    are damaged have no label: they are left out where every row must have an identity.

    Raises:
        ArcwiseError: no RecordIO file, or several in the folder.
    """
    if path.is_dir():
        record_file = _only(path)
        manifest = with_pairs_beside(read(record_file, identities=identities), record_file)
        own = {"property", *(record_file.with_suffix(one).name for one in (".rec", *_BESIDE))}
        others = sorted({one.name for one in path.iterdir()} - own)
        return replace(manifest, name=path.resolve().name, ignored=tuple(map(shown, others)))
    container = open_container(str(path))
    assert isinstance(container, RecordContainer), "its ending says so"
    found, notes = _described(container, path, identities=identities)
    table = with_somebody(found.table, str(path), identities=identities)
    notes += property_notes(path, found.table, container)
    return Manifest(
        table,
        path.parent,
        path.stem,
        understood=found.understood,
        notes=(*container.notes, *container.unnamed(found.gaps), *found.notes, *notes),
    )


def _described(
    container: RecordContainer, path: Path, *, identities: bool
) -> tuple[LabelledRecords, tuple[str, ...]]:
    """The pictures by the table beside them, else by their labels; what there is to note."""
    notes: tuple[str, ...] = ()
    sidecar = path.with_suffix(SIDECAR)
    if sidecar.is_file():
        table = own_table(sidecar, path.name, container, identities=identities)
        if table is not None:
            missing = missing_note(sidecar.name, path.name, table, container)
            return LabelledRecords(table, f"RecordIO, as {sidecar.name} lists it"), missing
        notes = (
            f"{sidecar.name} lists other records than these, and is not used: names, splits and "
            "other columns that it may hold are not known",
        )
    found = labelled(container, path.name, identities=identities)
    if not len(found.table):
        raise ArcwiseError(f"{path}: no picture in it")
    files = path.with_suffix(".lst")
    if files.is_file():
        listed = listed_files(files, path.name, found.table)
        notes += listed.notes
        if listed.files is not None:
            found = found._replace(table=found.table.append_column("file", listed.files))
    return found, notes


def _inside(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix.lower() == ".rec")


def _only(folder: Path) -> Path:
    files = _inside(folder)
    if len(files) > 1:
        names = ", ".join(shown(one.name) for one in files)
        raise ArcwiseError(f"{folder}: holds {len(files)} .rec files ({names}); name one of them")
    return files[0]
