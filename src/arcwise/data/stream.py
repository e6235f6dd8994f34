"""The pictures of a data set without end, mixed but read from front to back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Windowed
from arcwise.errors import ImageError


def stream(
    manifest: Manifest, *, seed: int, buffer: int = 2048, position: int = 0
) -> Iterator[tuple[int, bytes | ImageError]]:
    """(row, bytes of its picture) in the order of `Windowed`, epoch after epoch, without end.

    The pictures of a window are read in the order in which they lie, and wait in memory for
    their turn. From a position on it gives what an uninterrupted one would give there, without
    reading what came before.

    Args:
        manifest: with images, its rows in the order in which they lie.
        seed: of the order.
        buffer: pictures that are mixed with one another, and wait.
        position: how many have been taken already.
    """
    rows = len(manifest)
    sampler = Windowed(rows, 1, seed, window=buffer)
    while True:
        epoch, place = divmod(position, rows)
        end = min((place // buffer + 1) * buffer, rows)
        taken = sampler.order(epoch)[place:end]
        waiting = {row: _read(manifest, row) for row in np.sort(taken).tolist()}
        for row in taken.tolist():
            yield row, waiting.pop(row)
        position += end - place


def _read(manifest: Manifest, row: int) -> bytes | ImageError:
    try:
        return manifest.read(row)
    except ImageError as error:
        return error
