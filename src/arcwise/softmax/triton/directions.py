"""A chunk's centres → their directions, one read of the centres."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from arcwise.softmax.triton.tiles import launch, tile, tiles
from arcwise.sphere import TINY

_TINY = tl.constexpr(TINY)


@triton.jit
def direction(rows):
    """(B, D) float32 → (B, D) of length 1 and (B, 1) 1/length; 0 for a zero row.

    As `arcwise.sphere.unit`: no square overflows or vanishes, and a NaN stays one.
    """
    largest = tl.max(tl.abs(rows), axis=1, keep_dims=True)  # may well not see a NaN
    largest = tl.where(largest > _TINY, largest, 1.0)
    scaled = rows / largest
    length = tl.sqrt(tl.sum(scaled * scaled, axis=1, keep_dims=True))
    alive = ~(length <= _TINY)
    inverse = tl.where(alive, 1.0 / tl.where(alive, length, 1.0), 0.0)
    return scaled * inverse, inverse / largest


@triton.jit(do_not_specialize=["count"])
def _directions(centres, fine, wide, count, dim, ROWS: tl.constexpr, DIM: tl.constexpr):
    _, _, at, inside = tile(count, dim, ROWS, DIM)
    rows = tl.load(centres + at, mask=inside, other=0.0).to(tl.float32)
    unit, _ = direction(rows)
    tl.store(fine + at, unit.to(fine.dtype.element_ty), mask=inside)
    if wide is not None:
        tl.store(wide + at, unit.to(wide.dtype.element_ty), mask=inside)


def directions(centres: Tensor, *dtypes: torch.dtype) -> tuple[Tensor, ...]:
    """(R, D) directions of (R, D) centres, rounded to each of one or two types."""
    centres = centres.contiguous()
    made = tuple(torch.empty_like(centres, dtype=dtype) for dtype in dtypes)
    grid, shape = tiles(centres)
    launch(_directions, grid, centres, made[0], made[1] if made[1:] else None, *shape)
    return made
