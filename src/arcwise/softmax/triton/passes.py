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
from dataclasses import dataclass, field

import torch
from torch import Tensor

from arcwise.softmax.loss import Rule, SoftmaxStatistics, embedding_gradient
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.triton import kernels
from arcwise.softmax.triton.exponentials import ChunkExponentials, chunk_exponentials
from arcwise.softmax.triton.kernels import TargetTerms


@dataclass(frozen=True)
class TritonContext:
    """What the second pass needs of the first: see `arcwise.softmax.function.Context`.

    Attributes:
        problem: the problem.
        softmax: its probabilities.
        embedding_gradient: (N, D) dL/dembeddings, or None without gradients.
        chunks: of the classes.
        exponentials: makes a chunk's exponentials again.
        probability: (n, 1) float64 factor from exponentials, as they are stored, to probabilities.
        half: whether products are in 16 bits.
        metrics: empty, as there is no error but rounding.
    """

    problem: Problem
    softmax: SoftmaxStatistics
    embedding_gradient: Tensor | None
    chunks: list[Chunk]
    exponentials: ChunkExponentials
    probability: Tensor
    half: bool
    metrics: dict[str, float] = field(default_factory=dict)


def forward(
    problem: Problem, gradients: bool, *, half: bool, chunk_size: int
) -> tuple[Tensor, TritonContext]:
    """The first pass: the loss, and what the second needs."""
    chunks = list(problem.chunks(chunk_size))
    exponentials = chunk_exponentials(problem, chunk_size)
    cosine_type, gradient_type = _types(half)
    types = dict.fromkeys((cosine_type, gradient_type) if gradients else (cosine_type,))
    x, accumulator = problem.x.to(cosine_type), torch.zeros_like(problem.x)
    cosines = _buffer(problem, chunks, torch.float32)
    weights = _buffer(problem, chunks, gradient_type) if gradients else None
    for chunk in chunks:
        rows = kernels.directions(problem.centres[chunk.rows], *types)
        its_cosines = product(x, rows[0].T, _part(cosines, chunk, problem))
        its_weights = None if weights is None else _part(weights, chunk, problem)
        rescale = exponentials.accumulate(chunk, its_cosines, its_weights)
        if rescale is not None:
            accumulator *= rescale[:, None]
        if its_weights is not None:
            accumulate(its_weights, rows[-1], accumulator)

    maximum, sums = exponentials.maximum.double(), exponentials.sums()
    softmax = SoftmaxStatistics.of(problem, maximum + sums[0].log())
    probability = torch.exp(maximum - softmax.log_total) * rounding_correction(sums)
    probability = probability[:, None]
    dx = None
    if gradients:
        accumulator *= probability.float()
        dx = embedding_gradient(problem, softmax, accumulator)
    ctx = TritonContext(problem, softmax, dx, chunks, exponentials, probability, half)
    return softmax.loss, ctx


def backward(ctx: TritonContext) -> Iterator[tuple[slice, Tensor]]:
    """The second pass: rows of the flat centres and their gradient, chunk by chunk."""
    terms = _target_terms(ctx)
    for chunk, sums in _second_pass(ctx):
        kernels.gradient(sums, ctx.problem.centres[chunk.rows], terms, chunk)
        yield chunk.rows, sums


def step(ctx: TritonContext, rule: Rule, momentum: Tensor | None) -> None:
    """The second pass, which moves the problem's centres and their momentum as it goes."""
    terms = _target_terms(ctx)
    for chunk, sums in _second_pass(ctx):
        velocity = None if momentum is None else momentum[chunk.rows]
        kernels.descend(sums, ctx.problem.centres[chunk.rows], velocity, terms, chunk, rule)


def _second_pass(ctx: TritonContext) -> Iterator[tuple[Chunk, Tensor]]:
    """Each chunk, and (R, D) sums over the samples to which its classes are negatives."""
    problem = ctx.problem
    cosine_type, gradient_type = _types(ctx.half)
    x = problem.x.to(cosine_type)
    samples = problem.x * (problem.scale_per_sample * ctx.probability).float()
    samples = samples.to(gradient_type)
    cosines = _buffer(problem, ctx.chunks, torch.float32)
    weights = _buffer(problem, ctx.chunks, gradient_type)
    sums = problem.x.new_empty(_widest(ctx.chunks), x.shape[1])
    for chunk in ctx.chunks:
        (rows,) = kernels.directions(problem.centres[chunk.rows], cosine_type)
        its_cosines = product(x, rows.T, _part(cosines, chunk, problem))
        its_weights = _part(weights, chunk, problem)
        ctx.exponentials.recompute(chunk, its_cosines, its_weights)
        yield chunk, product(its_weights.T, samples, sums[: len(rows)])


def _target_terms(ctx: TritonContext) -> TargetTerms:
    problem, target = ctx.problem, ctx.problem.target
    rows, order = target.row.sort(stable=True)
    derivative = -problem.scale_per_sample * ctx.softmax.one_minus_p * target.derivative
    return TargetTerms(rows, (derivative[:, None].float() * target.towards_sample)[order])


def rounding_correction(sums: Tensor) -> Tensor:
    """(n,) factor on a sample's stored weights that makes them sum to what they did unrounded.

    One class often has nearly all of the weight: its rounding would be the gradient's.

    Args:
        sums: (3, n), as `ChunkExponentials.sums` has them.
    """
    _, exact, stored = sums
    rounding = 2.0**-8
    return torch.where(stored == 0, 1.0, exact / stored).clamp(1 - rounding, 1 + rounding)


def _types(half: bool) -> tuple[torch.dtype, torch.dtype]:
    """Types of the cosines' and of the gradients' factors."""
    return (torch.float16, torch.bfloat16) if half else (torch.float32, torch.float32)


def _widest(chunks: list[Chunk]) -> int:
    return max((chunk.width for chunk in chunks), default=0)


def _buffer(problem: Problem, chunks: list[Chunk], dtype: torch.dtype) -> Tensor:
    return problem.x.new_empty(len(problem.x) * _widest(chunks), dtype=dtype)


def _part(buffer: Tensor, chunk: Chunk, problem: Problem) -> Tensor:
    n = len(problem.x)
    return buffer[: n * chunk.width].view(n, chunk.width)


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
