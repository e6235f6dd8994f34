"""From a chunk's sum over the samples to its centres' gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arcwise.softmax.chunk import Centres
from arcwise.softmax.exponentials import compiled
from arcwise.softmax.outcome import Softened
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.rule import Rule


class CentreGradients:
    """Finishes dL/dw_j = (h_j - ⟨h_j, w_j⟩w_j)/‖w_j‖, h_j the sum over the samples.

    Attributes:
        out: (R, D) where the sums go and gradients come from, R rows of the widest chunk.
    """

    def __init__(self, problem: Problem, softened: Softened, chunk: int) -> None:
        target = problem.target
        per_sample = problem.scale / max(len(problem.x), 1)
        own = -per_sample * softened.rest * target.slope
        self._problem = problem
        self._own = own[:, None].to(problem.x.dtype)
        width = min(chunk, problem.classes) * problem.subcentres
        self.out = problem.x.new_empty(width, problem.x.shape[1])
        self._scratch = self.out[:0]

    def owe(self, chunk: Chunk, centres: Centres, sums: Tensor) -> None:
        """Add to (R, D) sums over the samples what the targets among the chunk's classes owe.

        The sums are over the samples to which a class is another, times `centres.inverse`.
        """
        mine = chunk.samples
        if mine.stop > mine.start:
            target = self._problem.target
            rows = target.row[mine] - chunk.rows.start
            each = self._own[mine] * centres.inverse[rows, None]
            sums.index_add_(0, rows, each * target.towards_sample[mine])

    def finish(self, chunk: Chunk, centres: Centres, sums: Tensor) -> Tensor:
        """The sums become the gradient of the chunk's centres, (R, D), in place."""
        self.owe(chunk, centres, sums)
        if len(self._scratch) < len(sums):
            self._scratch = torch.empty_like(self.out)
        along = torch.mul(sums, centres.rows, out=self._scratch[: len(sums)]).sum(1)
        along *= centres.inverse * centres.inverse
        sums.addcmul_(centres.rows, along[:, None], value=-1.0)
        if centres.lengths.outside is not None:
            sums *= centres.lengths.outside[:, None]
        return sums

    def step(
        self, chunk: Chunk, centres: Centres, sums: Tensor, rule: Rule, flat: Tensor,
        momentum: Tensor | None,
    ) -> None:  # fmt: skip
        """Move the chunk's rows of (C·K, D) centres `flat`, and their momentum, by the sums."""
        moved = flat[chunk.rows]
        moving = None if momentum is None else momentum[chunk.rows]
        loops = compiled(self._problem)
        if loops is None or flat.dtype != sums.dtype or centres.lengths.outside is not None:
            rule.step(moved, self.finish(chunk, centres, sums), moving)
            return
        self.owe(chunk, centres, sums)
        numbers = (rule.multiple, rule.lr, rule.momentum, rule.weight_decay)
        velocity = sums[:0] if moving is None else moving
        loops.step(
            sums.numpy(), moved.numpy(), velocity.numpy(), centres.inverse.numpy(),
            *map(np.float32, numbers), rule.nesterov, rule.sphere,
        )  # fmt: skip
