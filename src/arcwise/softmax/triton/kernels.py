"""The kernels between the products, each over one chunk of classes.

Centres → their directions. Cosines → exponentials of the logits, and their sums. Sums over the
samples → the gradient of the centres, or the centres after SGD has used it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from arcwise.softmax.loss import Rule
from arcwise.softmax.problem import Chunk, Problem
from arcwise.sphere import TINY

NUMBERS = 2048
"""Numbers a program holds of each matrix: 16 a thread, at four warps."""

SPAN = 2048
"""Classes a program of the exponentials holds."""

_TINY = tl.constexpr(TINY)
_MANY = tl.constexpr(256)


@triton.jit
def tile(count, dim, ROWS: tl.constexpr, DIM: tl.constexpr):
    """This program's rows and columns of a (count, dim) matrix, where they lie, and which exist."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, DIM)
    at = row[:, None].to(tl.int64) * dim + column[None, :]
    return row, column, at, (row < count)[:, None] & (column < dim)[None, :]


def tiles(rows: Tensor) -> tuple[tuple[int], tuple[int, int, int, int]]:
    """Tiles of (R, D) rows, whole rows each: the grid, and the arguments of `tile`."""
    count, dim = rows.shape
    width = power_of_two(dim)
    height = max(1, NUMBERS // width)
    return (-(-count // height),), (count, dim, height, width)


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any) -> None:
    """Start a kernel on the device of its first argument, a tensor."""
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, enable_fp_fusion=True)


def power_of_two(number: int) -> int:
    """The smallest that is not smaller."""
    return 1 << max(number - 1, 0).bit_length()


@triton.jit
def direction(rows):
    """(B, D) float32 → (B, D) of length 1 and (B, 1) 1/length; 0 for a zero row.

    As `arcwise.sphere.unit`: no square overflows or vanishes, and a NaN stays one.
    """
    largest = tl.max(tl.abs(rows), axis=1, keep_dims=True)  # may well not see a NaN
    largest = tl.where(largest > _TINY, largest, 1.0)
    scaled = rows / largest
    length = tl.sqrt(tl.sum(scaled * scaled, axis=1, keep_dims=True))
    nonzero = ~(length <= _TINY)
    inverse = tl.where(nonzero, 1.0 / tl.where(nonzero, length, 1.0), 0.0)
    return scaled * inverse, inverse / largest


@triton.jit(do_not_specialize=["count"])
def _directions(centres, first, second, count, dim, ROWS: tl.constexpr, DIM: tl.constexpr):
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    rows = tl.load(centres + at, mask=inside, other=0.0).to(tl.float32)
    unit, _ = direction(rows)
    tl.store(first + at, unit.to(first.dtype.element_ty), mask=inside)
    if second is not None:
        tl.store(second + at, unit.to(second.dtype.element_ty), mask=inside)


def directions(centres: Tensor, *dtypes: torch.dtype) -> tuple[Tensor, ...]:
    """(R, D) directions of (R, D) centres, rounded to each of one or two types."""
    centres = centres.contiguous()
    made = tuple(torch.empty_like(centres, dtype=dtype) for dtype in dtypes)
    grid, shape = tiles(centres)
    launch(_directions, grid, centres, made[0], made[1] if made[1:] else None, *shape)
    return made


@triton.jit(do_not_specialize=["start", "samples"])
def _exponentials(
    cosines, labels, maximum, offsets, weights, sums, rounded,
    scale, start, samples, classes, SUBCENTRES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    sample, part = tl.program_id(0), tl.program_id(1)
    each = part * BLOCK + tl.arange(0, BLOCK)
    inside = each < classes
    at = (sample.to(tl.int64) * classes + each) * SUBCENTRES
    cosine = tl.load(cosines + at, mask=inside, other=0.0)
    nearest = tl.zeros_like(each)
    for k in tl.static_range(1, SUBCENTRES):
        another = tl.load(cosines + at + k, mask=inside, other=0.0)
        nearest = tl.where(another > cosine, k, nearest)
        cosine = tl.maximum(cosine, another, propagate_nan=tl.PropagateNan.ALL)
    z = scale * cosine
    if offsets is not None:
        z += tl.load(offsets + start + each, mask=inside, other=0.0)
    negative = inside & (start + each != tl.load(labels + sample))
    weight = tl.where(negative, tl.exp(z - tl.load(maximum + sample)), 0.0)
    if sums is not None:
        tl.store(sums + part * samples + sample, tl.sum(weight))
    if weights is not None:
        stored = weight.to(weights.dtype.element_ty)
        for k in tl.static_range(SUBCENTRES):
            tl.store(weights + at + k, tl.where(nearest == k, stored, 0.0), mask=inside)
        if rounded is not None:
            tl.store(rounded + part * samples + sample, tl.sum(stored.to(tl.float32)))


def exponentials(
    problem: Problem,
    chunk: Chunk,
    cosines: Tensor,
    maximum: Tensor,
    weights: Tensor | None,
    sums: tuple[Tensor, Tensor] | None,
) -> None:
    """Exponentials of the logits less (n,) maximum, 0 for a target and a sub-centre not nearest.

    Args:
        problem: whose margin leaves the cosines to the negatives as they are.
        chunk: the classes.
        cosines: (n, R) float32.
        maximum: (n,) float32.
        weights: (n, R) for the exponentials, or None.
        sums: (parts(B), n) float32 twice, or None: for what the parts of the chunk sum to, and what
            they sum to as they are stored in `weights`.
    """
    classes, samples = chunk.end - chunk.start, len(cosines)
    block = min(SPAN, power_of_two(classes))
    offsets = problem.offsets
    launch(
        _exponentials, (samples, -(-classes // block)),
        cosines, problem.labels, maximum, None if offsets is None else offsets.contiguous(),
        weights, *(sums or (None, None)),
        float(problem.scale), chunk.start, samples, classes, problem.subcentres, block,
    )  # fmt: skip


def parts(classes: int) -> int:
    """Into how many parts a chunk's sums are divided."""
    return -(-classes // SPAN)


@dataclass(frozen=True)
class TargetTerms:
    """The samples' terms in the sums of their target centres.

    Attributes:
        rows: (n,) the centres, ascending, so that each centre's terms are in one place and always
            added in the same order.
        terms: (n, D) float32.
    """

    rows: Tensor
    terms: Tensor


@triton.jit
def _before(targets, first, last, row):
    """The first of the ascending targets first..last-1 that is not below a row."""
    place = first
    for i in range(first, last, _MANY):
        at = i + tl.arange(0, _MANY)
        loaded = tl.load(targets + at, mask=at < last, other=row)
        place += tl.sum((loaded < row).to(tl.int32))
    return place


@triton.jit
def _tangent(
    sums, centres, terms, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    """The tile's centres and their gradient, both float32."""
    row, column, at, inside = tile(count, dim, ROWS, DIM)
    w = tl.load(centres + at, mask=inside, other=0.0).to(tl.float32)
    h = tl.load(sums + at, mask=inside, other=0.0)
    top = start + tl.program_id(0) * ROWS
    for i in range(_before(targets, first, last, top), _before(targets, first, last, top + ROWS)):
        own = tl.load(targets + i) == start + row
        term = tl.load(terms + tl.cast(i, tl.int64) * dim + column, mask=column < dim, other=0.0)
        h += tl.where(own[:, None], term[None, :], 0.0)
    unit, inverse = direction(w)
    along = tl.sum(h * unit, axis=1, keep_dims=True)
    return w, (h - along * unit) * inverse


@triton.jit(do_not_specialize=["first", "last", "start", "count"])
def _gradient(
    sums, centres, terms, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    _, gradient = _tangent(
        sums, centres, terms, targets, first, last, start, count, dim, ROWS, DIM
    )  # fmt: skip
    tl.store(sums + at, gradient, mask=inside)


@triton.jit(do_not_specialize=["first", "last", "start", "count"])
def _descend(
    sums, centres, terms, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
    velocities, multiple, lr, momentum, decay, NESTEROV: tl.constexpr, SPHERE: tl.constexpr,
):  # fmt: skip
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    w, gradient = _tangent(
        sums, centres, terms, targets, first, last, start, count, dim, ROWS, DIM
    )  # fmt: skip
    step = multiple * gradient + decay * w
    if velocities is not None:
        velocity = momentum * tl.load(velocities + at, mask=inside, other=0.0).to(tl.float32) + step
        tl.store(velocities + at, velocity.to(velocities.dtype.element_ty), mask=inside)
        if NESTEROV:
            step += momentum * velocity
        else:
            step = velocity
    w -= lr * step
    if SPHERE:
        w, _ = direction(w)
    tl.store(centres + at, w.to(centres.dtype.element_ty), mask=inside)


def gradient(sums: Tensor, centres: Tensor, terms: TargetTerms, chunk: Chunk) -> None:
    """Turn (R, D) sums over negatives into the gradient of (R, D) centres, in place."""
    grid, shape = tiles(centres)
    launch(_gradient, grid, sums, centres.contiguous(), *_of_chunk(terms, chunk), *shape)


def descend(
    sums: Tensor, centres: Tensor, velocities: Tensor | None, terms: TargetTerms, chunk: Chunk,
    rule: Rule,
) -> None:  # fmt: skip
    """Move (R, D) centres and their momentum by a rule, in place; the gradient never exists."""
    grid, shape = tiles(centres)
    launch(
        _descend, grid, sums, centres, *_of_chunk(terms, chunk), *shape, velocities,
        *(float(number) for number in (rule.multiple, rule.lr, rule.momentum, rule.weight_decay)),
        rule.nesterov, rule.sphere,
    )  # fmt: skip


def _of_chunk(terms: TargetTerms, chunk: Chunk) -> tuple[Tensor, Tensor, int, int, int]:
    """The arguments of `_tangent` that say where a chunk's targets are."""
    own = chunk.samples
    return terms.terms, terms.rows, own.start, own.stop, chunk.rows.start
