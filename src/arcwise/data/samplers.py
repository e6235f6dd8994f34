"""Which pictures make up the batch of a step.

Pure functions of (seed, step): a resumed run draws what the uninterrupted one would have drawn,
and there is no state to save.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from arcwise.errors import ArcwiseError


class Sampler(Protocol):
    """Answers which rows a step trains on."""

    def batch(self, step: int) -> np.ndarray:
        """(B,) int64 rows of the data set for this step."""
        ...


class Shuffled:
    """Every one of some rows once an epoch, in a new order each; a batch may span two epochs."""

    def __init__(self, rows: np.ndarray, batch_size: int, seed: int) -> None:
        if len(rows) < 1 or batch_size < 1:
            raise ArcwiseError(
                f"Shuffled: got {len(rows)} rows and batch_size={batch_size}; expected at least 1"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed

    def batch(self, step: int) -> np.ndarray:
        """(B,) rows: positions step·B … of the endless sequence of shuffled epochs."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, places = np.divmod(positions, len(self.rows))
        rows = np.empty_like(self.rows, shape=len(positions))
        for epoch in np.unique(epochs):
            here = epochs == epoch
            order = _permutation(len(self.rows), self.seed, int(epoch))
            rows[here] = self.rows[order[places[here]]]
        return rows


class Windowed:
    """Every row once an epoch, mixed within a window that moves over blocks of neighbours.

    Each epoch puts blocks of consecutive rows in a new order, and shuffles the rows of several
    blocks at a time: neighbours on disk are read together, and are strangers in a batch. That is
    a shuffle buffer over shards in a random order, as a pure function of the step.

    Attributes:
        window: rows that are mixed with one another.
    """

    def __init__(
        self, rows: int, batch_size: int, seed: int, *, block: int = 128, window: int = 2048
    ) -> None:
        if min(rows, batch_size, block, window) < 1:
            raise ArcwiseError(
                f"Windowed: got {rows} rows, batch_size={batch_size}, block={block} and "
                f"window={window}; expected at least 1 of each"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.block = block
        self.window = window

    def batch(self, step: int) -> np.ndarray:
        """(B,) rows: positions step·B … of the endless sequence of epochs."""
        first = step * self.batch_size
        epochs, places = np.divmod(np.arange(first, first + self.batch_size), self.rows)
        orders = [self.order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)]
        return np.concatenate(orders)

    def order(self, epoch: int) -> np.ndarray:
        """(N,) every row, in the order of an epoch."""
        return _windowed(self.rows, self.block, self.window, self.seed, epoch)


class Mixed:
    """Two samplers side by side in every batch."""

    def __init__(self, first: Sampler, second: Sampler) -> None:
        self.parts = (first, second)

    def batch(self, step: int) -> np.ndarray:
        """The rows of the one, then those of the other."""
        return np.concatenate([part.batch(step) for part in self.parts])


class Balanced:
    """P identities × K pictures of each: P×K sampling (Hermans et al., arXiv 1703.07737).

    Identities come in shuffled rounds, so each is seen equally often however many pictures it
    has; an identity with fewer than K pictures repeats some.
    """

    def __init__(self, labels: np.ndarray, identities: int, pictures: int, seed: int) -> None:
        _, counts = np.unique(labels, return_counts=True)
        if identities < 2 or pictures < 1:
            raise ArcwiseError(
                f"Balanced: got {identities} identities × {pictures} pictures; expected at least "
                "2 × 1"
            )
        if identities > len(counts):
            raise ArcwiseError(
                f"Balanced: got {identities} identities a batch, but the data set has "
                f"{len(counts)}; lower the batch or raise the pictures an identity"
            )
        self.identities = identities
        self.pictures = pictures
        self.seed = seed
        order = np.argsort(labels, kind="stable")
        self.rows_of = np.split(order, np.cumsum(counts)[:-1])

    def batch(self, step: int) -> np.ndarray:
        """(P·K,) rows, the K of one identity together."""
        classes = len(self.rows_of)
        batches_a_round = classes // self.identities  # the rest of a round sits it out
        round_, place = divmod(step, batches_a_round)
        chosen = _permutation(classes, self.seed, round_)[
            place * self.identities : (place + 1) * self.identities
        ]
        rng = np.random.default_rng((self.seed, 1, step))
        return np.concatenate([self._pictures(rng, self.rows_of[c]) for c in chosen])

    def _pictures(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        if len(rows) >= self.pictures:
            return rng.choice(rows, self.pictures, replace=False)
        return rng.permutation(np.resize(rng.permutation(rows), self.pictures))


@lru_cache(maxsize=4)
def _permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(rows)


@lru_cache(maxsize=4)
def _windowed(rows: int, block: int, window: int, seed: int, epoch: int) -> np.ndarray:
    rng = np.random.default_rng((seed, 2, epoch))
    blocks = rng.permutation(-(-rows // block))
    order = (blocks[:, None] * block + np.arange(block)).ravel()
    order = order[order < rows]
    places = np.arange(rows) // window + rng.random(rows)  # the window, then anywhere in it
    return order[np.argsort(places)]
