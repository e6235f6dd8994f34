"""The pass over the classes, a chunk at a time: the N×C matrix never exists.

First pass: a chunk's logits become exponentials under a maximum, which are summed, and multiplied
with the centres: that is the embeddings' gradient, but for a factor. Second pass: the same
exponentials, kept or computed again, times the samples are the centres' gradient, a chunk at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.loss import CentreGradients, Rule, SoftmaxStatistics
from arcwise.softmax.negatives import (
    CentreRows,
    ChunkedCentres,
    Exponentials,
    count_support_vectors,
)
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.workspace import Workspace

Keep = Literal["auto", "none", "bf16", "fp32"]
GradientPrecision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Streaming:
    """How the pass is made.

    Attributes:
        keep: whether the first pass's exponentials wait for the second, and in which precision:
            three products of matrices instead of four, for N·C numbers. ``"auto"`` keeps them in
            the precision of the gradients when they fit `budget`.
        gradients: arithmetic of the two gradient products. bf16 is as fast again on processors
            that have it, at a relative error of about 1e-3; loss and logits stay in float32.
        chunk: classes at a time; None for four a sample, within reason.
        budget: bytes that ``keep="auto"`` may spend.
    """

    keep: Keep = "auto"
    gradients: GradientPrecision = "fp32"
    chunk: int | None = None
    budget: int = 1 << 30

    def __post_init__(self) -> None:
        if self.keep not in ("auto", "none", "bf16", "fp32"):
            raise ArcwiseError(
                f'Streaming: keep={self.keep!r}; expected "auto", "none", "bf16" or "fp32"'
            )
        if self.gradients not in ("fp32", "bf16"):
            raise ArcwiseError(
                f'Streaming: gradients={self.gradients!r}; expected "fp32" or "bf16"'
            )
        if self.chunk is not None and self.chunk < 1:
            raise ArcwiseError(f"Streaming: chunk={self.chunk!r}; expected at least 1 class")

    def first_pass(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> StreamingPass:
        """Make the first pass: see `PassSettings`."""
        return StreamingPass(self, problem, gradients, workspace or Workspace())

    def kept(self, problem: Problem) -> torch.dtype | None:
        """In which precision exponentials are kept for this problem, None for not at all."""
        if self.keep != "auto":
            return {"none": None, "bf16": torch.bfloat16, "fp32": problem.x.dtype}[self.keep]
        product = self.product(problem)
        size = len(problem.x) * len(problem.centres) * product.itemsize
        return product if size <= self.budget else None

    def product(self, problem: Problem) -> torch.dtype:
        """In which precision the gradient products of this problem are made."""
        return torch.bfloat16 if self.gradients == "bf16" else problem.x.dtype


class StreamingPass:
    """The passes over one problem: see `ClassPass`.

    Attributes:
        log_negatives: (n,) log-sum-exp of the negatives.
        metrics: of a margin that re-weights negatives, how many of a sample's it does
            (`support_vectors`); else empty, as there is no error but rounding.
    """

    def __init__(
        self, settings: Streaming, problem: Problem, gradients: bool, workspace: Workspace
    ) -> None:
        """Make the first pass."""
        self.metrics: dict[str, float | Tensor] = {}
        self._problem = problem
        self._workspace = workspace
        self._product = settings.product(problem)
        self._chunk_size = problem.chunk_size(settings.chunk)
        self._centres = ChunkedCentres(problem)
        self._exponentials = Exponentials(problem, self._chunk_size)
        self._maxima: list[Tensor] = []
        dtype = settings.kept(problem) if gradients else None
        pairs = len(problem.x) * len(problem.centres)
        self._kept = None if dtype is None else workspace.take(pairs, dtype, problem.x.device)

        support_vectors: Tensor | None = None
        accumulator = torch.zeros_like(problem.x)
        for chunk in problem.chunks(self._chunk_size):
            centres = self._centres.first(chunk)
            place = None if self._kept is None else self._place(self._kept, chunk)
            weights, derivative, rescale = self._exponentials.accumulate(chunk, centres, place)
            if derivative.derivative is not None:
                count = count_support_vectors(problem, chunk, derivative.derivative)
                support_vectors = count if support_vectors is None else support_vectors + count
            self._maxima.append(self._exponentials.maximum.current)
            if gradients:
                if rescale is not None:
                    accumulator *= rescale[:, None].to(accumulator.dtype)
                weights = derivative.to_cosines(weights).mul_(centres.inverse)
                if place is not None and place.data_ptr() != weights.data_ptr():
                    weights = place.copy_(weights)
                self._add_product(weights, centres.rows, accumulator)
        if self._kept is not None:
            self._exponentials.free()
        if support_vectors is not None:
            self.metrics["support_vectors"] = support_vectors / max(len(problem.x), 1)
        self._accumulator = accumulator
        self.log_negatives = self._exponentials.log_sum_exp

    def accumulator(self, softmax: SoftmaxStatistics) -> Tensor:
        """Return the products of the first pass, now that probabilities are known."""
        accumulator = self._accumulator
        del self._accumulator  # as large as the embeddings, and of no more use
        factor = torch.exp(self._exponentials.maximum.current.double() - softmax.log_total)
        return accumulator.mul_(factor[:, None].to(accumulator.dtype))

    def centre_gradients(self, softmax: SoftmaxStatistics) -> Iterator[tuple[slice, Tensor]]:
        """Make the second pass."""
        finish = CentreGradients(self._problem, softmax, self._chunk_size)
        for chunk, centres, sums in self._second_pass(softmax, finish.out):
            yield chunk.rows, finish.gradient(chunk, centres, sums)

    def step_centres(self, softmax: SoftmaxStatistics, rule: Rule, momentum: Tensor | None) -> None:
        """Make the second pass, moving each chunk's centres before it goes on."""
        finish = CentreGradients(self._problem, softmax, self._chunk_size)
        for chunk, centres, sums in self._second_pass(softmax, finish.out):
            finish.step(chunk, centres, sums, rule, momentum)

    def _second_pass(
        self, softmax: SoftmaxStatistics, out: Tensor
    ) -> Iterator[tuple[Chunk, CentreRows, Tensor]]:
        """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
        problem, last = self._problem, self._exponentials.maximum.current
        x, before = problem.x, None
        for i, chunk in enumerate(problem.chunks(self._chunk_size)):
            centres = self._centres.again(chunk)
            maximum = last if self._kept is None else self._maxima[i]
            if maximum is not before:
                factor = problem.scale_per_sample * torch.exp(maximum.double() - softmax.log_total)
                x = (problem.x * factor[:, None].to(problem.x.dtype)).to(self._product)
                before = maximum
            weights = self._weights(chunk, centres)
            sums = out[: chunk.width]
            if weights.dtype == sums.dtype == x.dtype:
                torch.mm(weights.T, x, out=sums)
            else:
                sums.copy_(weights.to(x.dtype).T @ x)
            yield chunk, centres, sums
        self._workspace.give(self._kept)
        self._kept = None

    def _weights(self, chunk: Chunk, centres: CentreRows) -> Tensor:
        """(n, R) weights of the cosines, as kept or computed again."""
        if self._kept is not None:
            return self._place(self._kept, chunk)
        maximum = self._exponentials.maximum.current
        weights, derivative = self._exponentials.recompute(chunk, centres, maximum)
        return derivative.to_cosines(weights).mul_(centres.inverse)

    def _place(self, kept: Tensor, chunk: Chunk) -> Tensor:
        """(n, R) part of the kept numbers that is a chunk's."""
        n = len(self._problem.x)
        start = n * chunk.rows.start
        return kept[start : start + n * chunk.width].view(n, chunk.width)

    def _add_product(self, weights: Tensor, rows: Tensor, accumulator: Tensor) -> None:
        if weights.dtype == rows.dtype == self._product:
            accumulator.addmm_(weights, rows)
        else:
            accumulator += weights.to(self._product) @ rows.to(self._product)
