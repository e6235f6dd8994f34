"""From a chunk's sum over the samples to its centres' gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from arcwise.softmax.chunk import Centres
from arcwise.softmax.outcome import Softened
from arcwise.softmax.problem import Chunk, Problem


class CentreGradients:
    """Finishes dL/dw_j = (h_j - ⟨h_j, w_j⟩w_j)/‖w_j‖, h_j the sum over the samples.

    Attributes:
        out: (R, D) where the sums go and gradients come from, R rows of the widest chunk.
    """

    def __init__(self, problem: Problem, softened: Softened, chunk: int) -> None:
        target = problem.target
        per_sample = problem.scale / max(len(problem.x), 1)
        own = (-per_sample * softened.rest * target.slope)[:, None].to(problem.x.dtype)
        self._problem = problem
        self._own = own * target.towards_sample
        width = min(chunk, problem.classes) * problem.subcentres
        self.out = problem.x.new_empty(width, problem.x.shape[1])
        self._scratch = torch.empty_like(self.out)

    def finish(self, chunk: Chunk, centres: Centres, gradient: Tensor) -> Tensor:
        """(R, D) sums over the samples to which the class is another, times `centres.inverse`.

        Changed in place into the gradient of the chunk's centres.
        """
        mine = chunk.samples
        if mine.stop > mine.start:
            rows = self._problem.target.row[mine] - chunk.rows.start
            gradient.index_add_(0, rows, self._own[mine] * centres.inverse[rows, None])
        along = torch.mul(gradient, centres.rows, out=self._scratch[: len(gradient)]).sum(1)
        along *= centres.inverse * centres.inverse
        gradient.addcmul_(centres.rows, along[:, None], value=-1.0)
        if centres.lengths.outside is not None:
            gradient *= centres.lengths.outside[:, None]
        return gradient
