"""Rows of numbers in the machine's own memory, whatever device computes with some of them."""

from __future__ import annotations

import math
import os
import shutil
import tempfile

import numpy as np
import torch
from torch import Tensor

from arcwise.errors import ArcwiseError

SHARE = 1 / 8
"""Share of the machine's memory above which rows are kept in a memory-mapped file."""


def host_zeros(shape: tuple[int, ...]) -> Tensor:
    """Return zeros, float32, in memory or above a size in a memory-mapped file.

    The file has no name, is in the folder for temporary files (TMPDIR), and is gone with the
    tensor.

    Raises:
        ArcwiseError: there is no room for the file.
    """
    size = 4 * math.prod(shape)
    if size <= SHARE * _memory():
        return torch.zeros(shape)
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would show in the middle of a run
                os.posix_fallocate(file.fileno(), 0, size)
            return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
    except OSError as problem:
        free = shutil.disk_usage(folder).free
        raise ArcwiseError(
            f"{shape[0]:,} prototypes of {shape[-1]} numbers take {size / 1e9:.2f} GB, and "
            f"{folder} has {free / 1e9:.2f} GB free ({problem.strerror}); set TMPDIR to a folder "
            "with room, or lower --dim"
        ) from None


def _memory() -> int:
    """Return the machine's memory in bytes; 8 GiB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30
