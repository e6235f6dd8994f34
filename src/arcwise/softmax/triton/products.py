"""Products of matrices that are summed in float32, whatever the factors are stored in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """`out`, float32, made a @ b."""
    if a.dtype == out.dtype:
        with _rounding("ieee"):
            return torch.mm(a, b, out=out)
    if _widens(out.device):
        return torch.mm(a, b, out_dtype=out.dtype, out=out)
    with _rounding("tf32"):  # which holds 16-bit factors as they are
        return torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)


def accumulate(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """`out`, float32, plus a @ b."""
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
    """What float32 products do with their factors, whatever the user has chosen elsewhere."""
    matmul = torch.backends.cuda.matmul
    name = "fp32_precision"
    wanted: object = precision
    if not hasattr(matmul, name):  # torch before 2.9
        name, wanted = "allow_tf32", precision == "tf32"
    before = getattr(matmul, name)
    setattr(matmul, name, wanted)
    try:
        yield
    finally:
        setattr(matmul, name, before)
