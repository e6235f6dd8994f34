"""What each logit of a chunk weighs, by a kernel or by torch's own operations."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from arcwise.margins import Margin
from arcwise.softmax.chunk import from_cosines
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.shift import Shift
from arcwise.softmax.triton.exponentials import exponentials, parts


class Weigher(Protocol):
    """Turns cosines into weights under a shift, and keeps sums."""

    @property
    def shift(self) -> Tensor:
        """(n,) the shift in force, float32."""
        ...

    def first(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> Tensor | None:
        """Fill (n, R) weights from (n, R) cosines, which may be lost, and add to the sums.

        Returns:
            (n,) what all earlier weights have to be multiplied by, or None for 1.
        """
        ...

    def again(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """The same weights under the last shift."""
        ...

    def sums(self) -> Tensor:
        """(3, n) float64 sums of the exponentials, of the weights, and of those as stored."""
        ...


def weigher(problem: Problem, size: int) -> Weigher:
    """A kernel where the other classes' cosines count as they are and one shift serves them all."""
    shift = Shift.for_(problem)
    if shift.fixed and type(problem.margin).others is Margin.others:
        return Fused(problem, shift.current, size)
    return General(problem, shift)


def mending(sums: Tensor) -> Tensor:
    """(n,) factor on a sample's stored weights that makes them sum to what they did unrounded.

    One class often has nearly all of the weight: its rounding would be the gradient's.
    """
    _, exact, stored = sums
    rounding = 2.0**-8
    return torch.where(stored == 0, 1.0, exact / stored).clamp(1 - rounding, 1 + rounding)


class Fused:
    """One kernel a chunk. Sums are stored, never added to: the same whenever they are made."""

    def __init__(self, problem: Problem, shift: Tensor, size: int) -> None:
        self.problem, self.shift = problem, shift
        self._size, self._parts = size, parts(min(size, problem.classes))
        chunks = -(-problem.classes // size)
        self._sums = problem.x.new_zeros(2, chunks * self._parts, len(problem.x))

    def first(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> None:
        """See `Weigher`."""
        place = chunk.start // self._size * self._parts
        exact, stored = self._sums[:, place : place + self._parts]
        exponentials(self.problem, chunk, cosines, self.shift, weights, (exact, stored))

    def again(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """See `Weigher`."""
        exponentials(self.problem, chunk, cosines, self.shift, weights, None)

    def sums(self) -> Tensor:
        """See `Weigher`."""
        exact, stored = self._sums.sum(1, dtype=torch.float64)
        return torch.stack([exact, exact, stored])


class General:
    """Any margin and any scale, a few operations a chunk more."""

    def __init__(self, problem: Problem, shift: Shift) -> None:
        self.problem = problem
        self._shift = shift
        self._sums = problem.x.new_zeros(3, len(problem.x), dtype=torch.float64)

    @property
    def shift(self) -> Tensor:
        """See `Weigher`."""
        return self._shift.current

    def first(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> Tensor | None:
        """See `Weigher`."""
        z, gain = from_cosines(self.problem, chunk, cosines)
        fade = self._shift.cover(z)
        if fade is not None:
            self._sums *= fade
        exponential = z.sub_(self.shift[:, None]).exp_()
        self._sums[0] += exponential.sum(1)
        if weights is not None:
            weight = gain.carry(exponential)
            self._sums[1] += weight.sum(1)
            self._sums[2] += weights.copy_(weight).sum(1, dtype=torch.float32)
        return fade

    def again(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """See `Weigher`."""
        z, gain = from_cosines(self.problem, chunk, cosines)
        weights.copy_(gain.carry(z.sub_(self.shift[:, None]).exp_()))

    def sums(self) -> Tensor:
        """See `Weigher`."""
        return self._sums
