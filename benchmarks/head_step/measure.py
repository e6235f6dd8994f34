"""One line in this process: CPU time of a step, its peak memory, and the floor under it.

The floor is three fp32 matrix products of the full size into buffers that are already there:
X·Wᵀ, G·W and Gᵀ·X. Half of its times are taken before the steps and half after them.
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

from . import errors, memory
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
        """7 for milliseconds, 3 for seconds, 1 where a step takes a minute."""
        limits = ((2_000_000, 7), (100_000_000, 3), (200_000_000, 2))
        pairs = self.batch * self.classes
        return next((repeats for limit, repeats in limits if pairs <= limit), 1)


def run(job: Job) -> dict[str, Any]:
    """Everything measured about this line, ready to be written as JSON.

    Raises:
        Absent: the line cannot be measured here.
    """
    torch.manual_seed(0)  # lines that sample classes
    clock = time.perf_counter if job.wall else time.process_time
    make = drawn(job)
    floors = floor(*make(job.classes), job.repetitions, clock)
    if job.line == "floor":
        return {"floor": statistics.median(floors), "repetitions": job.repetitions}
    line = LINES[job.line]
    timed(line.build(*make(job.classes if line.compiled else REHEARSAL)), clock)
    memory.settle()
    before = memory.resident()

    step = line.build(*make(job.classes))
    memory.settle()
    how = memory.reset_peak()
    _, _, loss = timed(step, clock)
    times = [timed(step, clock) for _ in range(job.repetitions)]
    given = 4 * DIM * (job.batch + 2 * job.classes)
    extra = memory.peak() - before - given if memory.peak() else None
    report = step.report()
    del step

    memory.settle()
    floors += floor(*make(job.classes), job.repetitions, clock)
    result = {
        "seconds": statistics.median(first + second for first, second, _ in times),
        "loss_seconds": statistics.median(first for first, _, _ in times),
        "update_seconds": statistics.median(second for _, second, _ in times),
        "repetitions": job.repetitions,
        "floor": statistics.median(floors),
        "loss": loss,
        "extra_bytes": extra,
        "memory_by": how,
        "report": report,
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


def floor(x: Tensor, labels: Tensor, centres: Tensor, repeats: int, clock: Clock) -> list[float]:
    """Times of the three products, after a first time that does not count."""
    x = x.detach()
    logits = torch.zeros(len(x), len(centres))
    dx, dw = torch.zeros_like(x), torch.zeros_like(centres)
    times = []
    for _ in range(repeats + 1):
        start = clock()
        torch.mm(x, centres.T, out=logits)
        torch.mm(logits, centres, out=dx)
        torch.mm(logits.T, x, out=dw)
        times.append(clock() - start)
    return times[1:]


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
