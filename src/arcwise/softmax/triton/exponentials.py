"""Exponentials of a chunk's logits and their sums, by a kernel or by torch's own operations."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from arcwise.softmax.negatives import RunningMaximum, negative_logits, unweighted
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.triton import kernels


class ChunkExponentials(Protocol):
    """Turns cosines into weights, exponentials under a maximum, and keeps their sums."""

    @property
    def maximum(self) -> Tensor:
        """(n,) what is taken from the logits, float32."""
        ...

    def accumulate(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> Tensor | None:
        """Fill (n, R) weights from (n, R) cosines, which may be lost, and add to the sums.

        Returns:
            (n,) the factor that rescales all earlier weights, or None for 1.
        """
        ...

    def recompute(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """Fill the same weights under the last maximum."""
        ...

    def sums(self) -> Tensor:
        """(3, n) float64 sums of the exponentials, of the weights, and of those as stored."""
        ...


def chunk_exponentials(problem: Problem, chunk_size: int) -> ChunkExponentials:
    """A kernel where the negatives' cosines count as they are and one maximum serves all chunks."""
    maximum = RunningMaximum(problem)
    if maximum.fixed and unweighted(problem):
        return KernelExponentials(problem, maximum.current, chunk_size)
    return TensorExponentials(problem, maximum)


class KernelExponentials:
    """One kernel a chunk. Sums are stored, never added to: the same whenever they are made."""

    def __init__(self, problem: Problem, maximum: Tensor, chunk_size: int) -> None:
        self.problem, self.maximum = problem, maximum
        self._size = chunk_size
        self._parts = kernels.parts(min(chunk_size, problem.classes))
        chunks = -(-problem.classes // chunk_size)
        self._sums = problem.x.new_zeros(2, chunks * self._parts, len(problem.x))

    def accumulate(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> None:
        """See `ChunkExponentials`."""
        place = chunk.start // self._size * self._parts
        exact, stored = self._sums[:, place : place + self._parts]
        kernels.exponentials(self.problem, chunk, cosines, self.maximum, weights, (exact, stored))

    def recompute(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """See `ChunkExponentials`."""
        kernels.exponentials(self.problem, chunk, cosines, self.maximum, weights, None)

    def sums(self) -> Tensor:
        """See `ChunkExponentials`."""
        exact, stored = self._sums.sum(1, dtype=torch.float64)
        return torch.stack([exact, exact, stored])


class TensorExponentials:
    """Any margin and any scale, a few operations a chunk more."""

    def __init__(self, problem: Problem, maximum: RunningMaximum) -> None:
        self.problem = problem
        self._maximum = maximum
        self._sums = problem.x.new_zeros(3, len(problem.x), dtype=torch.float64)

    @property
    def maximum(self) -> Tensor:
        """See `ChunkExponentials`."""
        return self._maximum.current

    def accumulate(self, chunk: Chunk, cosines: Tensor, weights: Tensor | None) -> Tensor | None:
        """See `ChunkExponentials`."""
        z, derivative = negative_logits(self.problem, chunk, cosines)
        rescale = self._maximum.update(z)
        if rescale is not None:
            self._sums *= rescale
        exponentials = z.sub_(self.maximum[:, None]).exp_()
        self._sums[0] += exponentials.sum(1)
        if weights is not None:
            exact = derivative.to_cosines(exponentials)
            self._sums[1] += exact.sum(1)
            self._sums[2] += weights.copy_(exact).sum(1, dtype=torch.float32)
        return rescale

    def recompute(self, chunk: Chunk, cosines: Tensor, weights: Tensor) -> None:
        """See `ChunkExponentials`."""
        z, derivative = negative_logits(self.problem, chunk, cosines)
        weights.copy_(derivative.to_cosines(z.sub_(self.maximum[:, None]).exp_()))

    def sums(self) -> Tensor:
        """See `ChunkExponentials`."""
        return self._sums
