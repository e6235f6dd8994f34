"""Batches of decoded pictures, read ahead by worker processes and kept once decoded.

The pictures are kept at a canvas a little larger than the network's input; augmentation cuts its
views from there. While they fit the memory set aside for them, a second epoch decodes nothing.
"""

from __future__ import annotations

import math
import shutil
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from arcwise.data.manifest import Manifest
from arcwise.errors import ImageError
from arcwise.images import Preparation, decode


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, and those that could not be read.

    Attributes:
        rows: (B,) int64, which rows of the manifest these are.
        places: (B,) int64, where they stood among the rows asked for.
        pixels: (B, H, W, 3) uint8 RGB on the canvas.
        labels: (B,) int64.
        failures: the pictures left out, with the reason.
    """

    rows: Tensor
    places: Tensor
    pixels: Tensor
    labels: Tensor
    failures: tuple[ImageError, ...]


class Pictures(Dataset[Batch]):
    """A manifest's pictures at one canvas size; whole batches are asked for at once."""

    def __init__(
        self, manifest: Manifest, labels: np.ndarray, canvas: Preparation, keep_bytes: int
    ) -> None:
        self.manifest = manifest
        self.labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
        self.canvas = canvas
        shape = (len(manifest), canvas.height, canvas.width, 3)
        self.kept: Tensor | None = None
        if math.prod(shape) <= min(keep_bytes, _shared_memory()):
            # Shared by the workers: whichever decodes a picture first decodes it for all.
            self.kept = torch.empty(shape, dtype=torch.uint8).share_memory_()
            self.is_kept = torch.zeros(len(manifest), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitems__(self, rows: list[int]) -> Batch:
        """The batch of these rows; unreadable pictures are left out of it and listed."""
        index = torch.tensor(rows, dtype=torch.int64)
        if self.kept is not None and bool(self.is_kept[index].all()):
            return Batch(index, torch.arange(len(rows)), self.kept[index], self.labels[index], ())
        pixels, good, failures = [], [], []
        for place, row in enumerate(rows):
            try:
                pixels.append(self._pixels(row))
                good.append(place)
            except ImageError as error:
                failures.append(error)
        places = torch.tensor(good, dtype=torch.int64)
        index = index[places]
        shape = (0, self.canvas.height, self.canvas.width, 3)
        stacked = torch.stack(pixels) if pixels else torch.empty(shape, dtype=torch.uint8)
        return Batch(index, places, stacked, self.labels[index], tuple(failures))

    def _pixels(self, row: int) -> Tensor:
        if self.kept is not None and self.is_kept[row]:
            return self.kept[row]
        image = decode(self.manifest.read(row), self.manifest.image(row))
        pixels = torch.from_numpy(self.canvas.pixels(image))
        if self.kept is not None:
            self.kept[row] = pixels
            self.is_kept[row] = True
        return pixels


def batches(
    pictures: Pictures, plan: Iterable[np.ndarray], *, workers: int, pin: bool = False
) -> Iterator[Batch]:
    """The batches of these rows, in order, read ahead by `workers` processes.

    The order of batches and of rows within them does not depend on the number of workers; with 0
    the pictures are read in this process.
    """
    with warnings.catch_warnings():  # more workers than cores are the user's choice
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            pictures,
            batch_sampler=(rows.tolist() for rows in plan),  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            worker_init_fn=_start_worker,
            prefetch_factor=4 if workers else None,
            pin_memory=pin,
        )
        return iter(loader)


def _shared_memory() -> int:
    """Bytes that worker processes can share; a container often has little, and dies beyond it."""
    try:
        return int(0.8 * shutil.disk_usage("/dev/shm").free)
    except OSError:  # a system that shares memory in another way
        return sys.maxsize


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _start_worker(worker: int) -> None:
    """One thread a worker: the cores belong to the network. Ctrl-C is the training process's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
