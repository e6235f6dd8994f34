"""One chunk of classes: its logits, and what they weigh."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from arcwise.softmax.problem import Chunk, Problem
from arcwise.sphere import unit

PLAIN = (1e-3, 1e3)
"""Row lengths by which an exponential can be divided and stays in range: see `shift.SPARE`."""


@dataclass(frozen=True)
class Lengths:
    """What makes a chunk's rows directions.

    Attributes:
        inverse: (R,) factor that products with the rows as they are have to be multiplied by.
        outside: (R,) the rest of 1/‖w‖ where lengths are out of float32's comfort, and the rows
            have to be made directions first; None where they are not.
    """

    inverse: Tensor
    outside: Tensor | None


class KnownLengths:
    """Those of all chunks, from one sweep for the next.

    In one piece of memory: a small tensor a chunk, each made between large ones, keeps the pages
    around it from being used again.
    """

    def __init__(self, problem: Problem) -> None:
        self._inverse = problem.x.new_empty(len(problem.centres))
        self._outside: dict[int, Tensor] = {}

    def note(self, chunk: Chunk, lengths: Lengths) -> None:
        """Remember a chunk's."""
        self._inverse[chunk.rows] = lengths.inverse
        if lengths.outside is not None:
            self._outside[chunk.start] = lengths.outside

    def of(self, chunk: Chunk) -> Lengths:
        """A chunk's, as noted."""
        return Lengths(self._inverse[chunk.rows], self._outside.get(chunk.start))


@dataclass(frozen=True)
class Centres:
    """The rows of a chunk, ready for a product.

    Attributes:
        rows: (R, D) in the dtype of the pass: the centres themselves, or their directions.
        lengths: theirs.
    """

    rows: Tensor
    lengths: Lengths

    @property
    def inverse(self) -> Tensor:
        """(R,) factor for products with the rows."""
        return self.lengths.inverse

    @classmethod
    def of(cls, problem: Problem, chunk: Chunk, lengths: Lengths | None = None) -> Centres:
        """The chunk's centres, divided by their length only where they are too long or short.

        Everywhere else the length is left to the N×R products, which are cheaper to scale. Lengths
        that are known from an earlier sweep are not computed again.
        """
        rows = problem.centres[chunk.rows].to(problem.x.dtype)
        if lengths is not None:
            return cls(rows if lengths.outside is None else unit(rows)[0], lengths)
        length = torch.linalg.vector_norm(rows, dim=1)
        shortest, longest = length.aminmax()
        if shortest > PLAIN[0] and longest < PLAIN[1]:
            return cls(rows, Lengths(length.reciprocal_(), None))
        rows, length = unit(rows)
        outside = torch.where(length > 0, 1 / length, 0.0)
        return cls(rows, Lengths(torch.ones_like(length), outside))


def logits(problem: Problem, chunk: Chunk, centres: Centres, out: Tensor) -> tuple[Tensor, Gain]:
    """(n, B) logits of a chunk's classes, -inf where a class is the target; how to differentiate.

    The cosines go to `out`, (n, R); the logits may be the same memory.
    """
    cosines = torch.mm(problem.x, centres.rows.T, out=out).mul_(centres.inverse)
    return from_cosines(problem, chunk, cosines)


def from_cosines(problem: Problem, chunk: Chunk, cosines: Tensor) -> tuple[Tensor, Gain]:
    """What `logits` gives, from (n, R) cosines that may be lost."""
    winner = None
    if problem.subcentres > 1:
        split = cosines.view(len(cosines), chunk.end - chunk.start, problem.subcentres)
        cosines, winner = split.max(2)
    value = problem.target.value.to(cosines.dtype)
    others, slope = problem.margin.others(cosines, value, problem.state)
    z = others.mul_(problem.scale) if others is cosines else others * problem.scale
    if problem.offsets is not None:
        z += problem.offsets[chunk.start : chunk.end]
    leave_out_targets(problem, chunk, z)
    return z, Gain(slope, winner, problem.subcentres)


def leave_out_targets(problem: Problem, chunk: Chunk, z: Tensor) -> None:
    """Set the logits of (n, B) classes that are the target to -inf."""
    mine = chunk.samples
    if mine.stop > mine.start:
        samples = torch.arange(mine.start, mine.stop, device=z.device)
        z[samples, problem.labels[mine] - chunk.start] = -torch.inf


@dataclass(frozen=True)
class Gain:
    """How a logit answers to the cosines it was made of.

    Attributes:
        slope: (n, B) of the margin's others, or None for 1.
        winner: (n, B) which sub-centre was nearest, or None where there is one.
        subcentres: K.
    """

    slope: Tensor | None = None
    winner: Tensor | None = None
    subcentres: int = 1

    def carry(self, weights: Tensor) -> Tensor:
        """(n, B) weights of the logits → (n, R) weights of the cosines; may change its input."""
        if self.slope is not None:
            weights.mul_(self.slope)
        if self.winner is None:
            return weights
        spread = weights.new_zeros(*weights.shape, self.subcentres)
        return spread.scatter_(2, self.winner[:, :, None], weights[:, :, None]).flatten(1)
