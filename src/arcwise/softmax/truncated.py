"""The exact loss, and a gradient without the entries that hardly count.

Most classes get a probability far below 1/C from a trained embedding. The first sweep is the exact
one, so every probability is known; only entries of at least τ go into the two gradient products,
which become sparse. What the others weigh together is known too, and reported: Partial FC's
sampled classes answer the same need with a gradient that is 20 to 90 % off, unknown by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.chunk import Centres, Gain, Lengths, logits
from arcwise.softmax.outcome import Softened, embedding_gradient
from arcwise.softmax.problem import Problem
from arcwise.softmax.shift import Shift
from arcwise.softmax.tangent import CentreGradients
from arcwise.softmax.workspace import Workspace

Below = Literal["drop", "roulette"]


@dataclass(frozen=True)
class Truncated:
    """How the pass is made; on a CPU.

    Attributes:
        tau: τ, the probability from which an entry of the gradient is kept as it is.
        below: what becomes of entries under τ. ``"drop"`` leaves them out. ``"roulette"`` keeps
            one of probability p with chance p/τ, as τ: the gradient then is right on average. Its
            random choices come from torch's global generator.
        chunk: classes at a time.
    """

    tau: float = 3e-5
    below: Below = "drop"
    chunk: int = 1024

    def __post_init__(self) -> None:
        if not 0 <= self.tau < 1:
            raise ArcwiseError(f"Truncated: tau={self.tau!r}; expected a probability, 0 or more")
        if self.below not in get_args(Below):
            raise ArcwiseError(f'Truncated: below={self.below!r}; expected "drop" or "roulette"')
        if self.chunk < 1:
            raise ArcwiseError(f"Truncated: chunk={self.chunk!r}; expected at least 1 class")

    def run(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> TruncatedPass:
        """The exact sweep, then the sparse products; `gradients=False` where the loss is all."""
        if problem.x.device.type != "cpu":
            raise ArcwiseError(
                f"Truncated: the embeddings are on {problem.x.device}; it computes on a CPU: "
                'expected impl="auto" there'
            )
        return TruncatedPass(self, problem, gradients)


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
        n, width = len(problem.x), min(how.chunk, problem.classes) * problem.subcentres
        buffer = problem.x.new_empty(n * width)
        fate = torch.rand(n, 1, dtype=problem.x.dtype) if how.below == "roulette" else None
        shift = Shift.for_(problem)
        total = problem.x.new_zeros(n, dtype=torch.float64)
        found: list[Entries] = []
        self._lengths: list[Lengths] = []
        for chunk in problem.chunks(how.chunk):
            centres = Centres.of(problem, chunk)
            self._lengths.append(centres.lengths)
            out = buffer[: n * len(centres.rows)].view(n, len(centres.rows))
            z, gain = logits(problem, chunk, centres, out)
            fade = shift.cover(z)
            if fade is not None:
                total *= fade
            exponentials = z.sub_(shift.current[:, None]).exp_()
            total += exponentials.sum(1)
            if gradients:
                # The sum so far bounds the whole one from below: nothing of at least τ is missed.
                so_far = total + torch.exp(problem.target.logit - shift.current)
                least = (how.tau * so_far).to(exponentials.dtype)[:, None]
                found.append(Entries.of(exponentials, shift.current, least, gain, fate))
        self._softened = Softened.of(problem, shift.current.double() + total.log())
        self.loss = self._softened.loss
        if gradients:
            self._truncate(found)

    def embedding_gradient(self) -> Tensor:
        """(N, D), there since the truncation."""
        return self._gradient

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """The sparse products with the samples."""
        problem = self.problem
        finished = CentreGradients(problem, self._softened, self.how.chunk)
        x = (problem.x * (problem.scale / max(len(problem.x), 1))).numpy()
        chunks = zip(problem.chunks(self.how.chunk), self._lengths, self._weights, strict=True)
        for chunk, lengths, weights in chunks:
            centres = Centres.of(problem, chunk, lengths)
            yield chunk.rows, finished.finish(chunk, centres, torch.from_numpy(weights.T @ x))

    def _truncate(self, found: list[Entries]) -> None:
        """Settle, now that probabilities are known, which of the entries found are kept."""
        problem, n = self.problem, len(self.problem.x)
        pull = torch.zeros_like(problem.x)
        certain = np.zeros(n)
        self._weights: list[csr_array] = []
        chunks = zip(problem.chunks(self.how.chunk), self._lengths, found, strict=True)
        for chunk, lengths, entries in chunks:
            probabilities = entries.probabilities(self._softened.log_total)
            kept = probabilities >= self.how.tau
            certain += np.bincount(entries.samples[kept], probabilities[kept], n)
            if self.how.below == "roulette":
                chance = torch.rand(len(kept)).numpy() * self.how.tau
                kept |= chance < probabilities
                probabilities = np.maximum(probabilities, self.how.tau)
            centres = Centres.of(problem, chunk, lengths)
            weights = entries.weights(kept, probabilities, centres.inverse.numpy(), n)
            self._weights.append(weights)
            pull += torch.from_numpy(weights @ centres.rows.numpy())
        self._gradient = embedding_gradient(problem, self._softened, pull)
        dropped = (self._softened.rest.numpy() - certain).clip(0)
        self.report = {
            "dropped": float(dropped.mean()) if n else 0.0,
            "dropped_most": float(dropped.max(initial=0.0)),
            "kept": sum(w.nnz for w in self._weights) / max(n * problem.classes, 1),
        }


@dataclass(frozen=True)
class Entries:
    """Those of a chunk's (n, B) exponentials that may be kept, sample by sample.

    Attributes:
        samples: (E,) ascending.
        columns: (E,) rows of the chunk's centres.
        values: (E,) exponentials.
        slopes: (E,) of the logits by their cosines, or None for 1.
        shift: (n,) what was taken from the logits.
    """

    samples: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    slopes: np.ndarray | None
    shift: Tensor

    @classmethod
    def of(
        cls, exponentials: Tensor, shift: Tensor, least: Tensor, gain: Gain, fate: Tensor | None
    ) -> Entries:
        """Those of at least `least`, (n, 1); with `fate`, (n, 1), also one in e/least of the others.

        An entry survives if it reaches a random share of `least`, and counts as `least` then. One
        random number a class, turned by a sample's fate, is uniform for every entry.
        """
        reach = least
        if fate is not None:
            reach = (
                torch.rand(exponentials.shape[1], dtype=least.dtype).add(fate).frac_().mul_(least)
            )
        flat = np.flatnonzero((exponentials >= reach).numpy())
        samples, columns = np.divmod(flat.astype(np.int32), np.int32(exponentials.shape[1]))
        values = exponentials.view(-1).numpy()[flat]
        if fate is not None:
            values = np.maximum(values, least.numpy()[samples, 0])
        slopes = None if gain.slope is None else gain.slope.reshape(-1).numpy()[flat]
        if gain.winner is not None:
            winner = gain.winner.reshape(-1).numpy()[flat]
            columns = (columns * gain.subcentres + winner).astype(np.int32)
        return cls(samples, columns, values, slopes, shift)

    def probabilities(self, log_total: Tensor) -> np.ndarray:
        """(E,) of each entry, from the (n,) log-sums over all classes."""
        factor = torch.exp(self.shift.double() - log_total).numpy().astype(self.values.dtype)
        return self.values * factor[self.samples]

    def weights(
        self, kept: np.ndarray, probabilities: np.ndarray, inverse: np.ndarray, n: int
    ) -> csr_array:
        """(n, R) weights of the chunk's rows: the probabilities kept, sloped and normalised."""
        samples, columns, values = self.samples[kept], self.columns[kept], probabilities[kept]
        values *= inverse[columns]
        if self.slopes is not None:
            values *= self.slopes[kept]
        starts = np.searchsorted(samples, np.arange(n + 1, dtype=np.int32)).astype(np.int32)
        return csr_array((values, columns, starts), shape=(n, len(inverse)))
