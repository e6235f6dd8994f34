"""The images of a data set in endless epochs, shuffled but read in the order on disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Windowed
from arcwise.errors import ImageError


def stream(
    manifest: Manifest, *, seed: int, buffer: int = 2048, position: int = 0
) -> Iterator[tuple[int, bytes | ImageError]]:
    """Yield (row, bytes of its image) in the order of `Windowed`, epoch after epoch.

    The images of a window are read in the order on disk and kept in memory until their turn. A
    stream from a position on yields what an uninterrupted one would, without reading what came
    before.

    Args:
        manifest: with images, its rows in the order on disk.
        seed: of the order.
        buffer: images that are shuffled with one another and kept in memory.
        position: how many were taken before.
    """
    rows = len(manifest)
    sampler = Windowed(rows, 1, seed, window=buffer)
    while True:
        epoch, first = divmod(position, rows)
        end = min((first // buffer + 1) * buffer, rows)
        window = sampler.order(epoch)[first:end]
        files = {row: _read(manifest, row) for row in np.sort(window).tolist()}
        for row in window.tolist():
            yield row, files.pop(row)
        position += end - first


def _read(manifest: Manifest, row: int) -> bytes | ImageError:
    try:
        return manifest.read(row)
    except ImageError as error:
        return error
