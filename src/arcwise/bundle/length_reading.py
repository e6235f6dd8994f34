"""What the length of an embedding says: the line from a length to the value of a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class LengthReading:
    """A line from lengths of embeddings to values of a column (OE-CNN, arXiv 1810.07599).

    Attributes:
        column: its name in the training data, such as `age`.
        k: slope, in standard deviations of the column for a unit of length.
        b: intercept, in standard deviations of the column.
        mean: of the column in the training data.
        std: of the column in the training data.
        r2: share of the column's variance that the line explained on the images that it was fitted
            to, of identities that were not trained on.
    """

    column: str
    k: float
    b: float
    mean: float
    std: float
    r2: float

    @classmethod
    def fitted(
        cls, column: str, lengths: ArrayLike, values: ArrayLike, mean: float, std: float
    ) -> LengthReading:
        """Return the least-squares line through lengths and values of the column.

        Args:
            column: its name.
            lengths: (N,) of the embeddings.
            values: (N,) of the column, NaN where not known.
            mean: of the column in the training data.
            std: likewise.

        Raises:
            ArcwiseError: fewer than three values are known.
        """
        r, z = np.asarray(lengths, np.float64), (np.asarray(values, np.float64) - mean) / std
        r, z = r[~np.isnan(z)], z[~np.isnan(z)]
        if len(r) < 3:
            raise ArcwiseError(
                f"{len(r)} images have a value of {column!r}; expected 3 or more, to fit a line"
            )
        spread = np.square(r - r.mean()).sum()
        k = float(((r - r.mean()) * (z - z.mean())).sum() / spread) if spread else 0.0
        b = float(z.mean() - k * r.mean())
        total = np.square(z - z.mean()).sum()
        r2 = 1 - np.square(k * r + b - z).sum() / total if total else 0.0
        return cls(column, k, b, mean, std, float(r2))

    def values(self, lengths: ArrayLike) -> np.ndarray:
        """Return mean + std · (k r + b) for every length r, (N,) → (N,) float64."""
        return self.mean + self.std * (self.k * np.asarray(lengths, np.float64) + self.b)

    def __str__(self) -> str:
        return f"the length tells {self.column}: R² {self.r2:.2f} on held-out identities"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LengthReading:
        """Return the line that `as_dict` gave.

        Raises:
            ArcwiseError: a name is missing or unknown, or a number is not finite.
        """
        names = [one.name for one in fields(cls)]
        if sorted(values) != sorted(names):
            raise ArcwiseError(f"length has {sorted(values)}, expected {names}")
        numbers = [values[name] for name in names[1:]]
        if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers):
            raise ArcwiseError(f"length holds {numbers}, expected finite numbers")
        return cls(str(values["column"]), *map(float, numbers))
