"""Columns of a data set as numbers: what an objective reads in addition to images and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arcwise.data.formats.manifest_columns import TEXT
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class TrainingColumns:
    """Requested columns of a whole data set, row by row.

    Attributes:
        values: (N,) for each column: float32 numbers, NaN where missing, or the int64 codes of
            categories, -1 where missing.
        categories: for each column of categories, the texts that the codes stand for, sorted.
    """

    values: Mapping[str, np.ndarray]
    categories: Mapping[str, tuple[str, ...]]

    def select(self, rows: np.ndarray) -> TrainingColumns:
        """Return the columns of these rows. Codes mean the same as in the whole data set."""
        return TrainingColumns(
            {name: one[rows] for name, one in self.values.items()}, self.categories
        )


def training_columns(manifest: Manifest, names: Sequence[str]) -> TrainingColumns:
    """Return the columns of these names as numbers.

    A column of numbers is numeric. So is one of text that holds numbers only, as a CSV has them,
    unless it is one of names (`TEXT`). Other text, true and false are categories. Empty text is
    missing.

    Args:
        manifest: the whole data set, so that codes do not depend on which rows are trained on.
        names: the columns that the objective asks for.

    Raises:
        ArcwiseError: there is no such column, or it holds lists.
    """
    values: dict[str, np.ndarray] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name not in manifest.table.column_names:
            raise ArcwiseError(
                f"{manifest.name} has no column {name!r}, which the loss is trained with; "
                f"it has {', '.join(manifest.table.column_names)}"
            )
        column = manifest.table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        if is_numeric(kind):
            numbers = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
            values[name] = numbers.to_numpy().astype(np.float32)
        elif (
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)
        ):
            texts = np.array([one or "" for one in column.cast(pa.string()).to_pylist()], object)
            if name not in TEXT and (numbers := _as_numbers(texts)) is not None:
                values[name] = numbers
                continue
            categories[name] = tuple(sorted({one for one in texts if one}))
            codes = {text: code for code, text in enumerate(categories[name])}
            values[name] = np.array([codes.get(one, -1) for one in texts], np.int64)
        else:
            raise ArcwiseError(
                f"{manifest.name}: the loss is trained with the column {name!r}, which holds "
                f"{kind}; expected numbers or text"
            )
    return TrainingColumns(values, categories)


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds numbers, or nothing at all."""
    whole = pa.types.is_integer(kind) or pa.types.is_null(kind)
    return whole or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _as_numbers(texts: np.ndarray) -> np.ndarray | None:
    """Return (N,) float32, NaN for an empty text; None where one is no number, or all are empty."""
    if not any(texts):
        return None
    try:
        return np.array([float(one) if one.strip() else np.nan for one in texts], np.float32)
    except ValueError:
        return None
