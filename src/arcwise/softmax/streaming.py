"""The pass over the classes, a chunk at a time: the N×C matrix never exists.

First sweep: a chunk's logits become exponentials under a shift, which are summed, and multiplied
with the centres: the embeddings' gradient is there, but for a factor. Second sweep: the same
exponentials, kept or computed again, times the samples: the centres' gradient, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.chunk import Centres, Lengths, logits
from arcwise.softmax.outcome import Softened, embedding_gradient
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.shift import Shift
from arcwise.softmax.tangent import CentreGradients
from arcwise.softmax.workspace import Workspace

Keep = Literal["auto", "none", "bf16", "fp32"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Streaming:
    """How the pass is made.

    Attributes:
        keep: whether the first sweep's exponentials wait for the second, and in which precision:
            three products of matrices instead of four, for N·C numbers. ``"auto"`` keeps them in
            the precision of the gradients when they fit `budget`.
        gradients: arithmetic of the two gradient products. bf16 is as fast again on processors
            that have it, at a relative error of about 1e-3; loss and logits stay in float32.
        chunk: classes at a time.
        budget: bytes that ``keep="auto"`` may spend.
    """

    keep: Keep = "auto"
    gradients: Precision = "fp32"
    chunk: int = 1024
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
        if self.chunk < 1:
            raise ArcwiseError(f"Streaming: chunk={self.chunk!r}; expected at least 1 class")

    def run(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> StreamingPass:
        """The first sweep; `gradients=False` where only the loss is wanted."""
        return StreamingPass(self, problem, gradients, workspace or Workspace())

    def kept(self, problem: Problem) -> torch.dtype | None:
        """In which precision exponentials are kept for this problem, None for not at all."""
        product = torch.bfloat16 if self.gradients == "bf16" else problem.x.dtype
        if self.keep != "auto":
            return {"none": None, "bf16": torch.bfloat16, "fp32": problem.x.dtype}[self.keep]
        size = len(problem.x) * len(problem.centres) * product.itemsize
        return product if size <= self.budget else None


class StreamingPass:
    """One pass: see `arcwise.softmax.outcome.Pass`."""

    report: dict[str, float] = {}  # noqa: RUF012 - nothing to report but rounding

    def __init__(
        self, how: Streaming, problem: Problem, gradients: bool, workspace: Workspace
    ) -> None:
        self.how = how
        self.problem = problem
        self.workspace = workspace
        n, rows = len(problem.x), len(problem.centres)
        width = min(how.chunk, problem.classes) * problem.subcentres
        self._product = torch.bfloat16 if how.gradients == "bf16" else problem.x.dtype
        dtype = how.kept(problem) if gradients else None
        self._kept = None if dtype is None else workspace.take(n * rows, dtype, problem.x.device)
        self._shifts: list[Tensor] = []
        self._lengths: list[Lengths] = []
        self._logits = problem.x.new_empty(n * width)

        shift = Shift.for_(problem)
        total = problem.x.new_zeros(n, dtype=torch.float64)
        pull = torch.zeros_like(problem.x)
        for chunk in problem.chunks(how.chunk):
            centres = Centres.of(problem, chunk)
            self._lengths.append(centres.lengths)
            weights, fade = self._exponentials(chunk, centres, shift, total)
            if not gradients:
                continue
            if fade is not None:
                pull *= fade[:, None].to(pull.dtype)
            self._multiply(self._keep(chunk, weights), centres.rows, pull)
        self._shift = shift.current
        self._softened = Softened.of(problem, self._shift.double() + total.log())
        self.loss = self._softened.loss
        if gradients:
            factor = torch.exp(self._shift.double() - self._softened.log_total)
            self._gradient = embedding_gradient(
                problem, self._softened, pull * factor[:, None].to(pull.dtype)
            )

    def embedding_gradient(self) -> Tensor:
        """(N, D), there since the first sweep."""
        return self._gradient

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """The second sweep."""
        problem = self.problem
        per_sample = problem.scale / max(len(problem.x), 1)
        finished = CentreGradients(problem, self._softened, self.how.chunk)
        x, before = problem.x, None
        for i, chunk in enumerate(problem.chunks(self.how.chunk)):
            centres = Centres.of(problem, chunk, self._lengths[i])
            under = self._shift if self._kept is None else self._shifts[i]
            if under is not before:
                share = per_sample * torch.exp(under.double() - self._softened.log_total)
                x = (problem.x * share[:, None].to(problem.x.dtype)).to(self._product)
                before = under
            weights = self._recall(chunk, centres, under)
            gradient = finished.out[: len(centres.rows)]
            if weights.dtype == gradient.dtype == x.dtype:
                torch.mm(weights.T, x, out=gradient)
            else:
                gradient.copy_(weights.to(x.dtype).T @ x)
            yield chunk.rows, finished.finish(chunk, centres, gradient)
        self.workspace.give(self._kept)
        self._kept = None

    def _exponentials(
        self, chunk: Chunk, centres: Centres, shift: Shift, total: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """(n, R) exponentials that weigh the chunk's centres, summed into `total` on the way."""
        z, gain = logits(self.problem, chunk, centres, self._buffer(centres))
        fade = shift.cover(z)
        if fade is not None:
            total *= fade
        weights = z.sub_(shift.current[:, None]).exp_()
        total += weights.sum(1)
        self._shifts.append(shift.current)
        return gain.carry(weights).mul_(centres.inverse), fade

    def _buffer(self, centres: Centres) -> Tensor:
        n, width = len(self.problem.x), len(centres.rows)
        return self._logits[: n * width].view(n, width)

    def _keep(self, chunk: Chunk, weights: Tensor) -> Tensor:
        if self._kept is None:
            return weights.to(self._product)
        return self._place(chunk).copy_(weights)

    def _place(self, chunk: Chunk) -> Tensor:
        assert self._kept is not None
        n, start, width = len(self.problem.x), chunk.rows.start, chunk.rows.stop - chunk.rows.start
        return self._kept[n * start : n * (start + width)].view(n, width)

    def _recall(self, chunk: Chunk, centres: Centres, under: Tensor) -> Tensor:
        if self._kept is not None:
            return self._place(chunk)
        z, gain = logits(self.problem, chunk, centres, self._buffer(centres))
        return gain.carry(z.sub_(under[:, None]).exp_()).mul_(centres.inverse)

    def _multiply(self, weights: Tensor, rows: Tensor, pull: Tensor) -> None:
        if weights.dtype == rows.dtype == self._product:
            pull.addmm_(weights, rows)
        else:
            pull += weights.to(self._product) @ rows.to(self._product)
