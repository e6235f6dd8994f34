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
from arcwise.softmax.chunk import Centres, KnownLengths
from arcwise.softmax.exponentials import Exponentials
from arcwise.softmax.outcome import Softened, embedding_gradient
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.rule import Rule
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
        chunk: classes at a time; None for four a sample, within reason.
        budget: bytes that ``keep="auto"`` may spend.
    """

    keep: Keep = "auto"
    gradients: Precision = "fp32"
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
        self._product = torch.bfloat16 if how.gradients == "bf16" else problem.x.dtype
        dtype = how.kept(problem) if gradients else None
        size = len(problem.x) * len(problem.centres)
        self._kept = None if dtype is None else workspace.take(size, dtype, problem.x.device)
        self._shifts: list[Tensor] = []
        self._lengths = KnownLengths(problem)
        self._chunk = problem.chunk(how.chunk)
        self._exponentials = Exponentials(problem, self._chunk)

        pull = torch.zeros_like(problem.x)
        for chunk in problem.chunks(self._chunk):
            centres = Centres.of(problem, chunk)
            place = None if self._kept is None else self._place(chunk)
            weights, gain, fade = self._exponentials.first(chunk, centres, place)
            self._lengths.note(chunk, centres.lengths)
            self._shifts.append(self._exponentials.shift.current)
            if gradients:
                if fade is not None:
                    pull *= fade[:, None].to(pull.dtype)
                weights = gain.carry(weights).mul_(centres.inverse)
                if place is not None and place.data_ptr() != weights.data_ptr():
                    weights = place.copy_(weights)
                self._multiply(weights, centres.rows, pull)
        if self._kept is not None:
            self._exponentials.free()
        self._shift = self._exponentials.shift.current
        log_others = self._shift.double() + self._exponentials.total.log()
        self._softened = Softened.of(problem, log_others)
        self.loss = self._softened.loss
        if gradients:
            factor = torch.exp(self._shift.double() - self._softened.log_total)
            pull *= factor[:, None].to(pull.dtype)
            self._gradient = embedding_gradient(problem, self._softened, pull)

    def embedding_gradient(self) -> Tensor:
        """(N, D), there since the first sweep."""
        return self._gradient

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """The second sweep."""
        finished = CentreGradients(self.problem, self._softened, self._chunk)
        for chunk, centres, sums in self._sums(finished.out):
            yield chunk.rows, finished.finish(chunk, centres, sums)

    def step_centres(self, centres: Tensor, momentum: Tensor | None, rule: Rule) -> None:
        """The second sweep, moving each chunk's centres before it goes on."""
        finished = CentreGradients(self.problem, self._softened, self._chunk)
        for chunk, rows, sums in self._sums(finished.out):
            finished.step(chunk, rows, sums, rule, centres, momentum)

    def _sums(self, out: Tensor) -> Iterator[tuple[Chunk, Centres, Tensor]]:
        """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
        problem = self.problem
        per_sample = problem.scale / max(len(problem.x), 1)
        x, before = problem.x, None
        for i, chunk in enumerate(problem.chunks(self._chunk)):
            centres = Centres.of(problem, chunk, self._lengths.of(chunk))
            under = self._shift if self._kept is None else self._shifts[i]
            if under is not before:
                share = per_sample * torch.exp(under.double() - self._softened.log_total)
                x = (problem.x * share[:, None].to(problem.x.dtype)).to(self._product)
                before = under
            weights = self._recall(chunk, centres)
            sums = out[: len(centres.rows)]
            if weights.dtype == sums.dtype == x.dtype:
                torch.mm(weights.T, x, out=sums)
            else:
                sums.copy_(weights.to(x.dtype).T @ x)
            yield chunk, centres, sums
        self.workspace.give(self._kept)
        self._kept = None

    def _recall(self, chunk: Chunk, centres: Centres) -> Tensor:
        if self._kept is not None:
            return self._place(chunk)
        weights, gain = self._exponentials.again(chunk, centres, self._shift)
        return gain.carry(weights).mul_(centres.inverse)

    def _place(self, chunk: Chunk) -> Tensor:
        assert self._kept is not None
        n, start, width = len(self.problem.x), chunk.rows.start, chunk.rows.stop - chunk.rows.start
        return self._kept[n * start : n * (start + width)].view(n, width)

    def _multiply(self, weights: Tensor, rows: Tensor, pull: Tensor) -> None:
        if weights.dtype == rows.dtype == self._product:
            pull.addmm_(weights, rows)
        else:
            pull += weights.to(self._product) @ rows.to(self._product)
