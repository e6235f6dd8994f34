"""Exponentials of a chunk's logits under the shift of their samples."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from arcwise.softmax.chunk import Centres, Gain, leave_out_targets, logits
from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.shift import Shift

THREADS = 4
"""Up to so many, one thread's compiled loops are faster than all of them on tensor operations."""


def compiled(problem: Problem) -> ModuleType | None:
    """The compiled loops, where they can be had and are the faster way; else None."""
    few = problem.x.device.type == "cpu" and torch.get_num_threads() <= THREADS
    if not few or problem.x.dtype != torch.float32:
        return None
    try:
        from arcwise.softmax import compiled as loops
    except ImportError:  # no numba: the same numbers, a little later
        return None
    return loops


class Exponentials:
    """One chunk's at a time, in the same memory unless given another, summed over the classes.

    Attributes:
        shift: what is taken from the logits.
        total: (n,) float64, the sum so far under the shift in force.
    """

    def __init__(self, problem: Problem, chunk: int) -> None:
        n = len(problem.x)
        self.shift = Shift.for_(problem)
        self.total = problem.x.new_zeros(n, dtype=torch.float64)
        self._problem = problem
        self._size = n * min(chunk, problem.classes) * problem.subcentres
        self._memory = problem.x.new_empty(0)
        self._loops = compiled(problem) if self.shift.fixed and _as_they_are(problem) else None

    def first(
        self, chunk: Chunk, centres: Centres, place: Tensor | None = None
    ) -> tuple[Tensor, Gain, Tensor | None]:
        """(n, B) exponentials, how their logits answer to cosines, and how much older sums fade.

        They are made in `place`, (n, R), where there is one of their type.
        """
        room = self._room(centres) if place is None or place.dtype != self._memory.dtype else place
        if self._loops is not None:
            shift = self.shift.current
            return (
                self._compiled(self._loops, chunk, centres, shift, self.total, room),
                Gain(),
                None,
            )
        z, gain = logits(self._problem, chunk, centres, room)
        fade = self.shift.cover(z)
        if fade is not None:
            self.total *= fade
        exponentials = z.sub_(self.shift.current[:, None]).exp_()
        self.total += exponentials.sum(1)
        return exponentials, gain, fade

    def again(self, chunk: Chunk, centres: Centres, shift: Tensor) -> tuple[Tensor, Gain]:
        """The same of a chunk seen before, under a given shift."""
        if self._loops is not None:
            unused = torch.empty_like(self.total)
            room = self._room(centres)
            return self._compiled(self._loops, chunk, centres, shift, unused, room), Gain()
        z, gain = logits(self._problem, chunk, centres, self._room(centres))
        return z.sub_(shift[:, None]).exp_(), gain

    def free(self) -> None:
        """Give the memory back until it is needed again."""
        self._memory = self._problem.x.new_empty(0)

    def _compiled(
        self, loops: ModuleType, chunk: Chunk, centres: Centres, shift: Tensor, total: Tensor,
        room: Tensor,
    ) -> Tensor:  # fmt: skip
        products = torch.mm(self._problem.x, centres.rows.T, out=room)
        leave_out_targets(self._problem, chunk, products)
        scale = np.float32(self._problem.scale)
        loops.exponentials(
            products.numpy(), centres.inverse.numpy(), scale, shift.numpy(), total.numpy()
        )
        return products

    def _room(self, centres: Centres) -> Tensor:
        if len(self._memory) < self._size:
            self._memory = self._problem.x.new_empty(self._size)
        n, width = len(self._problem.x), len(centres.rows)
        return self._memory[: n * width].view(n, width)


def _as_they_are(problem: Problem) -> bool:
    """Whether a logit of another class is its cosine times the scale, and nothing else."""
    cosines = problem.target.value[:, None]
    others, slope = problem.margin.others(cosines, problem.target.value, problem.state)
    alone = problem.subcentres == 1 and problem.offsets is None
    return alone and others is cosines and slope is None
