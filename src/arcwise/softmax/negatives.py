"""The second phase of a step: logits and exponentials of the negatives, a chunk at a time.

The exponentials are taken under a maximum of each sample, as in online softmax and FlashAttention:
where the maximum rises, what was summed before is rescaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from arcwise.softmax.problem import Chunk, Problem
from arcwise.sphere import unit

THREADS = 4
"""Up to so many, one thread's compiled loops are faster than all of them on tensor operations."""

PLAIN_LENGTHS = (1e-3, 1e3)
"""Row lengths by which an exponential can be divided and stays in range: see `SPARE`."""

LARGEST = 87.0
"""e^87 and e^-87 are float32 numbers with all their digits; e^89 is infinity."""

SPARE = 10.0
"""An exponential may be multiplied by e^10 later: by 1/‖w‖ of a short centre, and a derivative."""


@dataclass(frozen=True)
class CentreRows:
    """The rows of a chunk, ready for a product.

    Attributes:
        rows: (R, D) in the dtype of the pass: the centres themselves, or their directions.
        inverse: (R,) factor that makes products with the rows products with directions.
        gradient_scale: (R,) 1/‖w‖ where the rows are directions already, which their gradient has
            to be multiplied by; None where they are the centres themselves.
    """

    rows: Tensor
    inverse: Tensor
    gradient_scale: Tensor | None


class ChunkedCentres:
    """Reads a problem's centres a chunk at a time, and measures their lengths once.

    Rows are divided by their length only where some are very long or short. Everywhere else the
    length is left to the N×R products, which are cheaper to scale. Finding out makes the host wait
    for a GPU, so that there every row is divided.

    The lengths are in one piece of memory: a small tensor a chunk, each made between large ones,
    would keep the pages around it from being used again.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._inverse = problem.x.new_empty(len(problem.centres))
        self._gradient_scale: dict[int, Tensor] = {}

    def first(self, chunk: Chunk) -> CentreRows:
        """Read a chunk and measure its lengths."""
        rows = self._read(chunk)
        if rows.device.type == "cpu":
            length = torch.linalg.vector_norm(rows, dim=1)
            shortest, longest = length.aminmax()
            if shortest > PLAIN_LENGTHS[0] and longest < PLAIN_LENGTHS[1]:
                self._inverse[chunk.rows] = length.reciprocal_()
                return CentreRows(rows, length, None)
        rows, length = unit(rows)
        inverse = self._inverse[chunk.rows].fill_(1.0)
        gradient_scale = torch.where(length > 0, 1 / length, 0.0)
        self._gradient_scale[chunk.start] = gradient_scale
        return CentreRows(rows, inverse, gradient_scale)

    def again(self, chunk: Chunk) -> CentreRows:
        """Read a chunk whose lengths have been measured."""
        rows, gradient_scale = self._read(chunk), self._gradient_scale.get(chunk.start)
        rows = rows if gradient_scale is None else unit(rows)[0]
        return CentreRows(rows, self._inverse[chunk.rows], gradient_scale)

    def _read(self, chunk: Chunk) -> Tensor:
        return self._problem.centres[chunk.rows].to(self._problem.x.dtype)


@dataclass(frozen=True)
class LogitDerivative:
    """How logits depend on the cosines that they were made of.

    Attributes:
        derivative: (n, B) of the margin's negatives, or None for 1.
        nearest: (n, B) which sub-centre was nearest, or None where there is one.
        subcentres: K.
    """

    derivative: Tensor | None = None
    nearest: Tensor | None = None
    subcentres: int = 1

    def to_cosines(self, weights: Tensor) -> Tensor:
        """(n, B) weights of the logits → (n, R) weights of the cosines; may change its input."""
        if self.derivative is not None:
            weights.mul_(self.derivative)
        if self.nearest is None:
            return weights
        spread = weights.new_zeros(*weights.shape, self.subcentres)
        return spread.scatter_(2, self.nearest[:, :, None], weights[:, :, None]).flatten(1)


def negative_logits(
    problem: Problem, chunk: Chunk, cosines: Tensor
) -> tuple[Tensor, LogitDerivative]:
    """Return (n, B) logits of a chunk's classes, -inf for targets, from (n, R) cosines.

    The logits may be in the memory of the cosines.
    """
    nearest = None
    if problem.subcentres > 1:
        split = cosines.view(len(cosines), chunk.end - chunk.start, problem.subcentres)
        cosines, nearest = split.max(2)
    psi = problem.target.psi.to(cosines.dtype)
    weighted, derivative = problem.margin.negatives(cosines, psi, problem.state)
    z = weighted.mul_(problem.scale) if weighted is cosines else weighted * problem.scale
    if problem.offsets is not None:
        z += problem.offsets[chunk.start : chunk.end]
    leave_out_targets(problem, chunk, z)
    return z, LogitDerivative(derivative, nearest, problem.subcentres)


def count_support_vectors(problem: Problem, chunk: Chunk, derivative: Tensor) -> Tensor:
    """Return how many of a chunk's negatives the margin re-weights, given (n, B) derivatives."""
    reweighted = derivative != 1
    own = chunk.samples
    if own.stop > own.start:
        samples = torch.arange(own.start, own.stop, device=derivative.device)
        reweighted[samples, problem.labels[own] - chunk.start] = False
    return reweighted.sum()


def leave_out_targets(problem: Problem, chunk: Chunk, z: Tensor) -> None:
    """Set the logits of (n, B) classes that are the target to -inf."""
    own = chunk.samples
    if own.stop > own.start:
        samples = torch.arange(own.start, own.stop, device=z.device)
        z[samples, problem.labels[own] - chunk.start] = -torch.inf


def unweighted(problem: Problem) -> bool:
    """Whether the margin leaves the cosines to the negatives as they are."""
    psi = problem.target.psi
    cosines = psi[:, None]
    weighted, derivative = problem.margin.negatives(cosines, psi, problem.state)
    return weighted is cosines and derivative is None


class RunningMaximum:
    """What is taken from a sample's logits before they are exponentiated.

    Cosines are in [-1, 1], so every logit is at most s·max(negatives(±1), 1). Where the smallest is
    not too far below, one number serves all chunks and no maximum is looked for: the target's own
    logit, or as much more as keeps the sum of C exponentials finite. This is so for s up to about
    75.

    Attributes:
        current: (n,) the number in force.
        fixed: whether it serves all chunks.
    """

    def __init__(self, problem: Problem) -> None:
        own = problem.target.logit
        headroom = LARGEST - SPARE - math.log(max(problem.classes, 1))
        if unweighted(problem) and problem.offsets is None:  # without asking the device
            top, low = problem.scale, -problem.scale
            self.fixed = top - low <= headroom + LARGEST
            current = own.clamp_min(top - headroom) if self.fixed else own
        else:
            tops, lows = _logit_bounds(problem)
            self.fixed = bool(((tops - lows) <= headroom + LARGEST).all())
            current = torch.maximum(own, tops - headroom) if self.fixed else own
        self.current = current.to(problem.x.dtype)

    def update(self, z: Tensor) -> Tensor | None:
        """Raise it to the largest of (n, B) logits.

        Returns:
            (n,) the factor that rescales what was summed before, or None for 1.
        """
        if self.fixed:
            return None
        before = self.current
        self.current = torch.maximum(before, z.amax(1))
        return torch.exp(before - self.current)


def _logit_bounds(problem: Problem) -> tuple[Tensor, Tensor]:
    """(n,) the largest and the smallest that a logit of a negative can be."""
    psi = problem.target.psi
    ends = psi.new_tensor([-1.0, 1.0]).expand(len(psi), 2)
    weighted, _ = problem.margin.negatives(ends.contiguous(), psi, problem.state)
    reach = torch.cat([weighted, ends], 1)
    top = problem.scale * reach.amax(1)
    low = problem.scale * reach.nan_to_num(neginf=-1.0).amin(1)
    if problem.offsets is None:
        return top, low
    least, most = problem.offsets.double().aminmax()
    return top + most, low + least


class Exponentials:
    """Exponentials of one chunk's logits at a time, in the same memory unless given another.

    Attributes:
        maximum: what is taken from the logits.
        total: (n,) float64, the sum over the classes so far under the maximum in force.
    """

    def __init__(self, problem: Problem, chunk_size: int) -> None:
        n = len(problem.x)
        self.maximum = RunningMaximum(problem)
        self.total = problem.x.new_zeros(n, dtype=torch.float64)
        self._problem = problem
        self._size = n * min(chunk_size, problem.classes) * problem.subcentres
        self._memory = problem.x.new_empty(0)
        plain = problem.subcentres == 1 and problem.offsets is None and unweighted(problem)
        self._loops = compiled(problem) if self.maximum.fixed and plain else None

    @property
    def log_sum_exp(self) -> Tensor:
        """(n,) float64, log Σ_{j≠y} e^{z_ij} over the classes so far."""
        return self.maximum.current.double() + self.total.log()

    def accumulate(
        self, chunk: Chunk, centres: CentreRows, out: Tensor | None = None
    ) -> tuple[Tensor, LogitDerivative, Tensor | None]:
        """Add a chunk to the sums.

        Returns:
            (n, B) exponentials, in (n, R) `out` where there is one of their type; the derivative of
            their logits; and (n,) the factor that rescales earlier sums, or None for 1.
        """
        if out is None or out.dtype != self._memory.dtype:
            out = self._buffer(centres)
        if self._loops is not None:
            maximum = self.maximum.current
            exponentials = self._compiled(self._loops, chunk, centres, maximum, self.total, out)
            return exponentials, LogitDerivative(), None
        z, derivative = self._logits(chunk, centres, out)
        rescale = self.maximum.update(z)
        if rescale is not None:
            self.total *= rescale
        exponentials = z.sub_(self.maximum.current[:, None]).exp_()
        self.total += exponentials.sum(1)
        return exponentials, derivative, rescale

    def recompute(
        self, chunk: Chunk, centres: CentreRows, maximum: Tensor
    ) -> tuple[Tensor, LogitDerivative]:
        """The exponentials of a chunk that has been added, under a given maximum."""
        out = self._buffer(centres)
        if self._loops is not None:
            unused = torch.empty_like(self.total)
            exponentials = self._compiled(self._loops, chunk, centres, maximum, unused, out)
            return exponentials, LogitDerivative()
        z, derivative = self._logits(chunk, centres, out)
        return z.sub_(maximum[:, None]).exp_(), derivative

    def free(self) -> None:
        """Give the memory back until it is needed again."""
        self._memory = self._problem.x.new_empty(0)

    def _logits(
        self, chunk: Chunk, centres: CentreRows, out: Tensor
    ) -> tuple[Tensor, LogitDerivative]:
        cosines = torch.mm(self._problem.x, centres.rows.T, out=out).mul_(centres.inverse)
        return negative_logits(self._problem, chunk, cosines)

    def _compiled(
        self, loops: ModuleType, chunk: Chunk, centres: CentreRows, maximum: Tensor, total: Tensor,
        out: Tensor,
    ) -> Tensor:  # fmt: skip
        products = torch.mm(self._problem.x, centres.rows.T, out=out)
        leave_out_targets(self._problem, chunk, products)
        scale = np.float32(self._problem.scale)
        loops.exponentials(
            products.numpy(), centres.inverse.numpy(), scale, maximum.numpy(), total.numpy()
        )
        return products

    def _buffer(self, centres: CentreRows) -> Tensor:
        if len(self._memory) < self._size:
            self._memory = self._problem.x.new_empty(self._size)
        n, width = len(self._problem.x), len(centres.rows)
        return self._memory[: n * width].view(n, width)


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
