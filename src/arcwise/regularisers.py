"""Regularisers: terms that pull embeddings to their class centre or push centres apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError
from arcwise.gradients import with_gradient
from arcwise.sphere import angle, snap, unit, wide


class CentreLoss(nn.Module):
    """½ ‖x - c_y‖², averaged over the batch, with centres that follow the embeddings.

    Wen et al., ECCV 2016. Their equation 2 sums; Caffe's layer averages, as this one does. With a
    small weight it is added to a softmax loss. The embeddings are not normalised.

    After each call in training mode, c_j ← c_j - α Σ_{y_i=j} (c_j - x_i) / (1 + n_j) over the n_j
    rows of class j (equation 4). The centres of absent classes do not change. Centres are a buffer
    of the module, which no optimiser moves: neither momentum nor weight decay reaches them. Each
    process moves them by its own rows.

    Attributes:
        alpha: α, the rate of the centres.
        centres: (C, D) buffer, 0 at the start.
    """

    centres: Tensor

    def __init__(self, classes: int, dim: int, *, alpha: float = 0.5) -> None:
        super().__init__()
        if classes < 1 or dim < 1:
            raise ArcwiseError(
                f"CentreLoss: got {classes} classes, {dim} dimensions; expected at least 1"
            )
        if not 0 <= alpha <= 1:
            raise ArcwiseError(f"CentreLoss: got alpha={alpha!r}; expected 0 to 1")
        self.alpha = alpha
        self.register_buffer("centres", torch.zeros(classes, dim))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of (N, D) embeddings, (N,) int64 labels, -1 for no class.

        Its gradient is (x_i - c_{y_i}) / N, to the embeddings only.
        """
        _check("CentreLoss", self.centres, labels, embeddings)
        kept = labels >= 0
        x, classes = embeddings[kept].double(), labels[kept]
        difference = x - self.centres[classes].double()
        loss = 0.5 * difference.square().sum() / max(len(x), 1)
        if self.training:
            self._follow(difference.detach(), classes)
        return loss.to(wide(embeddings).dtype)

    @torch.no_grad()
    def _follow(self, difference: Tensor, classes: Tensor) -> None:
        """Move the centres of these classes. The rows of a class are summed before dividing."""
        present, positions, counts = torch.unique(classes, return_inverse=True, return_counts=True)
        step = difference.new_zeros(len(present), difference.shape[1])
        step.index_add_(0, positions.to(step.device), difference)
        step *= self.alpha / (1 + counts.to(step.device).double())[:, None]
        self.centres[present] = (self.centres[present] + step).to(self.centres.dtype)


def intra(embeddings: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Return the mean angle to the own centre over π, 0 to 1.

    1/(πN) Σ_i θ_{i,y_i}: ArcFace's Intra-Loss (arXiv 1801.07698, equation 5). The gradient of a
    row has the same length at every angle.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        centres: (C, D), likewise.
        labels: (N,) int64 in 0..C-1, or -1 for a row without a class, which adds nothing.

    Returns:
        A scalar in float32 or float64, the wider of the inputs; gradients reach both. A zero
        row is at 90° and has gradient 0.

    Raises:
        ArcwiseError: shapes or labels that do not fit.
    """
    _check("intra", centres, labels, embeddings)
    kept = labels >= 0
    x, _ = unit(embeddings[kept].double())
    w, _ = unit(centres[labels[kept]].double())
    angles = angle(snap((x * w).sum(1)))
    loss = angles.sum() / (math.pi * max(len(x), 1))
    return loss.to(torch.promote_types(wide(embeddings).dtype, wide(centres).dtype))


def inter(centres: Tensor, labels: Tensor, *, chunk: int = 1024) -> Tensor:
    """Return minus the mean angle from the centres of the batch to all others, over π, -1 to 0.

    -1/(πN(C-1)) Σ_i Σ_{j≠y_i} θ(w_{y_i}, w_j): ArcFace's Inter-Loss (arXiv 1801.07698, equation
    6). A class has the weight of its rows in the batch; its angles are computed once.

    Args:
        centres: (C, D), any float type, any length; directions are what counts.
        labels: (N,) int64 in 0..C-1, or -1 for a row without a class, which adds nothing.
        chunk: classes at a time. Memory is chunk times the different labels of the batch, and
            the gradient; the loss does not depend on it.

    Returns:
        A scalar in float32 or, for float64 centres, float64. A zero row is at 90° to everything
        and has gradient 0.

    Raises:
        ArcwiseError: shapes or labels that do not fit, or fewer than two classes.
    """
    _check("inter", centres, labels)
    if len(centres) < 2:
        raise ArcwiseError(f"inter: got {len(centres)} centres; angles between them need 2")
    if chunk < 1:
        raise ArcwiseError(f"inter: got chunk={chunk!r}; expected at least 1 class at a time")
    present, counts = torch.unique(labels[labels >= 0], return_counts=True)
    weights = counts.double() / (math.pi * max(int(counts.sum()), 1) * (len(centres) - 1))
    present, weights = present.to(centres.device), weights.to(centres.device)
    with_gradients = torch.is_grad_enabled() and centres.requires_grad
    loss, gradient = _inter(centres.detach(), present, weights, chunk, with_gradients)
    if with_gradients:
        loss = with_gradient(loss, centres, gradient)
    return loss.to(wide(centres).dtype)


def _inter(
    centres: Tensor, present: Tensor, weights: Tensor, chunk: int, with_gradients: bool
) -> tuple[Tensor, Tensor]:
    """Return the inter-loss and, where it is needed, its gradient by all centres."""
    loss = torch.zeros((), dtype=torch.float64, device=centres.device)
    gradient = torch.zeros_like(centres if with_gradients else centres[:0])
    with torch.set_grad_enabled(with_gradients):
        own = centres[present].double().requires_grad_(with_gradients)
        directions, _ = unit(own)
        fixed = directions.detach().requires_grad_(with_gradients)
        of_directions = torch.zeros_like(fixed)
        for start in range(0, len(centres), chunk):
            part = centres[start : start + chunk].to(torch.float64, copy=True)
            part.requires_grad_(with_gradients)
            angles = angle(snap(fixed @ unit(part)[0].T))
            classes = torch.arange(start, start + len(part), device=centres.device)
            total = -(weights @ angles.masked_fill(present[:, None] == classes, 0.0)).sum()
            loss += total.detach()
            if with_gradients:
                by_direction, by_part = torch.autograd.grad(total, (fixed, part))
                of_directions += by_direction
                gradient[start : start + len(part)] += by_part
        if with_gradients:
            (of_own,) = torch.autograd.grad(directions, own, of_directions)
            gradient.index_add_(0, present, of_own.to(centres.dtype))
    return loss, gradient


def _check(name: str, centres: Tensor, labels: Tensor, embeddings: Tensor | None = None) -> None:
    """Raise ArcwiseError unless centres, labels and embeddings fit together."""
    if centres.ndim != 2 or not centres.shape[1]:
        raise ArcwiseError(f"{name}: got centres {tuple(centres.shape)}; expected (C, D)")
    if embeddings is not None and (embeddings.ndim != 2 or embeddings.shape[1] != centres.shape[1]):
        raise ArcwiseError(
            f"{name}: got embeddings {tuple(embeddings.shape)}; expected (N, {centres.shape[1]}), "
            f"as centres are {tuple(centres.shape)}"
        )
    rows = "N" if embeddings is None else len(embeddings)
    if labels.ndim != 1 or rows not in ("N", len(labels)) or labels.dtype != torch.int64:
        raise ArcwiseError(
            f"{name}: got labels {tuple(labels.shape)} of {labels.dtype}; expected ({rows},) of "
            "torch.int64"
        )
    if len(labels):
        least, most = (int(end) for end in labels.aminmax())
        if least < -1 or most >= len(centres):
            raise ArcwiseError(
                f"{name}: got labels from {least} to {most}; expected 0 to {len(centres) - 1} for "
                f"{len(centres)} classes, or -1 for none"
            )
