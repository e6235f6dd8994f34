"""Batches, and the ways a loss over them is asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arcwise import margin_softmax
from arcwise.softmax import Streaming, Truncated
from tests.softmax.exact import Exact

IMPLEMENTATIONS = {
    "dense": "dense",
    "recomputed": Streaming(keep="none"),
    "kept": Streaming(keep="fp32"),
    "one class at a time": Streaming(keep="none", chunk=1),
    "seven kept": Streaming(keep="fp32", chunk=7),
    "seven recomputed": Streaming(keep="none", chunk=7),
    "nothing truncated": Truncated(tau=0, chunk=7),
}


LOOPS = {"tensor operations": 0, "compiled loops": 1000}
"""Up to how many threads compiled loops are preferred."""


def draw(n, c, d, seed, dtype=torch.float64, subcentres=None):
    """Embeddings, centres and labels; directions are uniform, lengths about √d."""
    generator = torch.Generator().manual_seed(seed)
    shape = (c, d) if subcentres is None else (c, subcentres, d)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    y = torch.randint(0, c, (n,), generator=generator)
    return x.to(dtype), w.to(dtype), y


def at_cosine(cosine: float, towards: Tensor, seed: int = 0) -> Tensor:
    """(N, D) random unit rows at this cosine to the rows given."""
    noise = torch.randn(towards.shape, generator=torch.Generator().manual_seed(seed)).double()
    towards = torch.nn.functional.normalize(towards.double())
    noise = torch.nn.functional.normalize(noise - (noise * towards).sum(1, keepdim=True) * towards)
    return cosine * towards + (1 - cosine**2) ** 0.5 * noise


def ask(x: Tensor, w: Tensor, y: Tensor, **options: Any) -> Exact:
    """Loss and gradients of an implementation."""
    x, w = (rows.detach().clone().requires_grad_() for rows in (x, w))
    loss = margin_softmax(x, w, y, **options)
    loss.backward()
    return Exact(loss.detach(), x.grad, w.grad)


def error(got: Tensor, expected: Tensor) -> float:
    """Relative, in the Frobenius norm."""
    return float((got.double() - expected).norm() / expected.norm().clamp_min(1e-300))
