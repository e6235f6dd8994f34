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
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from arcwise.data.digests import content_digest
from arcwise.data.manifest import Manifest
from arcwise.errors import ImageError
from arcwise.images import Preparation, decode

_AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, and those that could not be read.

    Attributes:
        rows: (B,) int64, which rows of the manifest these are.
        places: (B,) int64, where they stood among the rows asked for.
        pixels: (B, H, W, 3) uint8 RGB on the canvas, until the next batch is asked for.
        labels: (B,) int64.
        failures: the pictures left out, with the reason.
        digests: (B,) int64, `content_digest` of each picture's file.
    """

    rows: Tensor
    places: Tensor
    pixels: Tensor
    labels: Tensor
    failures: tuple[ImageError, ...]
    digests: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


class Pictures:
    """A manifest's pictures at one canvas size."""

    def __init__(
        self, manifest: Manifest, labels: np.ndarray, canvas: Preparation, keep_bytes: int
    ) -> None:
        self.manifest = manifest
        self.labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
        self.canvas = canvas
        self.kept: Tensor | None = None
        if math.prod(self.shape(len(manifest))) <= min(keep_bytes, _shared_memory()):
            # Shared by the workers: whichever decodes a picture first decodes it for all.
            with suppress(RuntimeError):  # a limit on the size of files is one on shared memory
                kept = torch.empty(self.shape(len(manifest)), dtype=torch.uint8).share_memory_()
                self.is_kept = torch.zeros(len(manifest), dtype=torch.bool).share_memory_()
                self.digests = torch.zeros(len(manifest), dtype=torch.int64).share_memory_()
                self.kept = kept

    def shape(self, pictures: int) -> tuple[int, int, int, int]:
        """Of an array of so many pictures."""
        return pictures, self.canvas.height, self.canvas.width, 3

    def read_into(self, pixels: Tensor, rows: np.ndarray) -> _Read:
        """The places of the rows that could be read, and why the others could not.

        Args:
            pixels: (at least as many as rows, H, W, 3) uint8; the first B are written.
            rows: (N,) of the manifest.
        """
        index = torch.from_numpy(rows)
        if self.kept is not None and bool(self.is_kept[index].all()):
            torch.index_select(self.kept, 0, index, out=pixels[: len(rows)])
            return _Read(np.arange(len(rows)), self.digests[index].numpy(), ())
        array = pixels.numpy()
        places: list[int] = []
        digests: list[int] = []
        failures: list[ImageError] = []
        # All are read before the first is decoded: what reading runs through is still in the cache.
        files = [self._file(row) for row in rows.tolist()]
        for place, (row, file) in enumerate(zip(rows.tolist(), files, strict=True)):
            try:
                digests.append(self._decode_into(array[len(places)], row, file))
                places.append(place)
            except ImageError as error:
                failures.append(error)
        return _Read(np.array(places, np.int64), np.array(digests, np.int64), tuple(failures))

    def _is_kept(self, row: int) -> bool:
        return self.kept is not None and bool(self.is_kept[row])

    def _file(self, row: int) -> bytes | ImageError:
        """The file of a picture, empty where its pixels are kept, or why it cannot be read."""
        try:
            return b"" if self._is_kept(row) else self.manifest.read(row)
        except ImageError as error:
            return error

    def _decode_into(self, array: np.ndarray, row: int, file: bytes | ImageError) -> int:
        """The digest of the picture's file, the pixels of which are then in the array."""
        if isinstance(file, ImageError):
            raise file
        if self._is_kept(row):
            assert self.kept is not None, "it holds the row"
            array[:] = self.kept.numpy()[row]
            return int(self.digests[row])
        self.canvas.pixels(decode(file, self.manifest.image(row)), array)
        digest = content_digest(file)
        if self.kept is not None:
            self.kept.numpy()[row] = array
            self.digests[row] = digest
            self.is_kept[row] = True
        return digest


def batches(pictures: Pictures, plan: Iterable[np.ndarray], *, workers: int) -> Iterator[Batch]:
    """The batches of these rows, in order, read ahead by `workers` processes.

    The order of batches and of rows within them does not depend on the number of workers; with 0
    the pictures are read in this process.

    Args:
        pictures: what to read.
        plan: (N,) rows of each batch; none has more than the first.
        workers: processes.
    """
    asked = iter(plan)
    first = next(asked, None)
    if first is None:
        return iter(())
    slots = _Slots(pictures, len(first), workers)
    tasks = ((number % len(slots), rows) for number, rows in enumerate(chain([first], asked)))
    with warnings.catch_warnings():  # more workers than cores are the user's choice
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            slots,
            batch_sampler=tasks,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            worker_init_fn=_start_worker,
            prefetch_factor=slots.ahead if workers else None,
        )
        return map(slots.batch, iter(loader))


class _Read(NamedTuple):
    """(B,) the places of pictures that were read, their files' digests; why others were not."""

    places: np.ndarray
    digests: np.ndarray
    failures: tuple[ImageError, ...]


class _Filled(NamedTuple):
    """What a worker says of a slot that it filled."""

    slot: int
    rows: np.ndarray
    read: _Read


class _Slots(Dataset[_Filled]):
    """Memory that the workers share, for as many batches as they are ahead and the one in use.

    Written again and again: fresh pages would cost as much as reading the pictures does.
    """

    def __init__(self, pictures: Pictures, most: int, workers: int) -> None:
        self.pictures = pictures
        shape = pictures.shape(most)
        fit = _shared_memory() // (max(math.prod(shape), 1) * max(workers, 1))
        self.ahead = min(max(fit, 1), _AHEAD)  # batches a worker
        slots = torch.empty((self.ahead * workers + 1, *shape), dtype=torch.uint8)
        self.pixels = slots.share_memory_() if workers else slots

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, task: tuple[int, np.ndarray]) -> _Filled:
        slot, rows = task
        read = self.pictures.read_into(self.pixels[slot], rows)
        return _Filled(slot, rows[read.places], read)

    def batch(self, filled: _Filled) -> Batch:
        rows = torch.from_numpy(filled.rows)
        return Batch(
            rows,
            torch.from_numpy(filled.read.places),
            self.pixels[filled.slot, : len(rows)],
            self.pictures.labels[rows],
            filled.read.failures,
            filled.read.digests,
        )


def _shared_memory() -> int:
    """Bytes that worker processes can share; a container often has little, and dies beyond it."""
    try:
        return int(0.8 * shutil.disk_usage("/dev/shm").free)
    except OSError:  # a system that shares memory in another way
        return sys.maxsize


def _as_it_is(filled: _Filled) -> _Filled:
    return filled


def _start_worker(worker: int) -> None:
    """One thread a worker: the cores belong to the network. It ends when the training process does.

    A terminal or a service manager sends its signals to both, and that one has to end its step.
    """
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
