"""The one place that knows about ranks. With one process, nothing happens here.

Under ``torchrun`` each rank takes its part of every batch and the gradients are averaged, so a run
sees the same pictures in the same steps on any number of ranks.
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
    """This process's number, 0 when it is alone."""
    return dist.get_rank() if _many() else 0


def first() -> bool:
    """Whether this process speaks for all: it is the first of those `torchrun` started, or alone.

    Unlike `rank`, it is known before the processes have met.
    """
    return os.environ.get("RANK", "0") == "0"


def supervised() -> bool:
    """Whether `torchrun` started this process; it ends those that do not stop in time."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _many() else 1


@contextmanager
def started(device: torch.device) -> Iterator[None]:
    """A process group for the time of the block, when `torchrun` started several processes."""
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
    """This rank's part of a batch's rows: every size()-th."""
    return rows[rank() :: size()]


@torch.no_grad()
def same_start(*modules: nn.Module) -> None:
    """Give every rank the first one's parameters and buffers."""
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
    """The largest of each number (int64) over the ranks."""
    if not _many():
        return numbers
    found = torch.from_numpy(numbers.copy())
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return found.numpy()


def anywhere(here: bool) -> bool:
    """Whether something is so on any rank: what stops one has to stop all of them."""
    if not _many():
        return here
    found = torch.tensor(int(here))
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def wait() -> None:
    """Until every rank is here."""
    if _many():
        dist.barrier()


def _many() -> bool:
    return dist.is_available() and dist.is_initialized()
