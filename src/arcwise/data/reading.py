"""Every picture of a data set in turn; the ones that cannot be used are handed on, not dropped."""

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
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.data.picture import open_container, read_picture, split_container
from arcwise.errors import ImageError
from arcwise.images import decode

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

Found = tuple[int, bytes | ImageError]

_ROWS = 8192  # of the table at once
_INTO = rf"^(?P<container>(?i:.*?(?:{'|'.join(map(re.escape, KINDS))})))/"
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


def each_file(manifest: Manifest, start: int = 0) -> Iterator[Found]:
    """(row, bytes of its picture) from a row on, in order, or why it cannot be read.

    Nothing is decoded, and one picture is in memory at a time. The system reads ahead; a thread
    that does so too is slower, for it and its user wait for the interpreter by turns.
    """
    root, images = manifest.root, manifest.table.column("image")
    place, container = "", None
    for first in range(start, len(manifest), _ROWS):
        for row, ref in enumerate(images.slice(first, _ROWS).to_pylist(), first):
            try:
                if container is None or not ref.startswith(place):
                    place, container = _container(manifest, ref)
                if container is None:
                    yield row, read_picture(root, ref)
                else:
                    yield row, container.read(ref[len(place) :], ref)
            except ImageError as error:
                yield row, error


def containers(manifest: Manifest) -> list[Path]:
    """The files that hold a manifest's pictures, several each; that of a folder are none."""
    refs = manifest.table.column("image").combine_chunks()
    found = pc.struct_field(pc.extract_regex(refs, _INTO), "container").unique().drop_null()
    paths = [manifest.root, *(manifest.root / ref for ref in sorted(found.to_pylist()))]
    return [path for path in paths if path.is_file()]


def _container(manifest: Manifest, ref: str) -> tuple[str, Container | None]:
    """The part of a ref that names its container, and the container; None for a plain file."""
    path, member = split_container(join(manifest.root, ref))
    if path is None or not ref.endswith(f"/{member}"):
        return "", None
    return ref[: len(ref) - len(member)], open_container(path)
