"""Which images make up the batch of a step.

Pure functions of (seed, step): a resumed run draws what the uninterrupted one would have drawn,
and there is no state to save.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from arcwise.errors import ArcwiseError


class Sampler(Protocol):
    """Chooses the rows that a step trains on."""

    def batch(self, step: int) -> np.ndarray:
        """Return (B,) int64 rows of the data set for this step."""
        ...


class Shuffled:
    """Every given row once an epoch, in a new order each epoch. A batch may span two epochs."""

    def __init__(self, rows: np.ndarray, batch_size: int, seed: int) -> None:
        if len(rows) < 1 or batch_size < 1:
            raise ArcwiseError(
                f"Shuffled: got {len(rows)} rows and batch_size={batch_size}; expected at least 1"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed

    def batch(self, step: int) -> np.ndarray:
        """Return (B,) rows: positions step·B … of the endless sequence of shuffled epochs."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, len(self.rows))
        rows = np.empty_like(self.rows, shape=len(positions))
        for epoch in np.unique(epochs):
            of_epoch = epochs == epoch
            order = _permutation(len(self.rows), self.seed, int(epoch))
            rows[of_epoch] = self.rows[order[offsets[of_epoch]]]
        return rows


class Windowed:
    """Every row once an epoch, mixed within a window that moves over blocks of neighbours.

    Each epoch puts blocks of consecutive rows in a new order, and shuffles the rows of several
    blocks at a time: neighbours on disk are read at about the same time but seldom share a batch.
    This is a shuffle buffer over shards in a random order, as a pure function of the step.

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
        """Return (B,) rows: positions step·B … of the endless sequence of epochs."""
        first = step * self.batch_size
        epochs, offsets = np.divmod(np.arange(first, first + self.batch_size), self.rows)
        orders = [self.order(int(epoch))[offsets[epochs == epoch]] for epoch in np.unique(epochs)]
        return np.concatenate(orders)

    def order(self, epoch: int) -> np.ndarray:
        """Return (N,) every row, in the order of an epoch."""
        return _windowed(self.rows, self.block, self.window, self.seed, epoch)


class Mixed:
    """Every batch from two samplers: the rows of the first, then those of the second."""

    def __init__(self, first: Sampler, second: Sampler) -> None:
        self.parts = (first, second)

    def batch(self, step: int) -> np.ndarray:
        """Return the rows of the first sampler, then those of the second."""
        return np.concatenate([part.batch(step) for part in self.parts])


class Balanced:
    """P identities × K images of each: P×K sampling (Hermans et al., arXiv 1703.07737).

    Identities come in shuffled rounds, so each is drawn equally often however many images it has.
    An identity with fewer than K images repeats some.
    """

    def __init__(self, labels: np.ndarray, identities: int, images: int, seed: int) -> None:
        _, counts = np.unique(labels, return_counts=True)
        if identities < 2 or images < 1:
            raise ArcwiseError(
                f"a batch of {identities} identities × {images} images; expected at least 2 × 1"
            )
        check_identities(identities, images, len(counts))
        self.identities = identities
        self.images = images
        self.seed = seed
        order = np.argsort(labels, kind="stable")
        self.rows_of = np.split(order, np.cumsum(counts)[:-1])

    def batch(self, step: int) -> np.ndarray:
        """Return (P·K,) rows, the K of one identity next to one another."""
        rng = np.random.default_rng((self.seed, 1, step))
        return np.concatenate([self._drawn(rng, self.rows_of[c]) for c in self.identities_of(step)])

    def identities_of(self, step: int) -> np.ndarray:
        """Return (P,) the identities of this step, as positions in `rows_of`."""
        classes = len(self.rows_of)
        batches_a_round = classes // self.identities  # the rest of a round is left out
        round_, number = divmod(step, batches_a_round)
        places = slice(number * self.identities, (number + 1) * self.identities)
        return _permutation(classes, self.seed, round_)[places]

    def _drawn(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        if len(rows) >= self.images:
            return rng.choice(rows, self.images, replace=False)
        return rng.permutation(np.resize(rng.permutation(rows), self.images))


class Sets:
    """P identities × 2 sets × K images of each: what a loss between sets needs.

    The two sets of an identity share no image, as far as it has two. Where the rows come in groups
    (templates, media), each set is drawn from one group, and the two from different ones; an
    identity with one group has it divided. A set with fewer than K images repeats some.
    Identities come in shuffled rounds, as in `Balanced`.
    """

    def __init__(
        self,
        labels: np.ndarray,
        identities: int,
        images: int,
        seed: int,
        *,
        groups: np.ndarray | None = None,
    ) -> None:
        if images < 1:
            raise ArcwiseError(f"got sets of {images} images; expected at least 1")
        check_identities(identities, 2 * images, len(np.unique(labels)))
        self._turns = Balanced(labels, identities, 1, seed)
        self.images = images
        self.seed = seed
        self.groups = None if groups is None else np.unique(groups, return_inverse=True)[1]

    def batch(self, step: int) -> np.ndarray:
        """Return (P·2·K,) rows, the K of a set next to one another, then those of its other set."""
        rng = np.random.default_rng((self.seed, 3, step))
        rows_of = self._turns.rows_of
        chosen = self._turns.identities_of(step)
        return np.concatenate([part for c in chosen for part in self._two_sets(rng, rows_of[c])])

    def _two_sets(self, rng: np.random.Generator, rows: np.ndarray) -> list[np.ndarray]:
        halves = np.array_split(rng.permutation(rows), 2)
        if self.groups is not None:
            groups = self.groups[rows]
            names = np.unique(groups)
            if len(names) > 1:
                two = rng.choice(names, 2, replace=False)
                halves = [rng.permutation(rows[groups == one]) for one in two]
        return [np.resize(half if len(half) else halves[0], self.images) for half in halves]


def check_identities(identities: int, images: int, there: int, of: str = "") -> None:
    """Refuse a batch of more identities than there are.

    Args:
        identities: in a batch.
        images: of each of them.
        there: identities to draw from.
        of: what these have in common, in words.

    Raises:
        ArcwiseError: naming the largest batch that can be drawn.
    """
    if identities <= there:
        return
    remedy = f"expected --batch {there * images} or less"
    if there < 2:
        remedy = "expected at least 2: bring more"
    raise ArcwiseError(
        f"--batch {identities * images} has {images} images of each of {identities} identities, "
        f"and {there} are trained on{of}; {remedy}"
    )


@lru_cache(maxsize=4)
def _permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(rows)


@lru_cache(maxsize=4)
def _windowed(rows: int, block: int, window: int, seed: int, epoch: int) -> np.ndarray:
    rng = np.random.default_rng((seed, 2, epoch))
    blocks = rng.permutation(-(-rows // block))
    order = (blocks[:, None] * block + np.arange(block)).ravel()
    order = order[order < rows]
    positions = np.arange(rows) // window + rng.random(rows)  # the window, then anywhere in it
    return order[np.argsort(positions)]
