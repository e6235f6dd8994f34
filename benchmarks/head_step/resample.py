"""More classes like those of a trained model: C centres and N embeddings from fewer measured ones.

A new centre is a trained one turned by an angle φ towards a random direction. The direction is
drawn from the centres' own covariance, which keeps the spread of cosines over all pairs; the
children of one trained centre form a cluster. cos²φ is the cosine of a measured nearest pair, less
a offset that is searched until the median cosine to the nearest other centre is the measured one:
two children of one parent then meet as measured neighbours do.

A new embedding is its centre turned to a measured target cosine, towards a direction drawn from
the covariance of the measured embeddings' parts across their centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PROBED = 512
"""Centres whose nearest neighbours are looked up: enough for a median."""

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


@dataclass(frozen=True)
class Trained:
    """What was measured.

    Attributes:
        centres: (C0, D), unit length.
        embeddings: (M, D), unit length.
        labels: (M,) int64.
    """

    centres: Tensor
    embeddings: Tensor
    labels: Tensor

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """From an .npz with arrays centres (C0, D), embeddings (M, D) and labels (M,)."""
        with np.load(path) as arrays:
            centres, embeddings = (
                functional.normalize(torch.from_numpy(arrays[name]).float())
                for name in ("centres", "embeddings")
            )
            return cls(centres, embeddings, torch.from_numpy(arrays["labels"]).long())

    def centres_like(self, classes: int, draw: torch.Generator) -> Tensor:
        """(classes, D) unit centres, whose median nearest cosine is the measured one."""
        parents = self.centres[_rows(len(self.centres), classes, draw)]
        tangent = _across(_coloured(self.centres, classes, draw), parents)
        measured = nearest(self.centres)
        near, target = measured[_rows(len(measured), classes, draw)], measured.median()
        low, high = -1.0, 1.0
        for _ in range(8):
            offset = (low + high) / 2
            turned = _turn(parents, tangent, (near - offset).clamp(0, 1).sqrt())
            low, high = (offset, high) if nearest(turned).median() > target else (low, offset)
        return turned

    def embeddings_like(
        self, centres: Tensor, batch: int, draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """(batch, D) unit embeddings of random classes among these centres, and their labels."""
        own = self.centres[self.labels]
        labels = _rows(len(centres), batch, draw)
        tangent = _coloured(_across(self.embeddings, own), batch, draw)
        cosine = (self.embeddings * own).sum(1)[_rows(len(own), batch, draw)]
        return _turn(centres[labels], _across(tangent, centres[labels]), cosine), labels

    def compare(self, classes: int, batch: int) -> list[dict[str, object]]:
        """Quantiles of cosines, as measured and as resampled."""
        draw = torch.Generator().manual_seed(0)
        centres = self.centres_like(classes, draw)
        x, labels = self.embeddings_like(centres, batch, draw)
        sides = {
            "measured": (self.centres, self.embeddings, self.labels),
            "resampled": (centres, x, labels),
        }
        return [
            {"of": what, "side": side, "quantiles": _quantiles(values)}
            for side, problem in sides.items()
            for what, values in cosines(*problem).items()
        ]


def cosines(centres: Tensor, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The cosines that a margin softmax meets, of at most `PROBED` rows where there are many."""
    some = embeddings[:PROBED] @ centres.T
    own = labels[:PROBED, None]
    foreign = some.scatter(1, own, -1.0)
    return {
        "centre to its nearest": nearest(centres),
        "centre to its tenth nearest": nearest(centres, 10),
        "centre to centre": (centres[:PROBED] @ centres.T).fill_diagonal_(0.0).flatten(),
        "embedding to its centre": some.gather(1, own).squeeze(1),
        "embedding to its nearest other centre": foreign.amax(1),
    }


def nearest(centres: Tensor, rank: int = 1) -> Tensor:
    """Cosines of the first centres (all, or `PROBED` of many) to their rank-th nearest other."""
    rows = len(centres) if len(centres) <= 20 * PROBED else PROBED
    parts = [
        (part @ centres.T).topk(min(rank + 1, len(centres)), 1).values[:, -1]
        for part in centres[:rows].split(PROBED)
    ]
    return torch.cat(parts)


def _rows(size: int, count: int, draw: torch.Generator) -> Tensor:
    return torch.randint(0, size, (count,), generator=draw)


def _coloured(rows: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """(count, D) Gaussian vectors with the covariance of these rows."""
    centred = (rows - rows.mean(0)).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    root = (vectors * values.clamp_min(0).sqrt()).float()
    return torch.randn(count, rows.shape[1], generator=draw) @ root.T


def _across(directions: Tensor, units: Tensor) -> Tensor:
    """The parts of the directions across these units, at unit length."""
    along = (directions * units).sum(1, keepdim=True)
    return functional.normalize(directions - along * units)


def _turn(units: Tensor, tangent: Tensor, cosine: Tensor) -> Tensor:
    cosine = cosine[:, None]
    return cosine * units + (1 - cosine * cosine).clamp_min(0).sqrt() * tangent


def _quantiles(values: Tensor) -> list[float]:
    return np.quantile(values.numpy(), QUANTILES).tolist()
