"""The third phase of a step: the loss and its gradients from the log-sum-exp of the negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.sgd import sgd

from arcwise.softmax.negatives import CentreRows, compiled
from arcwise.softmax.problem import Chunk, Problem


@dataclass(frozen=True)
class SoftmaxStatistics:
    """The softmax of each sample, from the log-sum-exp of its negatives.

    1 - p of the target is computed as it is, never by subtracting p from 1.

    Attributes:
        log_total: (n,) log Σ_j e^{z_ij} over all classes, float64.
        one_minus_p: (n,) 1 - p of the target, float64.
        loss: scalar, the mean over the samples.
    """

    log_total: Tensor
    one_minus_p: Tensor
    loss: Tensor

    @classmethod
    def of(cls, problem: Problem, log_negatives: Tensor) -> SoftmaxStatistics:
        """From (n,) log Σ_{j≠y} e^{z_ij}, -inf where there is no other class; float64."""
        target = problem.target
        gap = log_negatives - target.logit
        rows = functional.softplus(gap, threshold=50.0)
        if target.penalty:
            rows = rows + target.penalty[0]
        loss = rows.sum() / max(len(rows), 1)
        log_total = torch.logaddexp(log_negatives, target.logit)
        return cls(log_total, torch.sigmoid(gap), loss.to(problem.x.dtype))


def embedding_gradient(problem: Problem, softmax: SoftmaxStatistics, accumulator: Tensor) -> Tensor:
    """Return (N, D) dL/dembeddings from (n, D) Σ_{j≠y} p_ij (dz_ij/du_ij)/s · w_j, used up for it.

    dL/dx = s/n · [(a - ⟨a, x⟩x) - (1-p_y) ψ' (w_y - cos x)]/‖x‖ for the accumulator a, and along x
    the margin's derivative by the length.
    """
    x, target = problem.x, problem.target
    length = torch.where(target.length > 0, target.length, torch.inf)
    rows = accumulator.addcmul_(x, torch.linalg.vecdot(accumulator, x)[:, None], value=-1.0)
    towards = (softmax.one_minus_p * target.derivative).to(x.dtype)
    rows.addcmul_(target.towards_centre, towards[:, None], value=-1.0)
    rows *= (problem.scale_per_sample / length)[:, None].to(x.dtype)
    radial = _radial(problem, softmax)
    if radial is not None:
        rows.addcmul_(x, radial[:, None].to(x.dtype))
    gradient = x.new_zeros(problem.batch, x.shape[1])
    gradient[problem.order] = rows
    return gradient


def _radial(problem: Problem, softmax: SoftmaxStatistics) -> Tensor | None:
    """(n,) derivative of the loss by the embeddings' lengths, or None for 0."""
    target, radial = problem.target, None
    if target.norm_derivative is not None:
        radial = -problem.scale_per_sample * softmax.one_minus_p * target.norm_derivative
    if target.penalty is not None:
        derivative = target.penalty[1] / max(len(problem.x), 1)
        radial = derivative if radial is None else radial + derivative
    return radial


@dataclass(frozen=True)
class Rule:
    """One step of SGD as ``torch.optim.SGD`` makes it, on a multiple of a pass's loss.

    Attributes:
        multiple: what the loss was multiplied by.
        lr: learning rate.
        momentum: 0 for none.
        weight_decay: of the centres.
        nesterov: whether the step looks ahead along the momentum.
        sphere: whether centres return to unit length after it.
    """

    multiple: float
    lr: float
    momentum: float
    weight_decay: float
    nesterov: bool
    sphere: bool

    def step(self, centres: Tensor, gradient: Tensor, momentum: Tensor | None) -> None:
        """Move (R, D) centres and their momentum in place; the gradient is used up."""
        if self.multiple != 1.0:
            gradient.mul_(self.multiple)
        fused = centres.dtype.itemsize > 2  # torch's own is wrong on a CPU for 16 bits
        sgd(
            [centres], [gradient.to(centres.dtype)], [momentum],
            lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay,
            nesterov=self.nesterov, dampening=0.0, maximize=False, fused=fused, foreach=False,
        )  # fmt: skip
        if self.sphere:
            to_sphere(centres)


def to_sphere(centres: Tensor) -> None:
    """Bring (..., D) centres to unit length in place; one of length 0 stays."""
    length = torch.linalg.vector_norm(centres, dim=-1, keepdim=True)
    centres.div_(torch.where(length > 0, length, 1.0))


class CentreGradients:
    """Makes dL/dw_j = (h_j - ⟨h_j, w_j⟩w_j)/‖w_j‖ of h_j, the sum over the samples.

    Attributes:
        out: (R, D) memory for the sums of the widest chunk, in which their gradients are made.
    """

    def __init__(self, problem: Problem, softmax: SoftmaxStatistics, chunk_size: int) -> None:
        derivative = -problem.scale_per_sample * softmax.one_minus_p * problem.target.derivative
        self._problem = problem
        self._target_derivative = derivative[:, None].to(problem.x.dtype)
        width = min(chunk_size, problem.classes) * problem.subcentres
        self.out = problem.x.new_empty(width, problem.x.shape[1])
        self._scratch = self.out[:0]

    def gradient(self, chunk: Chunk, centres: CentreRows, sums: Tensor) -> Tensor:
        """Return the gradient of the chunk's centres, (R, D), in the memory of the sums.

        The sums are over the samples to which a class is a negative, times `centres.inverse`.
        """
        self._add_target_term(chunk, centres, sums)
        if len(self._scratch) < len(sums):
            self._scratch = torch.empty_like(self.out)
        along = torch.mul(sums, centres.rows, out=self._scratch[: len(sums)]).sum(1)
        along *= centres.inverse * centres.inverse
        sums.addcmul_(centres.rows, along[:, None], value=-1.0)
        if centres.gradient_scale is not None:
            sums *= centres.gradient_scale[:, None]
        return sums

    def step(
        self, chunk: Chunk, centres: CentreRows, sums: Tensor, rule: Rule, momentum: Tensor | None
    ) -> None:
        """Move the chunk's rows of the problem's centres, and of (C·K, D) momentum, in place."""
        moved = self._problem.centres[chunk.rows]
        velocity = None if momentum is None else momentum[chunk.rows]
        loops = compiled(self._problem)
        if loops is None or moved.dtype != sums.dtype or centres.gradient_scale is not None:
            rule.step(moved, self.gradient(chunk, centres, sums), velocity)
            return
        self._add_target_term(chunk, centres, sums)
        numbers = (rule.multiple, rule.lr, rule.momentum, rule.weight_decay)
        velocity = sums[:0] if velocity is None else velocity
        loops.step(
            sums.numpy(), moved.numpy(), velocity.numpy(), centres.inverse.numpy(),
            *map(np.float32, numbers), rule.nesterov, rule.sphere,
        )  # fmt: skip

    def _add_target_term(self, chunk: Chunk, centres: CentreRows, sums: Tensor) -> None:
        own = chunk.samples
        if own.stop > own.start:
            target = self._problem.target
            rows = target.row[own] - chunk.rows.start
            each = self._target_derivative[own] * centres.inverse[rows, None]
            sums.index_add_(0, rows, each * target.towards_sample[own])
