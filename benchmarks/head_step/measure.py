"""One line in this process: CPU time of a step, its peak memory, and the floor under it.

The floor is three fp32 matrix products of the full size into buffers that are already there:
X·Wᵀ, G·W and Gᵀ·X. It takes turns with the steps, so that a machine that is slow for a while is
slow for both; the ratio is the median over the pairs.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from measured import memory

from . import errors
from .lines import LINES, Absent, Line, Step
from .resample import Trained

DIM = 512
REHEARSAL = 4096
"""Classes of the step that loads libraries and starts engines before anything is counted."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Job:
    """What one process measures.

    Attributes:
        line: a key of `LINES`, or "floor".
        trained: the .npz of a trained model to resample; "" for random initialisation.
        wall: whether wall time is taken instead of CPU time, for more threads than one.
    """

    line: str
    batch: int
    classes: int
    trained: str = ""
    wall: bool = False

    @property
    def repetitions(self) -> int:
        """11 for milliseconds, 5 for seconds, 3 where a step takes half a minute."""
        limits = ((6_000_000, 11), (100_000_000, 5))
        pairs = self.batch * self.classes
        return next((repeats for limit, repeats in limits if pairs <= limit), 3)


def run(job: Job) -> dict[str, Any]:
    """Everything measured about this line, ready to be written as JSON.

    Raises:
        Absent: the line cannot be measured here.
    """
    torch.manual_seed(0)  # lines that sample classes
    clock = time.perf_counter if job.wall else time.process_time
    make = drawn(job)
    if job.line == "floor":
        products = Floor(*make(job.classes))
        floors = [products.timed(clock) for _ in range(job.repetitions + 1)]
        return {"floor": statistics.median(floors[1:]), "repetitions": job.repetitions}
    line = LINES[job.line]
    timed(line.build(*make(job.classes if line.compiled else REHEARSAL)), clock)
    memory.settle()
    before = memory.resident()

    step = line.build(*make(job.classes))
    memory.settle()
    how = memory.reset_peak()
    _, _, loss = timed(step, clock)
    timed(step, clock)
    given = 4 * DIM * (job.batch + 2 * job.classes)
    extra = memory.peak() - before - given if memory.peak() else None

    products = Floor(*make(job.classes))
    products.timed(clock)
    pairs = [(products.timed(clock), *timed(step, clock)[:2]) for _ in range(job.repetitions)]
    metrics = step.metrics()
    del step, products
    result = {
        "seconds": statistics.median(first + second for _, first, second in pairs),
        "loss_seconds": statistics.median(first for _, first, _ in pairs),
        "update_seconds": statistics.median(second for _, _, second in pairs),
        "floor": statistics.median(floor for floor, _, _ in pairs),
        "ratio": statistics.median((first + second) / floor for floor, first, second in pairs),
        "repetitions": job.repetitions,
        "loss": loss,
        "extra_bytes": extra,
        "memory_by": how,
        "report": metrics,
    }
    if line.truncated and not job.wall:
        result |= left_out(line, *make(job.classes))
    return result


def pin(threads: int) -> None:
    """This process on the last cores that it may use, one a thread; `Absent` where too few are."""
    torch.set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise Absent(f"{threads} threads on {len(cores)} cores")
        os.sched_setaffinity(0, cores[-threads:])


def drawn(job: Job) -> Callable[[int], tuple[Tensor, Tensor, Tensor]]:
    """Classes → embeddings (N, D), a leaf with gradient; labels (N,); centres (C, D)."""
    if job.trained:
        trained, draw = Trained.open(job.trained), torch.Generator().manual_seed(0)
        every = trained.centres_like(job.classes, draw)  # once: it takes longer than a step
        some, theirs = trained.embeddings_like(every, job.batch, draw)

        def again(classes: int) -> tuple[Tensor, Tensor, Tensor]:
            return some.clone().requires_grad_(), theirs % classes, every[:classes].clone()

        return again

    def make(classes: int) -> tuple[Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(job.batch, DIM, generator=draw).requires_grad_()
        labels = torch.randint(0, classes, (job.batch,), generator=draw)
        return x, labels, torch.randn(classes, DIM, generator=draw).mul_(0.01)

    return make


class Floor:
    """The three products, into buffers that are there."""

    def __init__(self, x: Tensor, labels: Tensor, centres: Tensor) -> None:
        self.x, self.centres = x.detach(), centres
        self.logits = torch.zeros(len(x), len(centres))
        self.dx, self.dw = torch.zeros_like(self.x), torch.zeros_like(centres)

    def timed(self, clock: Clock) -> float:
        """Seconds of all three."""
        start = clock()
        torch.mm(self.x, self.centres.T, out=self.logits)
        torch.mm(self.logits, self.centres, out=self.dx)
        torch.mm(self.logits.T, self.x, out=self.dw)
        return clock() - start


def timed(step: Step, clock: Clock) -> tuple[float, float, float]:
    """Seconds of the loss with its backward, seconds of the update, and the loss."""
    start = clock()
    loss = step.loss()
    middle = clock()
    step.update()
    return middle - start, clock() - middle, float(loss)


def left_out(line: Line, x: Tensor, labels: Tensor, centres: Tensor) -> dict[str, Any]:
    """How far a truncated gradient is from the whole one."""
    truth = errors.gradients(LINES["fp32"], x, labels, centres)
    got = errors.gradients(line, x, labels, centres)
    assert truth is not None
    assert got is not None
    return {"errors": errors.relative(got, truth, labels)}
