"""What the length of an embedding says: the line from a length to the value of a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from arcwise.errors import ArcwiseError

_SMALL, _LARGE = 0.1, 0.5
"""R² under which a length hardly tells a number, and from which it tells it."""


@dataclass(frozen=True)
class LengthReading:
    """A line from lengths of embeddings to values of a column (OE-CNN, arXiv 1810.07599).

    Attributes:
        column: its name in the training data, such as `age`.
        k: slope, in standard deviations of the column for a unit of length.
        b: intercept, in standard deviations of the column.
        mean: of the column in the training data.
        std: of the column in the training data.
        r2: share of the column's variance that a line explains on images of identities that it was
            not fitted to and that were not trained on.
    """

    column: str
    k: float
    b: float
    mean: float
    std: float
    r2: float

    @classmethod
    def fitted(
        cls,
        column: str,
        lengths: ArrayLike,
        values: ArrayLike,
        mean: float,
        std: float,
        *,
        identities: ArrayLike,
    ) -> LengthReading:
        """Return the least-squares line through lengths and values of the column.

        R² is cross-fitted: a line through every second identity is measured on the others, and the
        other way round.

        Args:
            column: its name.
            lengths: (N,) of the embeddings.
            values: (N,) of the column, NaN where not known.
            mean: of the column in the training data.
            std: likewise.
            identities: (N,) of the images.

        Raises:
            ArcwiseError: fewer than three values are known, or of one identity only.
        """
        r, z = np.asarray(lengths, np.float64), (np.asarray(values, np.float64) - mean) / std
        known = ~np.isnan(z)
        names, codes = np.unique(np.asarray(identities)[known], return_inverse=True)
        r, z = r[known], z[known]
        if len(r) < 3 or len(names) < 2:
            raise ArcwiseError(
                f"{len(r)} images of {len(names)} identities have a value of {column!r}; expected "
                "3 or more of 2, to fit a line"
            )
        residual = np.empty(len(r))
        for half in (codes % 2 == 0, codes % 2 == 1):
            slope, intercept = _line(r[~half], z[~half])
            residual[half] = slope * r[half] + intercept - z[half]
        total = np.square(z - z.mean()).sum()
        r2 = 1 - np.square(residual).sum() / total if total else 0.0
        return cls(column, *_line(r, z), mean, std, float(r2))

    def values(self, lengths: ArrayLike) -> np.ndarray:
        """Return mean + std · (k r + b) for every length r, (N,) → (N,) float64."""
        return self.mean + self.std * (self.k * np.asarray(lengths, np.float64) + self.b)

    def __str__(self) -> str:
        tells = "tells"
        if self.r2 < _LARGE:
            tells = "hardly tells" if self.r2 < _SMALL else "tells a part of"
        return f"the length {tells} {self.column}: R² {self.r2:.2f} on held-out identities"

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


def _line(r: np.ndarray, z: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; a level one where r is constant."""
    spread = np.square(r - r.mean()).sum()
    k = float(((r - r.mean()) * (z - z.mean())).sum() / spread) if spread else 0.0
    return k, float(z.mean() - k * r.mean())
