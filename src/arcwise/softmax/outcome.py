"""From the sums over the classes to the loss and the embeddings' gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from arcwise.softmax.problem import Problem
from arcwise.softmax.rule import Rule


class Pass(Protocol):
    """What an implementation hands back: the loss, and the gradients that follow from it."""

    @property
    def loss(self) -> Tensor:
        """Scalar."""
        ...

    def embedding_gradient(self) -> Tensor:
        """(N, D) dL/dembeddings."""
        ...

    def centre_gradients(self) -> Iterator[tuple[slice, Tensor]]:
        """Chunk by chunk, rows of the flat centres and (rows, D) dL/dcentres.

        The tensor is the caller's to change, until the next one is asked for. Once only.
        """
        ...

    def step_centres(self, centres: Tensor, momentum: Tensor | None, rule: Rule) -> None:
        """Move (C·K, D) centres, equal to the pass's, and their momentum in place.

        In place of `centre_gradients`, with no gradient in between; once only as well.
        """
        ...

    @property
    def report(self) -> dict[str, float]:
        """What the pass knows about its own error; empty where it is rounding only."""
        ...


@dataclass(frozen=True)
class Softened:
    """The softmax of each sample, from the log-sum over the classes that are not its target.

    1 - p of the target is computed as it is, never by subtracting p from 1.

    Attributes:
        log_total: (n,) log Σ_j e^{z_ij} over all classes.
        rest: (n,) 1 - p of the target.
        loss: scalar, the mean over the samples.
    """

    log_total: Tensor
    rest: Tensor
    loss: Tensor

    @classmethod
    def of(cls, problem: Problem, log_others: Tensor) -> Softened:
        """From (n,) log Σ_{j≠y} e^{z_ij}, -inf where there is no other class; float64."""
        target = problem.target
        gap = log_others - target.logit
        rows = functional.softplus(gap, threshold=50.0)
        if target.penalty:
            rows = rows + target.penalty[0]
        loss = rows.sum() / max(len(rows), 1)
        return cls(
            torch.logaddexp(log_others, target.logit), torch.sigmoid(gap), loss.to(problem.x.dtype)
        )


def embedding_gradient(problem: Problem, softened: Softened, pull: Tensor) -> Tensor:
    """(N, D) dL/dembeddings from (n, D) pull, Σ_{j≠y} p_ij (dz_ij/du_ij)/s · w_j, used up for it.

    dL/dx = s/n · [(pull - ⟨pull, x⟩x) - (1-p_y) ψ' (w_y - cos x)]/‖x‖, and along x what the margin
    owes to the length.
    """
    x, target = problem.x, problem.target
    per_sample = problem.scale / max(len(x), 1)
    inside = torch.where(target.length > 0, target.length, torch.inf)
    rows = pull.addcmul_(x, torch.linalg.vecdot(pull, x)[:, None], value=-1.0)
    towards = (softened.rest * target.slope).to(x.dtype)
    rows.addcmul_(target.towards_centre, towards[:, None], value=-1.0)
    rows *= (per_sample / inside)[:, None].to(x.dtype)
    radial = _radial(problem, softened, per_sample)
    if radial is not None:
        rows.addcmul_(x, radial[:, None].to(x.dtype))
    gradient = x.new_zeros(problem.batch, x.shape[1])
    gradient[problem.order] = rows
    return gradient


def _radial(problem: Problem, softened: Softened, per_sample: float) -> Tensor | None:
    target, radial = problem.target, None
    if target.norm_slope is not None:
        radial = -per_sample * softened.rest * target.norm_slope
    if target.penalty is not None:
        slope = target.penalty[1] / max(len(problem.x), 1)
        radial = slope if radial is None else radial + slope
    return radial
