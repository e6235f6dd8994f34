"""How matrices are divided among programs, and programs started."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

NUMBERS = 2048
"""Numbers a program holds of each matrix: 16 a thread, at four warps."""


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
