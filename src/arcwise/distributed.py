"""The only module that knows about ranks. With one process its functions do nothing.

Under ``torchrun`` each rank takes its part of every batch and the gradients are averaged, so a run
trains on the same images in the same steps on any number of ranks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """Return this process's number, 0 when it is alone."""
    return dist.get_rank() if _many() else 0


def first() -> bool:
    """Return whether this process writes for all: it is the first of `torchrun`, or the only one.

    Unlike `rank`, it needs no process group.
    """
    return os.environ.get("RANK", "0") == "0"


def supervised() -> bool:
    """Return whether `torchrun` started this process, which ends those that do not stop in time."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _many() else 1


@contextmanager
def started(device: torch.device) -> Iterator[None]:
    """Make a process group for the time of the block, if `torchrun` started several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # "cuda" is then this rank's own
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def share(rows: np.ndarray) -> np.ndarray:
    """Return this rank's part of a batch's rows: every size()-th."""
    return rows[rank() :: size()]


@torch.no_grad()
def same_start(*modules: nn.Module) -> None:
    """Copy the first rank's parameters and buffers to every other."""
    if _many():
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the ranks."""
    if _many():
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= size()


@torch.no_grad()
def average_statistics(module: nn.Module) -> None:
    """Replace every running statistic of a module by its mean over the ranks."""
    if _many():
        for buffer in module.buffers():
            if buffer.dtype.is_floating_point:
                dist.all_reduce(buffer)
                buffer.div_(size())


def largest(numbers: np.ndarray) -> np.ndarray:
    """Return the largest of each number (int64) over the ranks."""
    if not _many():
        return numbers
    most = torch.from_numpy(numbers.copy())
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return most.numpy()


def anywhere(condition: bool) -> bool:
    """Return whether the condition holds on any rank: what stops one has to stop all of them."""
    if not _many():
        return condition
    most = torch.tensor(int(condition))
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return bool(most)


def wait() -> None:
    """Wait until every rank has called this."""
    if _many():
        dist.barrier()


def _many() -> bool:
    return dist.is_available() and dist.is_initialized()
