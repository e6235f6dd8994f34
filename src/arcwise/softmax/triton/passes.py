"""Two passes over the classes: between matrix products a chunk goes through three small kernels.

First pass: centres → directions [kernel]; cosines [product]; exponentials and their sums [kernel];
the embeddings' gradient accumulator [product]. Second: directions, cosines and exponentials once
more; sums over the samples [product]; the centres' gradient, or at once their SGD step [kernel].

With N samples, C centres and D dimensions a step is 8·N·C·D flops, four products. Memory has to
move 20·C·D bytes at least: float32 centres read in the first pass, and in the second read and
written as their momentum is. What stays within a chunk is 24·N·C bytes (cosines in float32 and
exponentials in 16 bits, each written and read in both passes) and 24·C·D bytes (directions, and
the sums in float32): for a chunk that fits the device's cache these do not reach its memory. At
N = 1024, C = 1,000,000, D = 512 that is 4.2 TFLOP, 10 GB and 37 GB. Extra memory is 6·(N + D) bytes
a class of the chunk, 0.15 GB there.

The host never waits for the device between the chunks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from arcwise.softmax.loss import Rule, SoftmaxStatistics
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.triton import kernels
from arcwise.softmax.triton.exponentials import chunk_exponentials
from arcwise.softmax.triton.kernels import TargetTerms


class TritonPass:
    """The passes over one problem: see `arcwise.softmax.flow.ClassPass`.

    Attributes:
        log_negatives: (n,) log-sum-exp of the negatives.
        metrics: empty, as there is no error but rounding.
    """

    def __init__(self, problem: Problem, gradients: bool, *, half: bool, chunk_size: int) -> None:
        """Make the first pass."""
        self.metrics: dict[str, float] = {}
        self._problem = problem
        self._cosine_type = torch.float16 if half else torch.float32
        self._gradient_type = torch.bfloat16 if half else torch.float32
        self._chunks = list(problem.chunks(chunk_size))
        self._widest = min(chunk_size, problem.classes) * problem.subcentres
        self._exponentials = chunk_exponentials(problem, chunk_size)

        x, accumulator = problem.x.to(self._cosine_type), torch.zeros_like(problem.x)
        cosines = self._buffer(torch.float32)
        weights = self._buffer(self._gradient_type) if gradients else None
        types = (self._cosine_type, self._gradient_type) if gradients else (self._cosine_type,)
        types = dict.fromkeys(types)
        for chunk in self._chunks:
            rows = kernels.directions(problem.centres[chunk.rows], *types)
            its_cosines = product(x, rows[0].T, self._part(cosines, chunk))
            its_weights = None if weights is None else self._part(weights, chunk)
            rescale = self._exponentials.accumulate(chunk, its_cosines, its_weights)
            if rescale is not None:
                accumulator *= rescale[:, None]
            if its_weights is not None:
                accumulate(its_weights, rows[-1], accumulator)
        self._accumulator = accumulator
        self._sums = self._exponentials.sums()
        self._maximum = self._exponentials.maximum.double()
        self.log_negatives = self._maximum + self._sums[0].log()

    def accumulator(self, softmax: SoftmaxStatistics) -> Tensor:
        """Return the products of the first pass, now that probabilities are known."""
        accumulator = self._accumulator
        del self._accumulator  # of no more use
        return accumulator.mul_(self._probability(softmax).float())

    def centre_gradients(self, softmax: SoftmaxStatistics) -> Iterator[tuple[slice, Tensor]]:
        """Make the second pass."""
        terms = self._target_terms(softmax)
        for chunk, sums in self._second_pass(softmax):
            kernels.gradient(sums, self._problem.centres[chunk.rows], terms, chunk)
            yield chunk.rows, sums

    def step_centres(self, softmax: SoftmaxStatistics, rule: Rule, momentum: Tensor | None) -> None:
        """Make the second pass, moving each chunk's centres before it goes on."""
        terms = self._target_terms(softmax)
        for chunk, sums in self._second_pass(softmax):
            velocity = None if momentum is None else momentum[chunk.rows]
            kernels.descend(sums, self._problem.centres[chunk.rows], velocity, terms, chunk, rule)

    def _second_pass(self, softmax: SoftmaxStatistics) -> Iterator[tuple[Chunk, Tensor]]:
        """Each chunk, and (R, D) sums over the samples to which its classes are negatives."""
        problem = self._problem
        x = problem.x.to(self._cosine_type)
        factor = (problem.scale_per_sample * self._probability(softmax)).float()
        samples = (problem.x * factor).to(self._gradient_type)
        cosines, weights = self._buffer(torch.float32), self._buffer(self._gradient_type)
        sums = problem.x.new_empty(self._widest, x.shape[1])
        for chunk in self._chunks:
            (rows,) = kernels.directions(problem.centres[chunk.rows], self._cosine_type)
            its_cosines = product(x, rows.T, self._part(cosines, chunk))
            its_weights = self._part(weights, chunk)
            self._exponentials.recompute(chunk, its_cosines, its_weights)
            yield chunk, product(its_weights.T, samples, sums[: len(rows)])

    def _probability(self, softmax: SoftmaxStatistics) -> Tensor:
        """(n, 1) float64 factor from exponentials, as they are stored, to probabilities."""
        factor = torch.exp(self._maximum - softmax.log_total) * rounding_correction(self._sums)
        return factor[:, None]

    def _target_terms(self, softmax: SoftmaxStatistics) -> TargetTerms:
        target = self._problem.target
        rows, order = target.row.sort(stable=True)
        derivative = -self._problem.scale_per_sample * softmax.one_minus_p * target.derivative
        return TargetTerms(rows, (derivative[:, None].float() * target.towards_sample)[order])

    def _buffer(self, dtype: torch.dtype) -> Tensor:
        return self._problem.x.new_empty(len(self._problem.x) * self._widest, dtype=dtype)

    def _part(self, buffer: Tensor, chunk: Chunk) -> Tensor:
        n = len(self._problem.x)
        return buffer[: n * chunk.width].view(n, chunk.width)


def rounding_correction(sums: Tensor) -> Tensor:
    """(n,) factor on a sample's stored weights that makes them sum to what they did unrounded.

    One class often has nearly all of the weight: its rounding would be the gradient's.

    Args:
        sums: (3, n), as `ChunkExponentials.sums` has them.
    """
    _, exact, stored = sums
    rounding = 2.0**-8
    return torch.where(stored == 0, 1.0, exact / stored).clamp(1 - rounding, 1 + rounding)


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Make `out`, float32, a @ b; it is summed in float32, whatever the factors are stored in."""
    if a.dtype == out.dtype:
        with _rounding("ieee"):
            return torch.mm(a, b, out=out)
    if _widens(out.device):
        return torch.mm(a, b, out_dtype=out.dtype, out=out)
    with _rounding("tf32"):  # which holds 16-bit factors as they are
        return torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)


def accumulate(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Add a @ b to `out`, float32; see `product`."""
    if a.dtype == out.dtype:
        with _rounding("ieee"):
            return out.addmm_(a, b)
    if _widens(out.device):
        return torch.addmm(out, a, b, out_dtype=out.dtype, out=out)
    with _rounding("tf32"):
        return out.addmm_(a.to(out.dtype), b.to(out.dtype))


@functools.cache
def _widens(device: torch.device) -> bool:
    """Whether this torch multiplies 16-bit matrices into float32 ones on the device."""
    if device.type != "cuda":
        return False
    try:
        for dtype in (torch.float16, torch.bfloat16):
            a = torch.ones(16, 16, dtype=dtype, device=device)
            out = torch.mm(a, a, out_dtype=torch.float32, out=a.float())
            torch.addmm(out, a, a, out_dtype=torch.float32, out=out)
    except (RuntimeError, TypeError):  # NotImplementedError is one
        return False
    return True


@contextmanager
def _rounding(precision: str) -> Iterator[None]:
    """Set what float32 products do with their factors, whatever the user has chosen elsewhere."""
    matmul = torch.backends.cuda.matmul
    name = "fp32_precision"
    setting: object = precision
    if not hasattr(matmul, name):  # torch before 2.9
        name, setting = "allow_tf32", precision == "tf32"
    before = getattr(matmul, name)
    setattr(matmul, name, setting)
    try:
        yield
    finally:
        setattr(matmul, name, before)
