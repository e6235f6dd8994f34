"""The exact loss, and a gradient without the entries that hardly count.

Most classes get a probability far below 1/C from a trained embedding. The first pass is the exact
one, so every probability is known. Only entries of at least τ go into the two gradient products,
which become sparse. What the others weigh together is known too and is reported. Partial FC's
sampled classes answer the same need with a gradient that is 20 to 90 % off, unknown by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.loss import CentreGradients, Rule, SoftmaxStatistics, embedding_gradient
from arcwise.softmax.negatives import CentreRows, ChunkedCentres, Exponentials, LogitDerivative
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.streaming import Workspace

Below = Literal["drop", "roulette"]

Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Starts, columns and weights of a sparse matrix: see `arcwise.softmax.truncated.sparse`."""


@dataclass(frozen=True)
class Truncated:
    """How the pass is made; on a CPU.

    Attributes:
        tau: τ, the probability from which an entry of the gradient is kept as it is.
        below: what becomes of entries under τ. ``"drop"`` leaves them out. ``"roulette"`` keeps
            one of probability p with chance p/τ, as τ: the gradient then is right on average. Its
            random choices come from torch's global generator.
        chunk: classes at a time; None for four a sample, within reason.
    """

    tau: float = 3e-5
    below: Below = "drop"
    chunk: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tau < 1:
            raise ArcwiseError(f"Truncated: tau={self.tau!r}; expected a probability, 0 or more")
        if self.below not in get_args(Below):
            raise ArcwiseError(f'Truncated: below={self.below!r}; expected "drop" or "roulette"')
        if self.chunk is not None and self.chunk < 1:
            raise ArcwiseError(f"Truncated: chunk={self.chunk!r}; expected at least 1 class")

    def forward(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> tuple[Tensor, TruncatedContext]:
        """The exact first pass, then the sparse product with the centres; see `ClassPass`."""
        if problem.x.device.type != "cpu":
            raise ArcwiseError(
                f"Truncated: the embeddings are on {problem.x.device}; it computes on a CPU: "
                'expected impl="auto" there'
            )
        sparse = _compiled_loops()
        size = problem.chunk_size(self.chunk)
        centres, exponentials = ChunkedCentres(problem), Exponentials(problem, size)
        row_random = self._random(len(problem.x), problem)
        candidates: list[Entries] = []
        for chunk in problem.chunks(size):
            rows = centres.first(chunk)
            weights, derivative, _ = exponentials.accumulate(chunk, rows)
            if not gradients:
                continue
            # The sum so far bounds the whole one from below: nothing of at least τ is missed.
            maximum = exponentials.maximum.current
            so_far = exponentials.total + torch.exp(problem.target.logit - maximum)
            least = (self.tau * so_far).to(weights.dtype).numpy()
            column_random = self._random(weights.shape[1], problem)
            starts, columns, values = sparse.at_least(
                weights.numpy(), least, column_random, row_random
            )
            candidates.append(Entries.of(starts, columns, values, derivative, maximum))
            if self.below == "drop" and len(candidates).bit_count() == 1:  # as the sum doubles
                candidates = [entries.at_least(least, maximum) for entries in candidates]
        softmax = SoftmaxStatistics.of(problem, exponentials.log_sum_exp)
        ctx = TruncatedContext(problem, softmax, size, centres)
        if gradients:
            self._truncate(ctx, candidates)
        return softmax.loss, ctx

    def backward(self, ctx: TruncatedContext) -> Iterator[tuple[slice, Tensor]]:
        """The sparse products with the samples."""
        finish = CentreGradients(ctx.problem, ctx.softmax, ctx.chunk_size)
        for chunk, centres, sums in _second_pass(ctx, finish.out):
            yield chunk.rows, finish.gradient(chunk, centres, sums)

    def step(self, ctx: TruncatedContext, rule: Rule, momentum: Tensor | None) -> None:
        """The same, moving each chunk's centres before it goes on."""
        finish = CentreGradients(ctx.problem, ctx.softmax, ctx.chunk_size)
        for chunk, centres, sums in _second_pass(ctx, finish.out):
            finish.step(chunk, centres, sums, rule, momentum)

    def _truncate(self, ctx: TruncatedContext, candidates: list[Entries]) -> None:
        """Settle which entries are kept, now that probabilities are known; their gradient by x."""
        sparse = _compiled_loops()
        problem, n = ctx.problem, len(ctx.problem.x)
        accumulator = torch.zeros_like(problem.x)
        certain = np.zeros(n)
        candidates.reverse()
        for chunk in problem.chunks(ctx.chunk_size):
            entries = candidates.pop()  # gone as soon as it is settled
            centres = ctx.centres.again(chunk)
            factor = torch.exp(entries.maximum.double() - ctx.softmax.log_total).to(problem.x.dtype)
            chance = self._random(len(entries.values), problem)
            weights = sparse.settle(
                entries.starts, entries.columns, entries.values, entries.derivatives,
                factor.numpy(), factor.numpy().dtype.type(self.tau), chance,
                centres.inverse.numpy(), certain,
            )  # fmt: skip
            ctx.weights.append(weights)
            sparse.add_product(*weights, centres.rows.numpy(), accumulator.numpy())
        ctx.embedding_gradient = embedding_gradient(problem, ctx.softmax, accumulator)
        dropped = (ctx.softmax.one_minus_p.numpy() - certain).clip(0)
        ctx.metrics = {
            "dropped": float(dropped.mean()) if n else 0.0,
            "dropped_most": float(dropped.max(initial=0.0)),
            "kept": sum(len(columns) for _, columns, _ in ctx.weights)
            / max(n * problem.classes, 1),
        }

    def _random(self, size: int, problem: Problem) -> np.ndarray:
        """(size,) numbers in [0, 1) under roulette, else none."""
        size = size if self.below == "roulette" else 0
        return torch.rand(size, dtype=problem.x.dtype).numpy()


class TruncatedContext:
    """What the second pass needs of the first: see `Context`.

    Attributes:
        problem: the problem.
        softmax: its probabilities.
        chunk_size: classes at a time.
        centres: the centres, whose lengths have been measured.
        embedding_gradient: (N, D) dL/dembeddings, or None without gradients.
        weights: chunk by chunk, the entries that are kept.
        metrics: ``dropped``, the probability whose gradient was left out (under roulette: left to
            chance), mean over the samples; ``dropped_most``, of the worst sample; ``kept``, entries
            kept as a share of N·C. The gradient of sample i is off by at most
            s/N · dropped_i/‖x_i‖, where no margin re-weights the negatives.
    """

    def __init__(
        self, problem: Problem, softmax: SoftmaxStatistics, chunk_size: int, centres: ChunkedCentres
    ) -> None:
        self.problem = problem
        self.softmax = softmax
        self.chunk_size = chunk_size
        self.centres = centres
        self.embedding_gradient: Tensor | None = None
        self.weights: list[Sparse] = []
        self.metrics: dict[str, float] = {}


@dataclass(frozen=True)
class Entries:
    """Those of a chunk's (n, B) exponentials that may be kept, sample by sample.

    Attributes:
        starts: (n + 1,) where the entries of each sample begin.
        columns: (E,) rows of the chunk's centres.
        values: (E,) exponentials.
        derivatives: (E,) of the logits by their cosines; none where they are 1.
        maximum: (n,) what was taken from the logits.
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    derivatives: np.ndarray
    maximum: Tensor

    @classmethod
    def of(
        cls, starts: np.ndarray, columns: np.ndarray, values: np.ndarray,
        derivative: LogitDerivative, maximum: Tensor,
    ) -> Entries:  # fmt: skip
        """Entries of which the columns are classes of the chunk."""
        derivatives = values[:0]
        if derivative.derivative is not None or derivative.nearest is not None:
            samples = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            classes = columns
            if derivative.derivative is not None:
                derivatives = derivative.derivative.numpy()[samples, classes]
            if derivative.nearest is not None:
                nearest = derivative.nearest.numpy()[samples, classes]
                columns = (classes * derivative.subcentres + nearest).astype(np.int32)
        return cls(starts, columns, values, derivatives, maximum)

    def at_least(self, least: np.ndarray, maximum: Tensor) -> Entries:
        """Those of at least (n,) `least` under another maximum."""
        least = least * torch.exp(maximum - self.maximum).numpy()
        starts, columns, values, derivatives = _compiled_loops().prune(
            self.starts, self.columns, self.values, self.derivatives, least
        )
        return Entries(starts, columns, values, derivatives, self.maximum)


def _second_pass(ctx: TruncatedContext, out: Tensor) -> Iterator[tuple[Chunk, CentreRows, Tensor]]:
    """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
    problem, sparse = ctx.problem, _compiled_loops()
    x = (problem.x * problem.scale_per_sample).numpy()
    for chunk, weights in zip(problem.chunks(ctx.chunk_size), ctx.weights, strict=True):
        centres = ctx.centres.again(chunk)
        sums = out[: chunk.width].zero_()
        sparse.add_transposed_product(*weights, x, sums.numpy())
        yield chunk, centres, sums


def _compiled_loops() -> ModuleType:
    try:
        from arcwise.softmax.truncated import sparse
    except ImportError as error:
        raise ArcwiseError(
            f"Truncated: its loops are compiled by numba ({error}); "
            "pip install 'arcwise[train]' has it"
        ) from error
    return sparse
