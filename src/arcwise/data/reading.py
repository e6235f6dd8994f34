"""The images of a data set in order; an image that cannot be used gives an error in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from os.path import join
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.containers import KINDS, Container
from arcwise.data.image_files import open_container, read_image_bytes, split_container
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.errors import ImageError
from arcwise.images import decode

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_ROWS = 8192  # of the table at once
_INTO = rf"^(?P<container>(?i:.*?(?:{'|'.join(map(re.escape, KINDS))})))/"
T = TypeVar("T")


def each_image(
    manifest: Manifest,
    work: Callable[[int, bytes, NDArray[np.uint8]], T],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[T | ImageError]:
    """Yield work(row, file's bytes, pixels) for every row in order, or why its image is unusable.

    Args:
        manifest: with images.
        work: called on several threads at once. An ImageError that it raises is yielded as well.
        workers: threads; as many as there are cores when not given.
        progress: called with the images done and their total.
    """

    def one(row: int) -> T | ImageError:
        try:
            data = manifest.read(row)
            return work(row, data, decode(data, manifest.image(row)))
        except ImageError as error:
            return error

    return each_row(one, len(manifest), workers=workers, progress=progress)


def each_file(manifest: Manifest, start: int = 0) -> Iterator[tuple[int, bytes | ImageError]]:
    """Yield (row, bytes of its image) from a row on, in order, or why it cannot be read.

    Nothing is decoded, and one image is in memory at a time. The system reads ahead. A thread that
    reads ahead as well would be slower, since it competes for the interpreter.
    """
    root, images = manifest.root, manifest.table.column("image")
    place, container = "", None
    for first in range(start, len(manifest), _ROWS):
        for row, ref in enumerate(images.slice(first, _ROWS).to_pylist(), first):
            try:
                if container is None or not ref.startswith(place):
                    place, container = _container(manifest, ref)
                if container is None:
                    yield row, read_image_bytes(root, ref)
                else:
                    yield row, container.read(ref[len(place) :], ref)
            except ImageError as error:
                yield row, error


def containers(manifest: Manifest) -> list[Path]:
    """Return the container files that hold a manifest's images; none for a folder of files."""
    refs = manifest.table.column("image").combine_chunks()
    names = pc.struct_field(pc.extract_regex(refs, _INTO), "container").unique().drop_null()
    paths = [manifest.root, *(manifest.root / ref for ref in sorted(names.to_pylist()))]
    return [path for path in paths if path.is_file()]


def _container(manifest: Manifest, ref: str) -> tuple[str, Container | None]:
    """Return the part of a ref that names its container, and the container or None."""
    path, member = split_container(join(manifest.root, ref))
    if path is None or not ref.endswith(f"/{member}"):
        return "", None
    return ref[: len(ref) - len(member)], open_container(path)
