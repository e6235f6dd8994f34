"""VGGFace2: `train/n000001/…` with the tables that came with it (Cao et al., FG 2018)."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.data.formats import folder
from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.published.image_lists import fixed_lists, folder_with, read_lines
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

PEOPLE = "identity_meta.csv"
BOX = ("X", "Y", "W", "H")
LANDMARKS = tuple(f"P{point}{axis}" for point in range(1, 6) for axis in "XY")
_FOLDERS = ("", "meta", "bb_landmark", "meta/bb_landmark")
_SPLITS = ("train", "test")
_TABLES = {"box": ("loose_bb", BOX), "landmarks": ("loose_landmark", LANDMARKS)}


def recognises(path: Path) -> bool:
    """Return whether a folder of a split and one of the tables are there."""
    if not any((path / split).is_dir() for split in _SPLITS):
        return False
    names = [f"{stem}_{split}.csv" for stem, _ in _TABLES.values() for split in _SPLITS]
    return any(folder_with(path, [name], _FOLDERS) for name in (PEOPLE, *names))


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of the folders, with `box`, `landmarks`, `person` and `gender`.

    The tables are joined by NAME_ID, never by the order of their lines; an image that a table
    lacks has no box or landmarks, and a line without an image is counted in a note. Their numbers
    are pixels of the loosely cropped images, which are those that were published.
    """
    manifest = folder.read(path, identities=identities)
    if "split" not in manifest.table.column_names:
        note = "the tables of VGGFace2 are not used: images lie outside of train and test"
        return replace(manifest, notes=(*manifest.notes, note))
    table, notes = manifest.table, list(manifest.notes)
    # The data set's own place of an image: split, person, name without ending.
    keys = pc.replace_substring_regex(table.column("image"), r"\.[^./]*$", "")
    used = []
    for column, (stem, names) in _TABLES.items():
        parts = [
            _numbers(folder_of_table / f"{stem}_{split}.csv", split, names)
            for split in _SPLITS
            if (folder_of_table := folder_with(path, [f"{stem}_{split}.csv"], _FOLDERS)) is not None
        ]
        if not parts:
            continue
        places = pa.chunked_array([place for place, _ in parts])
        rows = pc.fill_null(pc.index_in(keys, places), -1).to_numpy()
        numbers = np.concatenate(
            [part for _, part in parts] + [np.full((1, len(names)), np.nan, np.float32)]
        )
        table = table.append_column(column, fixed_lists(numbers[rows]))
        used.append(column)
        for what, count in (
            (f"images have no {column}: {stem}_*.csv lacks them", int((rows < 0).sum())),
            (f"lines of {stem}_*.csv have no image", len(places) - int((rows >= 0).sum())),
        ):
            if count:
                notes.append(f"{count:,} {what}")
    people = folder_with(path, [PEOPLE], _FOLDERS)
    if people is not None:
        about = _people(people / PEOPLE)
        owners = manifest.identities
        for position, column in enumerate(("person", "gender")):
            values = [about[one][position] if one in about else None for one in owners]
            table = table.append_column(column, pa.array(values, pa.string()))
            used.append(column)
    understood = f"{manifest.understood}; {', '.join(used)} from the tables of VGGFace2"
    return replace(manifest, table=table, understood=understood, notes=tuple(notes))


def _numbers(path: Path, split: str, names: tuple[str, ...]) -> tuple[pa.Array, np.ndarray]:
    """Return the path of every image (`train/n000002/0001_01`), and (N, len(names)) numbers."""
    header = ["NAME_ID", *names]
    try:
        with open(path, "rb") as file:
            line = file.readline(1000).decode("utf-8-sig", "replace").strip()
        if line != ",".join(header):
            raise ArcwiseError(f"{path}: the header is {line[:80]!r}; expected {','.join(header)}")
        table = pacsv.read_csv(
            path,
            pacsv.ReadOptions(column_names=header, skip_rows=1),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.float32()) | {"NAME_ID": pa.string()},
                null_values=[],
            ),
        )
    except OSError as problem:
        raise ArcwiseError(f"{path}: {problem.strerror}") from None
    except pa.ArrowException:  # read as text it takes more memory; then the error has a line
        table = parse_csv(path.read_bytes(), str(path))
    columns = []
    for name in names:
        column = table.column(name)
        try:
            numbers = column.cast(pa.float32()).to_numpy()
        except pa.ArrowException:
            numbers = np.array([_number(one) for one in column.to_pylist()], np.float32)
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise ArcwiseError(
                f"{path}: line {row + 2}: {name} is {column[row].as_py()!r}; expected a number"
            )
        columns.append(numbers)
    places = pc.binary_join_element_wise(split, table.column("NAME_ID"), "/").combine_chunks()
    if pc.count_distinct(places).as_py() < len(places):
        raise ArcwiseError(f"{path}: names an image more than once; expected a line an image")
    return places, np.column_stack(columns)


def _people(path: Path) -> dict[str, tuple[str, str]]:
    """Class id → name and gender. A name may hold commas, and a blank may precede its quotes."""
    reader = csv.reader(read_lines(path), skipinitialspace=True)
    try:
        rows = [(reader.line_num, [one.strip() for one in row]) for row in reader if row]
    except csv.Error as problem:
        raise ArcwiseError(f"{path}: line {reader.line_num} is no CSV ({problem})") from None
    header = rows.pop(0)[1] if rows else []
    if header[:5] != ["Class_ID", "Name", "Sample_Num", "Flag", "Gender"]:
        raise ArcwiseError(
            f"{path}: line 1 is {','.join(header)[:60]!r}; expected Class_ID, Name, Sample_Num, "
            "Flag, Gender"
        )
    for line, row in rows:
        if len(row) < 5:
            raise ArcwiseError(f"{path}: line {line} is {','.join(row)[:60]!r}; expected 5 values")
    return {row[0]: (row[1], row[4]) for _, row in rows}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
