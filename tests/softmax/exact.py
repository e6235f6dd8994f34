"""Loss and both gradients in float64 from their closed forms, with no difference of close numbers.

Section 0 of the derivation: G = dL/dcosines, projected through both normalisations. 1 - p of the
target is the sum over the negatives, so that a loss of 1e-20 has all its digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from arcwise.margins import Margin


class Exact(NamedTuple):
    """Scalar, (N, D) and the centres' shape."""

    loss: Tensor
    dx: Tensor
    dw: Tensor


def exact(
    x: Tensor,
    w: Tensor,
    y: Tensor,
    margin: Margin,
    scale: float,
    state: Mapping[str, Tensor] | None = None,
    offsets: Tensor | None = None,
) -> Exact:
    """What margin_softmax should give; `offsets` are added to the logits of negatives."""
    x, w = x.detach().double(), w.detach().double()
    rows = torch.nonzero(y >= 0).squeeze(1)
    n, y = len(rows), y[rows]
    subcentres = w.shape[1] if w.ndim == 3 else 1
    xh, x_length = _unit(x[rows])
    wh, w_length = _unit(w.reshape(-1, w.shape[-1]))
    u, winner = (xh @ wh.T).clamp(-1, 1).view(n, len(w), subcentres).max(2)
    each = torch.arange(n)

    psi, derivative, by_length = margin.target(u[each, y], x_length, state or {})
    negatives, negatives_derivative = margin.negatives(u, psi, state or {})
    z = scale * negatives + (0 if offsets is None else offsets)
    z[each, y] = -torch.inf
    log_negatives = torch.logsumexp(z, 1)
    gap = log_negatives - scale * psi
    one_minus_p = torch.sigmoid(gap)
    g = torch.exp(z - torch.logaddexp(log_negatives, scale * psi)[:, None])
    g = g if negatives_derivative is None else g * negatives_derivative
    g[each, y] = -one_minus_p * derivative
    g *= scale / max(n, 1)
    spread = torch.zeros(n, u.shape[1], subcentres).double()
    spread = spread.scatter_(2, winner[:, :, None], g[:, :, None]).flatten(1)

    loss = torch.nn.functional.softplus(gap, threshold=50).sum()
    gx, gw = spread @ wh, spread.T @ xh
    dx = _tangent(gx, xh, x_length)
    if by_length is not None:
        dx = dx - (scale / max(n, 1) * one_minus_p * by_length)[:, None] * xh
    penalty = margin.penalty(x_length)
    if penalty is not None:
        loss = loss + penalty[0].sum()
        dx = dx + (penalty[1] / max(n, 1))[:, None] * xh
    return Exact(
        loss / max(n, 1),
        torch.zeros_like(x).index_copy_(0, rows, dx),
        _tangent(gw, wh, w_length).view_as(w),
    )


def _unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    length = rows.norm(dim=1)
    return rows / torch.where(length > 0, length, 1.0)[:, None], length


def _tangent(gradient: Tensor, directions: Tensor, length: Tensor) -> Tensor:
    along = (gradient * directions).sum(1, keepdim=True)
    inside = torch.where(length > 0, length, torch.inf)[:, None]
    return (gradient - along * directions) / inside
