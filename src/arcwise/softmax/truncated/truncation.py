"""The exact loss, and a gradient without the entries that hardly count.

Most classes get a probability far below 1/C from a trained embedding. The first pass is the exact
one, so every probability is known. Only entries of at least τ go into the two gradient products,
which become sparse. The probability of the other entries is known too, and reported. Partial FC's
sampled classes meet the same need with a gradient that is off by 20 to 90 %, unknown by how much.
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
from arcwise.softmax.loss import CentreGradients, Rule, SoftmaxStatistics
from arcwise.softmax.negatives import CentreRows, ChunkedCentres, Exponentials, LogitDerivative
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.workspace import Workspace

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

    def first_pass(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> TruncatedPass:
        """Make the first pass: see `PassSettings`.

        Raises:
            ArcwiseError: the embeddings are not on a CPU, or numba is missing.
        """
        if problem.x.device.type != "cpu":
            raise ArcwiseError(
                f"Truncated: the embeddings are on {problem.x.device}; it computes on a CPU: "
                'expected impl="auto" there'
            )
        try:
            from arcwise.softmax.truncated import sparse
        except ImportError as error:
            raise ArcwiseError(
                f"Truncated: its loops are compiled by numba ({error}); "
                "pip install 'arcwise[train]' has it"
            ) from error
        return TruncatedPass(self, problem, gradients, sparse)


class TruncatedPass:
    """The passes over one problem: see `ClassPass`.

    Attributes:
        log_negatives: (n,) log-sum-exp of the negatives.
        metrics: ``dropped``, the probability whose gradient was left out (under roulette: left to
            chance), mean over the samples; ``dropped_most``, of the worst sample; ``kept``, entries
            kept as a share of N·C. The gradient of sample i is off by at most
            s/N · dropped_i/‖x_i‖, where no margin re-weights the negatives.
    """

    def __init__(
        self, settings: Truncated, problem: Problem, gradients: bool, sparse: ModuleType
    ) -> None:
        """Make the exact first pass, and remember the entries that may be kept."""
        self.metrics: dict[str, float] = {}
        self._settings = settings
        self._problem = problem
        self._sparse = sparse
        self._chunk_size = problem.chunk_size(settings.chunk)
        self._centres = ChunkedCentres(problem)
        self._candidates: list[Entries] = []
        self._weights: list[Sparse] = []
        exponentials = Exponentials(problem, self._chunk_size)
        row_random = self._random(len(problem.x))
        for chunk in problem.chunks(self._chunk_size):
            weights, derivative, _ = exponentials.accumulate(chunk, self._centres.first(chunk))
            if not gradients:
                continue
            # The sum so far bounds the whole one from below: nothing of at least τ is missed.
            maximum = exponentials.maximum.current
            so_far = exponentials.total + torch.exp(problem.target.logit - maximum)
            least = (settings.tau * so_far).to(weights.dtype).numpy()
            column_random = self._random(weights.shape[1])
            starts, columns, values = sparse.at_least(
                weights.numpy(), least, column_random, row_random
            )
            self._candidates.append(Entries.of(starts, columns, values, derivative, maximum))
            count = len(self._candidates)
            if settings.below == "drop" and count.bit_count() == 1:  # as the sum doubles
                self._candidates = [self._pruned(e, least, maximum) for e in self._candidates]
        self.log_negatives = exponentials.log_sum_exp

    def accumulator(self, softmax: SoftmaxStatistics) -> Tensor:
        """Return the sparse products with the centres, now that probabilities are known.

        This settles which entries are kept, and how much probability is dropped.
        """
        problem, n, tau = self._problem, len(self._problem.x), self._settings.tau
        accumulator = torch.zeros_like(problem.x)
        certain = np.zeros(n)
        self._candidates.reverse()
        for chunk in problem.chunks(self._chunk_size):
            entries = self._candidates.pop()  # gone as soon as it is settled
            centres = self._centres.again(chunk)
            factor = torch.exp(entries.maximum.double() - softmax.log_total)
            factor = factor.to(problem.x.dtype).numpy()
            weights = self._sparse.settle(
                entries.starts, entries.columns, entries.values, entries.derivatives, factor,
                factor.dtype.type(tau), self._random(len(entries.values)), centres.inverse.numpy(),
                certain,
            )  # fmt: skip
            self._weights.append(weights)
            self._sparse.add_product(*weights, centres.rows.numpy(), accumulator.numpy())
        dropped = (softmax.one_minus_p.numpy() - certain).clip(0)
        kept = sum(len(columns) for _, columns, _ in self._weights)
        self.metrics = {
            "dropped": float(dropped.mean()) if n else 0.0,
            "dropped_most": float(dropped.max(initial=0.0)),
            "kept": kept / max(n * problem.classes, 1),
        }
        return accumulator

    def centre_gradients(self, softmax: SoftmaxStatistics) -> Iterator[tuple[slice, Tensor]]:
        """Make the sparse products with the samples."""
        finish = CentreGradients(self._problem, softmax, self._chunk_size)
        for chunk, centres, sums in self._second_pass(finish.out):
            yield chunk.rows, finish.gradient(chunk, centres, sums)

    def step_centres(self, softmax: SoftmaxStatistics, rule: Rule, momentum: Tensor | None) -> None:
        """Make the same products, moving each chunk's centres before it goes on."""
        finish = CentreGradients(self._problem, softmax, self._chunk_size)
        for chunk, centres, sums in self._second_pass(finish.out):
            finish.step(chunk, centres, sums, rule, momentum)

    def _second_pass(self, out: Tensor) -> Iterator[tuple[Chunk, CentreRows, Tensor]]:
        """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
        problem = self._problem
        x = (problem.x * problem.scale_per_sample).numpy()
        for chunk, weights in zip(problem.chunks(self._chunk_size), self._weights, strict=True):
            centres = self._centres.again(chunk)
            sums = out[: chunk.width].zero_()
            self._sparse.add_transposed_product(*weights, x, sums.numpy())
            yield chunk, centres, sums

    def _pruned(self, entries: Entries, least: np.ndarray, maximum: Tensor) -> Entries:
        """Those of the entries that are at least (n,) `least` under another maximum."""
        least = least * torch.exp(maximum - entries.maximum).numpy()
        starts, columns, values, derivatives = self._sparse.prune(
            entries.starts, entries.columns, entries.values, entries.derivatives, least
        )
        return Entries(starts, columns, values, derivatives, entries.maximum)

    def _random(self, size: int) -> np.ndarray:
        """(size,) numbers in [0, 1) under roulette, else none."""
        size = size if self._settings.below == "roulette" else 0
        return torch.rand(size, dtype=self._problem.x.dtype).numpy()


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
