"""The text files in the `meta` folder of IJB-B and IJB-C, each as a typed table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

ROWS = "_face_tid_mid.txt"
POINTS = "_name_5pts_score.txt"
PAIRS = "_template_pair_label.txt"
SPLITS = {
    "gallery1": ("_1n_gallery_g1.csv", "_1n_gallery_s1.csv"),
    "gallery2": ("_1n_gallery_g2.csv", "_1n_gallery_s2.csv"),
    "probe": ("_1n_probe_mixed.csv",),
}
"""What each file of the 1:N protocol is a list of, and what IJB-C and IJB-B call it."""

_POINTS = [f"{axis}{number}" for number in range(1, 6) for axis in "xy"]


class Meta(NamedTuple):
    """The files files are.

    Attributes:
        folder: `meta`.
        prefix: what all their names begin with, in lower case: `ijbb`, `ijbc`.
        files: by the rest of their names, in lower case.
    """

    folder: Path
    prefix: str
    files: Mapping[str, Path]


def find(folder: Path) -> Meta | None:
    """Return the files in a `meta` folder; None where none is a list of faces.

    Raises:
        ArcwiseError: the folder holds the files of two data sets.
    """
    if not folder.is_dir():
        return None
    files = {path.name.lower(): path for path in sorted(folder.iterdir())}
    prefixes = [name.removesuffix(ROWS) for name in files if name.endswith(ROWS)]
    if len(prefixes) > 1:
        raise ArcwiseError(
            f"{folder}: holds the lists of {' and '.join(prefixes)}; expected one data set a folder"
        )
    for prefix in prefixes:
        own = {name.removeprefix(prefix): files[name] for name in files if name.startswith(prefix)}
        return Meta(folder, prefix, own)
    return None


def rows(path: Path) -> pa.Table:
    """Return the images: `name`, `template`, `media`, all text."""
    return _read(path, {"name": pa.string(), "template": pa.int32(), "media": pa.int32()})


def points(path: Path) -> pa.Table:
    """Return the detector's results: `name`, `landmarks` (10 numbers), `quality` (its score)."""
    kinds = dict.fromkeys(_POINTS, pa.float32()) | {"quality": pa.float64()}
    table = _read(path, {"name": pa.string()} | kinds)
    numbers = np.column_stack([table.column(name).to_numpy() for name in kinds])
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(bad):
        raise ArcwiseError(f"{path}: line {bad[0] + 1}: holds a NaN or an infinity")
    flat = pa.array(numbers[:, :-1].astype(np.float32).ravel())
    landmarks = pa.FixedSizeListArray.from_arrays(flat, len(_POINTS))
    return table.select(["name", "quality"]).append_column("landmarks", landmarks)


def pairs(path: Path) -> pa.Table:
    """Return the pairs of templates to verify: `a` and `b` (text), `same` (bool)."""
    return _read(path, {"a": pa.int32(), "b": pa.int32(), "same": pa.bool_()})


def subjects(path: Path) -> pa.Table:
    """Return the subjects of templates: `template` and `identity`, text."""
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as problem:
        raise ArcwiseError(f"{path}: {problem.strerror}") from None
    cells = first.split(b",")
    kinds = {"template": pa.int32(), "identity": pa.int32()}
    others = {f"column {number}": pa.string() for number in range(2, len(cells))}
    headed = not cells[0].strip(b' "\r\n').isdigit()
    return _read(path, kinds | others, delimiter=",", skip=int(headed), taken=list(kinds))


def _read(
    path: Path,
    kinds: Mapping[str, pa.DataType],
    *,
    delimiter: str = " ",
    skip: int = 0,
    taken: list[str] | None = None,
) -> pa.Table:
    """Return the table in a file without a header; whole numbers, which are names, as text.

    Raises:
        ArcwiseError: the file is not files or empty, or a line (it is named) has another number of
            columns, or something else where a number is expected.
    """
    parse = pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if delimiter == "," else False)
    convert = pacsv.ConvertOptions(
        column_types=dict(kinds),
        include_columns=taken,
        null_values=[],
        true_values=["1"],
        false_values=["0"],
    )
    read = pacsv.ReadOptions(use_threads=False, column_names=list(kinds), skip_rows=skip)
    try:
        # A block at a time: millions of pairs are never files as numbers and as text.
        batches = [_as_text(one) for one in pacsv.open_csv(path, read, parse, convert)]
    except pa.ArrowInvalid as problem:
        reason = str(problem).splitlines()[0].replace("Row #", "line ")
        raise ArcwiseError(
            f"{path}: {reason}; expected on each line {', '.join(kinds)}, "
            f"{'a comma' if delimiter == ',' else 'one blank'} between"
        ) from None
    except OSError as problem:
        raise ArcwiseError(f"{path}: {problem.strerror or problem}") from None
    if not any(one.num_rows for one in batches):
        raise ArcwiseError(f"{path}: empty; expected lines of {', '.join(kinds)}")
    return pa.Table.from_batches(batches)


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        column.cast(pa.string()) if pa.types.is_int32(column.type) else column
        for column in batch.columns
    ]
    return pa.record_batch(columns, batch.schema.names)
