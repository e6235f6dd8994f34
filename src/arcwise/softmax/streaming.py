"""The pass over the classes, a chunk at a time: the N×C matrix never exists.

`Streaming.forward` is the first pass. A chunk's logits become exponentials under a maximum, which
are summed, and multiplied with the centres: that is the embeddings' gradient, but for a factor.
`Streaming.backward` and `Streaming.step` are the second pass. The same exponentials, kept or
computed again, times the samples are the centres' gradient, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.loss import CentreGradients, Rule, SoftmaxStatistics, embedding_gradient
from arcwise.softmax.negatives import CentreRows, ChunkedCentres, Exponentials
from arcwise.softmax.problem import Chunk, Problem

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

    def forward(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> tuple[Tensor, StreamingContext]:
        """The first pass: the loss, and what the second needs; see `ClassPass`."""
        size = problem.chunk_size(self.chunk)
        centres, exponentials = ChunkedCentres(problem), Exponentials(problem, size)
        workspace = workspace or Workspace()
        dtype = self.kept(problem) if gradients else None
        pairs = len(problem.x) * len(problem.centres)
        kept = None if dtype is None else workspace.take(pairs, dtype, problem.x.device)
        maxima: list[Tensor] = []

        accumulator = torch.zeros_like(problem.x)
        for chunk in problem.chunks(size):
            rows = centres.first(chunk)
            place = None if kept is None else _place(kept, chunk, len(problem.x))
            weights, derivative, rescale = exponentials.accumulate(chunk, rows, place)
            maxima.append(exponentials.maximum.current)
            if gradients:
                if rescale is not None:
                    accumulator *= rescale[:, None].to(accumulator.dtype)
                weights = derivative.to_cosines(weights).mul_(rows.inverse)
                if place is not None and place.data_ptr() != weights.data_ptr():
                    weights = place.copy_(weights)
                self._add_product(weights, rows.rows, accumulator)
        if kept is not None:
            exponentials.free()

        softmax = SoftmaxStatistics.of(problem, exponentials.log_sum_exp)
        dx = None
        if gradients:
            maximum = exponentials.maximum.current
            accumulator *= torch.exp(maximum.double() - softmax.log_total)[:, None].to(problem.x)
            dx = embedding_gradient(problem, softmax, accumulator)
        return softmax.loss, StreamingContext(
            problem, softmax, dx, size, centres, exponentials, maxima, kept, workspace
        )

    def backward(self, ctx: StreamingContext) -> Iterator[tuple[slice, Tensor]]:
        """The second pass: rows of the flat centres and their gradient, chunk by chunk."""
        finish = CentreGradients(ctx.problem, ctx.softmax, ctx.chunk_size)
        for chunk, centres, sums in self._second_pass(ctx, finish.out):
            yield chunk.rows, finish.gradient(chunk, centres, sums)

    def step(self, ctx: StreamingContext, rule: Rule, momentum: Tensor | None) -> None:
        """The second pass, moving each chunk's centres before it goes on."""
        finish = CentreGradients(ctx.problem, ctx.softmax, ctx.chunk_size)
        for chunk, centres, sums in self._second_pass(ctx, finish.out):
            finish.step(chunk, centres, sums, rule, momentum)

    def kept(self, problem: Problem) -> torch.dtype | None:
        """In which precision exponentials are kept for this problem, None for not at all."""
        product = self._product(problem)
        if self.keep != "auto":
            return {"none": None, "bf16": torch.bfloat16, "fp32": problem.x.dtype}[self.keep]
        size = len(problem.x) * len(problem.centres) * product.itemsize
        return product if size <= self.budget else None

    def _second_pass(
        self, ctx: StreamingContext, out: Tensor
    ) -> Iterator[tuple[Chunk, CentreRows, Tensor]]:
        """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
        problem, last = ctx.problem, ctx.exponentials.maximum.current
        x, before = problem.x, None
        for i, chunk in enumerate(problem.chunks(ctx.chunk_size)):
            centres = ctx.centres.again(chunk)
            maximum = last if ctx.kept is None else ctx.maxima[i]
            if maximum is not before:
                factor = torch.exp(maximum.double() - ctx.softmax.log_total)
                factor = (problem.scale_per_sample * factor)[:, None].to(problem.x.dtype)
                x = (problem.x * factor).to(self._product(problem))
                before = maximum
            if ctx.kept is not None:
                weights = _place(ctx.kept, chunk, len(problem.x))
            else:
                weights, derivative = ctx.exponentials.recompute(chunk, centres, last)
                weights = derivative.to_cosines(weights).mul_(centres.inverse)
            sums = out[: chunk.width]
            if weights.dtype == sums.dtype == x.dtype:
                torch.mm(weights.T, x, out=sums)
            else:
                sums.copy_(weights.to(x.dtype).T @ x)
            yield chunk, centres, sums
        ctx.workspace.give(ctx.kept)
        ctx.kept = None

    def _add_product(self, weights: Tensor, rows: Tensor, accumulator: Tensor) -> None:
        product = torch.bfloat16 if self.gradients == "bf16" else accumulator.dtype
        if weights.dtype == rows.dtype == product:
            accumulator.addmm_(weights, rows)
        else:
            accumulator += weights.to(product) @ rows.to(product)

    def _product(self, problem: Problem) -> torch.dtype:
        return torch.bfloat16 if self.gradients == "bf16" else problem.x.dtype


@dataclass
class StreamingContext:
    """What the second pass needs of the first: see `Context`.

    Attributes:
        problem: the problem.
        softmax: its probabilities.
        embedding_gradient: (N, D) dL/dembeddings, or None without gradients.
        chunk_size: classes at a time.
        centres: the centres, whose lengths have been measured.
        exponentials: makes the exponentials again that were not kept.
        maxima: (n,) maximum of the logits that each chunk's kept exponentials are under.
        kept: (n·C·K,) weights of the cosines, until a second pass has used them; None where they
            are computed again.
        workspace: where the memory of `kept` returns to.
        metrics: empty, as there is no error but rounding.
    """

    problem: Problem
    softmax: SoftmaxStatistics
    embedding_gradient: Tensor | None
    chunk_size: int
    centres: ChunkedCentres
    exponentials: Exponentials
    maxima: list[Tensor]
    kept: Tensor | None
    workspace: Workspace
    metrics: dict[str, float] = field(default_factory=dict)


class Workspace:
    """Memory that outlives a step, because fresh pages cost as much as the arithmetic on them.

    It lends one flat piece at a time, which its borrower may also keep.
    """

    def __init__(self) -> None:
        self._free: Tensor | None = None

    def take(self, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """(size,) uninitialised, the piece given back last if it is large enough."""
        free, self._free = self._free, None
        if free is None or free.dtype != dtype or free.device != device or len(free) < size:
            return torch.empty(size, dtype=dtype, device=device)
        return free[:size]

    def give(self, piece: Tensor | None) -> None:
        """Hand a piece back."""
        if piece is not None:
            self._free = piece.new_empty(0).set_(piece.untyped_storage())  # all of it


def _place(kept: Tensor, chunk: Chunk, n: int) -> Tensor:
    """(n, R) part of the kept numbers that is a chunk's."""
    start = n * chunk.rows.start
    return kept[start : start + n * chunk.width].view(n, chunk.width)
