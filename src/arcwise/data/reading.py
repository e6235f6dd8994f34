"""Every picture of a data set in turn; the ones that cannot be used are handed on, not dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.errors import ImageError
from arcwise.images import decode

T = TypeVar("T")


def each_picture(
    manifest: Manifest,
    work: Callable[[int, bytes, NDArray[np.uint8]], T],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[T | ImageError]:
    """work(row, file's bytes, pixels) for every row in order, or why its picture cannot be used.

    Args:
        manifest: with images.
        work: what to do with a picture; on several threads at once. An ImageError it raises
            is handed on as well.
        workers: threads; as many as there are cores when not given.
        progress: called with the pictures done and their total.
    """

    def one(row: int) -> T | ImageError:
        try:
            data = manifest.read(row)
            return work(row, data, decode(data, manifest.image(row)))
        except ImageError as error:
            return error

    return each_row(one, len(manifest), workers=workers, progress=progress)
