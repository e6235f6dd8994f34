"""The pass whose gradient products are sparse: see `arcwise.softmax.truncated`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arcwise.softmax import sparse
from arcwise.softmax.chunk import Centres, Gain, KnownLengths
from arcwise.softmax.exponentials import Exponentials
from arcwise.softmax.outcome import Softened, embedding_gradient
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.rule import Rule
from arcwise.softmax.tangent import CentreGradients
from arcwise.softmax.truncated import Truncated


class TruncatedPass:
    """One pass: see `arcwise.softmax.outcome.Pass`.

    Attributes:
        report: ``dropped``, the probability whose gradient was left out (under roulette: left to
            chance), mean over the samples; ``dropped_most``, of the worst sample; ``kept``, entries
            kept as a share of N·C. The gradient of sample i is off by at most
            s/N · dropped_i/‖x_i‖, where no margin re-weighs the other classes.
    """

    def __init__(self, how: Truncated, problem: Problem, gradients: bool) -> None:
        self.how = how
        self.problem = problem
        self.report: dict[str, float] = {}
        random = how.below == "roulette"
        fate = _random(random, len(problem.x), problem)
        self._chunk = problem.chunk(how.chunk)
        exponentials = Exponentials(problem, self._chunk)
        found: list[Entries] = []
        self._lengths = KnownLengths(problem)
        for chunk in problem.chunks(self._chunk):
            centres = Centres.of(problem, chunk)
            weights, gain, _ = exponentials.first(chunk, centres)
            self._lengths.note(chunk, centres.lengths)
            if gradients:
                # The sum so far bounds the whole one from below: nothing of at least τ is missed.
                shift = exponentials.shift.current
                so_far = exponentials.total + torch.exp(problem.target.logit - shift)
                least = (how.tau * so_far).to(weights.dtype).numpy()
                turn = _random(random, weights.shape[1], problem)
                kept = sparse.at_least(weights.numpy(), least, turn, fate)
                found.append(Entries.of(*kept, gain, shift))
                if how.below == "drop" and len(found).bit_count() == 1:  # as the sum doubles
                    found = [entries.at_least(least, shift) for entries in found]
        log_others = exponentials.shift.current.double() + exponentials.total.log()
        self._softened = Softened.of(problem, log_others)
        self.loss = self._softened.loss
        if gradients:
            self._truncate(found)

    def embedding_gradient(self) -> Tensor:
        """(N, D), there since the truncation."""
        return self._gradient

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """The sparse products with the samples."""
        finished = CentreGradients(self.problem, self._softened, self._chunk)
        for chunk, centres, sums in self._sums(finished.out):
            yield chunk.rows, finished.finish(chunk, centres, sums)

    def step_centres(self, centres: Tensor, momentum: Tensor | None, rule: Rule) -> None:
        """The same, moving each chunk's centres before it goes on."""
        finished = CentreGradients(self.problem, self._softened, self._chunk)
        for chunk, rows, sums in self._sums(finished.out):
            finished.step(chunk, rows, sums, rule, centres, momentum)

    def _sums(self, out: Tensor) -> Iterator[tuple[Chunk, Centres, Tensor]]:
        """Chunk by chunk, its centres and (R, D) sums over the samples, in the memory `out`."""
        problem = self.problem
        x = (problem.x * (problem.scale / max(len(problem.x), 1))).numpy()
        for chunk, weights in zip(problem.chunks(self._chunk), self._weights, strict=True):
            centres = Centres.of(problem, chunk, self._lengths.of(chunk))
            sums = out[: len(centres.rows)].zero_()
            sparse.add_transposed_product(*weights, x, sums.numpy())
            yield chunk, centres, sums

    def _truncate(self, found: list[Entries]) -> None:
        """Settle, now that probabilities are known, which of the entries found are kept."""
        problem, n = self.problem, len(self.problem.x)
        pull = torch.zeros_like(problem.x)
        certain = np.zeros(n)
        self._weights: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        found.reverse()
        for chunk in problem.chunks(self._chunk):
            entries = found.pop()  # gone as soon as it is settled
            lengths = self._lengths.of(chunk)
            centres = Centres.of(problem, chunk, lengths)
            factor = torch.exp(entries.shift.double() - self._softened.log_total).to(pull.dtype)
            chance = _random(self.how.below == "roulette", len(entries.values), problem)
            weights = sparse.settle(
                entries.starts, entries.columns, entries.values, entries.slopes, factor.numpy(),
                factor.numpy().dtype.type(self.how.tau), chance, lengths.inverse.numpy(), certain,
            )  # fmt: skip
            self._weights.append(weights)
            sparse.add_product(*weights, centres.rows.numpy(), pull.numpy())
        self._gradient = embedding_gradient(problem, self._softened, pull)
        dropped = (self._softened.rest.numpy() - certain).clip(0)
        self.report = {
            "dropped": float(dropped.mean()) if n else 0.0,
            "dropped_most": float(dropped.max(initial=0.0)),
            "kept": sum(len(columns) for _, columns, _ in self._weights)
            / max(n * problem.classes, 1),
        }


@dataclass(frozen=True)
class Entries:
    """Those of a chunk's (n, B) exponentials that may be kept, sample by sample.

    Attributes:
        starts: (n + 1,) where the entries of each sample begin.
        columns: (E,) rows of the chunk's centres.
        values: (E,) exponentials.
        slopes: (E,) of the logits by their cosines; none where they are 1.
        shift: (n,) what was taken from the logits.
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    shift: Tensor

    @classmethod
    def of(
        cls, starts: np.ndarray, columns: np.ndarray, values: np.ndarray, gain: Gain, shift: Tensor
    ) -> Entries:
        """Entries of which the columns are classes of the chunk."""
        slopes = values[:0]
        if gain.slope is not None or gain.winner is not None:
            samples = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            classes = columns
            if gain.slope is not None:
                slopes = gain.slope.numpy()[samples, classes]
            if gain.winner is not None:
                winner = gain.winner.numpy()[samples, classes]
                columns = (classes * gain.subcentres + winner).astype(np.int32)
        return cls(starts, columns, values, slopes, shift)

    def at_least(self, least: np.ndarray, shift: Tensor) -> Entries:
        """Those of at least (n,) `least` under another shift."""
        least = least * torch.exp(shift - self.shift).numpy()
        kept = sparse.prune(self.starts, self.columns, self.values, self.slopes, least)
        return Entries(*kept, self.shift)


def _random(wanted: bool, size: int, problem: Problem) -> np.ndarray:
    """(size,) numbers in [0, 1), or none."""
    return torch.rand(size if wanted else 0, dtype=problem.x.dtype).numpy()
