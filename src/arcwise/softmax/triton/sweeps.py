"""Two sweeps over the classes: between matrix products a chunk goes through three small kernels.

First sweep: centres → directions [kernel]; cosines [product]; exponentials and their sums [kernel];
the embeddings' pull [product]. Second: directions, cosines and exponentials once more; the centres'
pull [product]; their gradient, or at once their SGD step [kernel].

With N samples, C centres and D dimensions a step is 8·N·C·D flops, four products. Memory has to
move 20·C·D bytes at least: float32 centres read in the first sweep, and in the second read and
written as their momentum is. What stays within a chunk is 24·N·C bytes (cosines in float32 and
exponentials in 16 bits, each written and read in both sweeps) and 24·C·D bytes (directions, and
the pulls in float32): for a chunk that fits the device's cache these do not reach its memory. At
N = 1024, C = 1,000,000, D = 512 that is 4.2 TFLOP, 10 GB and 37 GB. Extra memory is 6·(N + D) bytes
a class of the chunk, 0.15 GB there.

The host never waits for the device between the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from arcwise.softmax.outcome import Softened, embedding_gradient
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.rule import Rule
from arcwise.softmax.triton.centres import Debts, descend, gradient
from arcwise.softmax.triton.directions import directions
from arcwise.softmax.triton.products import accumulate, product
from arcwise.softmax.triton.weights import mending, weigher


class TritonPass:
    """One pass: see `arcwise.softmax.outcome.Pass`."""

    report: dict[str, float] = {}  # noqa: RUF012 - nothing to report but rounding

    def __init__(self, problem: Problem, gradients: bool, *, half: bool, chunk: int) -> None:
        self.problem = problem
        self._fine = torch.float16 if half else torch.float32
        self._wide = torch.bfloat16 if half else torch.float32
        self._rows = min(chunk, problem.classes) * problem.subcentres
        self._chunks = list(problem.chunks(chunk))
        self._weigher = weigher(problem, chunk)
        pull = self._first_sweep(gradients)
        shift, sums = self._weigher.shift.double(), self._weigher.sums()
        self._softened = Softened.of(problem, shift + sums[0].log())
        self.loss = self._softened.loss
        self._share = (torch.exp(shift - self._softened.log_total) * mending(sums))[:, None]
        if gradients:
            pull *= self._share.float()
            self._gradient = embedding_gradient(problem, self._softened, pull)

    def embedding_gradient(self) -> Tensor:
        """(N, D), there since the first sweep."""
        return self._gradient

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """The second sweep."""
        debts = self._debts()
        for chunk, pulls in self._second_sweep():
            gradient(pulls, self.problem.centres[chunk.rows], debts, chunk)
            yield chunk.rows, pulls

    def step_centres(self, centres: Tensor, momentum: Tensor | None, rule: Rule) -> None:
        """The second sweep, which moves (C·K, D) centres and their momentum as it goes."""
        debts = self._debts()
        for chunk, pulls in self._second_sweep():
            moving = None if momentum is None else momentum[chunk.rows]
            descend(pulls, centres[chunk.rows], moving, debts, chunk, rule)

    def _first_sweep(self, gradients: bool) -> Tensor:
        """(n, D) what the classes that are not its own pull each sample by, but for a factor."""
        x, pull = self.problem.x.to(self._fine), torch.zeros_like(self.problem.x)
        cosines = self._buffer(torch.float32)
        weights = self._buffer(self._wide) if gradients else None
        types = dict.fromkeys((self._fine, self._wide) if gradients else (self._fine,))
        for chunk in self._chunks:
            rows = directions(self.problem.centres[chunk.rows], *types)
            its_cosines = product(x, rows[0].T, self._part(cosines, chunk))
            its_weights = None if weights is None else self._part(weights, chunk)
            fade = self._weigher.first(chunk, its_cosines, its_weights)
            if fade is not None:
                pull *= fade[:, None]
            if its_weights is not None:
                accumulate(its_weights, rows[-1], pull)
        return pull

    def _second_sweep(self) -> Iterator[tuple[Chunk, Tensor]]:
        """Each chunk, and (R, D) what the samples that are not its own pull its directions by."""
        x = self.problem.x.to(self._fine)
        samples = (self.problem.x * (self._per_sample * self._share).float()).to(self._wide)
        cosines, weights = self._buffer(torch.float32), self._buffer(self._wide)
        pulls = self.problem.x.new_empty(self._rows, x.shape[1])
        for chunk in self._chunks:
            (rows,) = directions(self.problem.centres[chunk.rows], self._fine)
            its_cosines = product(x, rows.T, self._part(cosines, chunk))
            its_weights = self._part(weights, chunk)
            self._weigher.again(chunk, its_cosines, its_weights)
            yield chunk, product(its_weights.T, samples, pulls[: len(rows)])

    def _debts(self) -> Debts:
        target = self.problem.target
        rows, order = target.row.sort(stable=True)
        owed = (-self._per_sample * self._softened.rest * target.slope)[:, None]
        return Debts(rows, (owed.float() * target.towards_sample)[order])

    @property
    def _per_sample(self) -> float:
        return self.problem.scale / max(len(self.problem.x), 1)

    def _buffer(self, dtype: torch.dtype) -> Tensor:
        return self.problem.x.new_empty(len(self.problem.x) * self._rows, dtype=dtype)

    def _part(self, buffer: Tensor, chunk: Chunk) -> Tensor:
        n, width = len(self.problem.x), chunk.rows.stop - chunk.rows.start
        return buffer[: n * width].view(n, width)
