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
    """

    column: str
    k: float
    b: float
    mean: float
    std: float

    def values(self, lengths: ArrayLike) -> np.ndarray:
        """Return mean + std · (k r + b) for every length r, (N,) → (N,) float64."""
        return self.mean + self.std * (self.k * np.asarray(lengths, np.float64) + self.b)

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
