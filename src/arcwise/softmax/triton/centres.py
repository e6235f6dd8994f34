"""A chunk's pulls → the gradient of its centres, or the centres after SGD has used it."""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from arcwise.softmax.problem import Chunk
from arcwise.softmax.rule import Rule
from arcwise.softmax.triton.directions import direction
from arcwise.softmax.triton.tiles import launch, tile, tiles

_MANY = tl.constexpr(256)


@dataclass(frozen=True)
class Debts:
    """What the samples pull their target centres by.

    Attributes:
        rows: (n,) the centres, ascending, so that each finds its own and always adds them up in
            the same order.
        pulls: (n, D) float32.
    """

    rows: Tensor
    pulls: Tensor


@triton.jit
def _before(targets, first, last, row):
    """The first of the ascending targets first..last-1 that is not below a row."""
    place = first
    for i in range(first, last, _MANY):
        at = i + tl.arange(0, _MANY)
        known = tl.load(targets + at, mask=at < last, other=row)
        place += tl.sum((known < row).to(tl.int32))
    return place


@triton.jit
def _tangent(
    pulls, centres, owed, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    """The tile's centres and their gradient, both float32."""
    row, column, at, inside = tile(count, dim, ROWS, DIM)
    w = tl.load(centres + at, mask=inside, other=0.0).to(tl.float32)
    pull = tl.load(pulls + at, mask=inside, other=0.0)
    top = start + tl.program_id(0) * ROWS
    for i in range(_before(targets, first, last, top), _before(targets, first, last, top + ROWS)):
        mine = tl.load(targets + i) == start + row
        debt = tl.load(owed + tl.cast(i, tl.int64) * dim + column, mask=column < dim, other=0.0)
        pull += tl.where(mine[:, None], debt[None, :], 0.0)
    unit, inverse = direction(w)
    along = tl.sum(pull * unit, axis=1, keep_dims=True)
    return w, (pull - along * unit) * inverse


@triton.jit(do_not_specialize=["first", "last", "start", "count"])
def _gradient(
    pulls, centres, owed, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    _, gradient = _tangent(
        pulls, centres, owed, targets, first, last, start, count, dim, ROWS, DIM
    )  # fmt: skip
    tl.store(pulls + at, gradient, mask=inside)


@triton.jit(do_not_specialize=["first", "last", "start", "count"])
def _descend(
    pulls, centres, owed, targets, first, last, start, count, dim,
    ROWS: tl.constexpr, DIM: tl.constexpr,
    momenta, multiple, lr, momentum, decay, NESTEROV: tl.constexpr, SPHERE: tl.constexpr,
):  # fmt: skip
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    w, gradient = _tangent(
        pulls, centres, owed, targets, first, last, start, count, dim, ROWS, DIM
    )  # fmt: skip
    step = multiple * gradient + decay * w
    if momenta is not None:
        moving = momentum * tl.load(momenta + at, mask=inside, other=0.0).to(tl.float32) + step
        tl.store(momenta + at, moving.to(momenta.dtype.element_ty), mask=inside)
        if NESTEROV:
            step += momentum * moving
        else:
            step = moving
    w -= lr * step
    if SPHERE:
        w, _ = direction(w)
    tl.store(centres + at, w.to(centres.dtype.element_ty), mask=inside)


def gradient(pulls: Tensor, centres: Tensor, debts: Debts, chunk: Chunk) -> None:
    """(R, D) pulls of the other samples become the gradient of (R, D) centres."""
    grid, shape = tiles(centres)
    launch(_gradient, grid, pulls, centres.contiguous(), *_owed(debts, chunk), *shape)


def descend(
    pulls: Tensor, centres: Tensor, momenta: Tensor | None, debts: Debts, chunk: Chunk, rule: Rule
) -> None:
    """(R, D) centres and their momentum move by a rule, in place; the gradient never exists."""
    grid, shape = tiles(centres)
    launch(
        _descend, grid, pulls, centres, *_owed(debts, chunk), *shape, momenta,
        *(float(number) for number in (rule.multiple, rule.lr, rule.momentum, rule.weight_decay)),
        rule.nesterov, rule.sphere,
    )  # fmt: skip


def _owed(debts: Debts, chunk: Chunk) -> tuple[Tensor, Tensor, int, int, int]:
    mine = chunk.samples
    return debts.pulls, debts.rows, mine.start, mine.stop, chunk.rows.start
