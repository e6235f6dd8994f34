"""Batches of decoded images, read ahead by worker processes and cached once decoded.

The images are cached a little larger than the network's input; augmentation crops its views from
there. While they fit the memory set aside for them, a second epoch decodes nothing.
"""

from __future__ import annotations

import math
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import Preparation, decode

_AHEAD = 4


@dataclass(frozen=True)
class LoadedBatch:
    """The images of one step, and those that could not be read.

    Attributes:
        rows: (B,) int64, which rows of the manifest these are.
        positions: (B,) int64, where they stood among the rows of the plan.
        pixels: (B, H, W, 3) uint8 RGB, valid until the next batch is taken.
        labels: (B,) int64.
        failures: the images left out, with the reason.
        digests: (B,) int64, `content_digest` of each image file.
        columns: (B,) of each requested column.
    """

    rows: Tensor
    positions: Tensor
    pixels: Tensor
    labels: Tensor
    failures: tuple[ImageError, ...]
    digests: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    columns: Mapping[str, Tensor] = field(default_factory=dict)


class CachedImages:
    """A manifest's images at one size, with their labels and the columns that a training reads.

    Attributes:
        manifest: the data set.
        labels: (N,) int64.
        preparation: the size, and how an image of another shape becomes it.
        columns: (N,) of each column.
        align: turns a face by its landmarks before it is prepared; None for no alignment. An image
            without landmarks is taken as it is.
    """

    def __init__(
        self,
        manifest: Manifest,
        labels: np.ndarray,
        preparation: Preparation,
        cache_bytes: int,
        *,
        columns: Mapping[str, np.ndarray] | None = None,
        align: Callable[[np.ndarray, list[float]], np.ndarray] | None = None,
    ) -> None:
        self.manifest = manifest
        self.labels = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
        self.preparation = preparation
        self.columns = {name: torch.from_numpy(one) for name, one in (columns or {}).items()}
        self.align = align
        self._cache: Tensor | None = None
        if math.prod(self.shape(len(manifest))) <= min(cache_bytes, _shared_memory()):
            # Shared by the workers: an image that one of them decodes is decoded for all.
            with suppress(RuntimeError):  # a limit on the size of files is one on shared memory
                cache = torch.empty(self.shape(len(manifest)), dtype=torch.uint8).share_memory_()
                self._cached = torch.zeros(len(manifest), dtype=torch.bool).share_memory_()
                self._digests = torch.zeros(len(manifest), dtype=torch.int64).share_memory_()
                self._cache = cache

    def shape(self, images: int) -> tuple[int, int, int, int]:
        """Return the shape of an array of this many images."""
        return images, self.preparation.height, self.preparation.width, 3

    def read_into(self, pixels: Tensor, rows: np.ndarray) -> _ReadRows:
        """Write the images of these rows into `pixels`, leaving out those that cannot be read.

        Args:
            pixels: (at least as many as rows, H, W, 3) uint8; the first B are written.
            rows: (N,) of the manifest.
        """
        index = torch.from_numpy(rows)
        if self._cache is not None and bool(self._cached[index].all()):
            torch.index_select(self._cache, 0, index, out=pixels[: len(rows)])
            return _ReadRows(np.arange(len(rows)), self._digests[index].numpy(), ())
        array = pixels.numpy()
        positions: list[int] = []
        digests: list[int] = []
        failures: list[ImageError] = []
        # All files are read before the first is decoded, while the CPU's caches still hold what
        # reading uses.
        files = [self._file(row) for row in rows.tolist()]
        for position, (row, file) in enumerate(zip(rows.tolist(), files, strict=True)):
            try:
                digests.append(self._decode_into(array[len(positions)], row, file))
                positions.append(position)
            except ImageError as error:
                failures.append(error)
        return _ReadRows(
            np.array(positions, np.int64), np.array(digests, np.int64), tuple(failures)
        )

    def _is_cached(self, row: int) -> bool:
        return self._cache is not None and bool(self._cached[row])

    def _file(self, row: int) -> bytes | ImageError:
        """Return an image's file, empty where its pixels are cached, or why it cannot be read."""
        try:
            return b"" if self._is_cached(row) else self.manifest.read(row)
        except ImageError as error:
            return error

    def _decode_into(self, array: np.ndarray, row: int, file: bytes | ImageError) -> int:
        """Write an image's pixels into the array and return the digest of its file."""
        if isinstance(file, ImageError):
            raise file
        if self._is_cached(row):
            assert self._cache is not None, "it holds the row"
            array[:] = self._cache.numpy()[row]
            return int(self._digests[row])
        image = decode(file, self.manifest.image(row))
        self.preparation.pixels(self._aligned(image, row), array)
        digest = content_digest(file)
        if self._cache is not None:
            self._cache.numpy()[row] = array
            self._digests[row] = digest
            self._cached[row] = True
        return digest

    def _aligned(self, image: np.ndarray, row: int) -> np.ndarray:
        table = self.manifest.table
        if self.align is None or "landmarks" not in table.column_names:
            return image
        landmarks = table.column("landmarks")[row].as_py()
        try:
            return image if landmarks is None else self.align(image, landmarks)
        except ArcwiseError as problem:
            raise ImageError(self.manifest.image(row), str(problem)) from None


def batches(
    images: CachedImages, plan: Iterable[np.ndarray], *, workers: int
) -> Iterator[LoadedBatch]:
    """Yield the batches of these rows, in order, read ahead by `workers` processes.

    The order of batches and of rows within them does not depend on the number of workers; with 0
    the images are read in this process.

    Args:
        images: what to read.
        plan: (N,) rows of each batch; none has more than the first.
        workers: processes.
    """
    planned = iter(plan)
    first = next(planned, None)
    if first is None:
        return iter(())
    slots = _Slots(images, len(first), workers)
    tasks = ((number % len(slots), rows) for number, rows in enumerate(chain([first], planned)))
    with warnings.catch_warnings():  # more workers than cores are the user's choice
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            slots,
            batch_sampler=tasks,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_unchanged,  # type: ignore[arg-type]
            worker_init_fn=_start_worker,
            prefetch_factor=slots.ahead if workers else None,
        )
        return map(slots.batch, iter(loader))


class _ReadRows(NamedTuple):
    """(B,) the positions of the rows that were read and their digests; why others were not."""

    positions: np.ndarray
    digests: np.ndarray
    failures: tuple[ImageError, ...]


class _FilledSlot(NamedTuple):
    """A worker's message: which rows it wrote into a slot."""

    slot: int
    rows: np.ndarray
    read: _ReadRows


class _Slots(Dataset[_FilledSlot]):
    """Memory that the workers share, for as many batches as they are ahead and the one in use.

    Slots are written again and again: fresh pages would cost as much as reading the images does.
    Only pixels go through them; labels and columns are looked up by row in this process.
    """

    def __init__(self, images: CachedImages, most: int, workers: int) -> None:
        self.images = images
        shape = images.shape(most)
        fit = _shared_memory() // (max(math.prod(shape), 1) * max(workers, 1))
        self.ahead = min(max(fit, 1), _AHEAD)  # batches a worker
        slots = torch.empty((self.ahead * workers + 1, *shape), dtype=torch.uint8)
        self.pixels = slots.share_memory_() if workers else slots

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, task: tuple[int, np.ndarray]) -> _FilledSlot:
        slot, rows = task
        read = self.images.read_into(self.pixels[slot], rows)
        return _FilledSlot(slot, rows[read.positions], read)

    def batch(self, filled: _FilledSlot) -> LoadedBatch:
        rows = torch.from_numpy(filled.rows)
        return LoadedBatch(
            rows,
            torch.from_numpy(filled.read.positions),
            self.pixels[filled.slot, : len(rows)],
            self.images.labels[rows],
            filled.read.failures,
            filled.read.digests,
            {name: values[rows] for name, values in self.images.columns.items()},
        )


def _shared_memory() -> int:
    """Return how many bytes worker processes can share; a container often has little."""
    try:
        return int(0.8 * shutil.disk_usage("/dev/shm").free)
    except OSError:  # a system that shares memory in another way
        return sys.maxsize


def _unchanged(filled: _FilledSlot) -> _FilledSlot:
    return filled


def _start_worker(worker: int) -> None:
    """Use one thread, as the cores belong to the network, and ignore the signals that stop a run.

    A terminal or a service manager sends its signals to the workers too. The training process has
    to end its step first; a worker ends when that process does.
    """
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
