"""A chunk's cosines → exponentials of its logits, and what they sum to."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from arcwise.softmax.problem import Chunk, Problem
from arcwise.softmax.triton.tiles import launch, power_of_two

SPAN = 2048
"""Classes a program holds."""


@triton.jit(do_not_specialize=["start", "samples"])
def _exponentials(
    cosines, labels, shift, offsets, weights, sums, rounded,
    scale, start, samples, classes, SUBCENTRES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    sample, part = tl.program_id(0), tl.program_id(1)
    each = part * BLOCK + tl.arange(0, BLOCK)
    inside = each < classes
    at = (sample.to(tl.int64) * classes + each) * SUBCENTRES
    cosine = tl.load(cosines + at, mask=inside, other=0.0)
    winner = tl.zeros_like(each)
    for k in tl.static_range(1, SUBCENTRES):
        another = tl.load(cosines + at + k, mask=inside, other=0.0)
        winner = tl.where(another > cosine, k, winner)
        cosine = tl.maximum(cosine, another, propagate_nan=tl.PropagateNan.ALL)
    z = scale * cosine
    if offsets is not None:
        z += tl.load(offsets + start + each, mask=inside, other=0.0)
    other = inside & (start + each != tl.load(labels + sample))
    weight = tl.where(other, tl.exp(z - tl.load(shift + sample)), 0.0)
    if sums is not None:
        tl.store(sums + part * samples + sample, tl.sum(weight))
    if weights is not None:
        stored = weight.to(weights.dtype.element_ty)
        for k in tl.static_range(SUBCENTRES):
            tl.store(weights + at + k, tl.where(winner == k, stored, 0.0), mask=inside)
        if rounded is not None:
            tl.store(rounded + part * samples + sample, tl.sum(stored.to(tl.float32)))


def exponentials(
    problem: Problem,
    chunk: Chunk,
    cosines: Tensor,
    shift: Tensor,
    weights: Tensor | None,
    sums: tuple[Tensor, Tensor] | None,
) -> None:
    """Exponentials of the logits under (n,) shift, 0 for a target and a sub-centre not nearest.

    Args:
        problem: whose margin leaves the other classes as they are.
        chunk: the classes.
        cosines: (n, R) float32.
        shift: (n,) float32.
        weights: (n, R) for the exponentials, or None.
        sums: (parts(B), n) float32 twice, or None: for what the parts of the chunk sum to, and what
            they sum to as they are stored in `weights`.
    """
    classes, samples = chunk.end - chunk.start, len(cosines)
    block = min(SPAN, power_of_two(classes))
    offsets = problem.offsets
    launch(
        _exponentials, (samples, -(-classes // block)),
        cosines, problem.labels, shift, None if offsets is None else offsets.contiguous(),
        weights, *(sums or (None, None)),
        float(problem.scale), chunk.start, samples, classes, problem.subcentres, block,
    )  # fmt: skip


def parts(classes: int) -> int:
    """Into how many parts a chunk's sums are divided."""
    return -(-classes // SPAN)
