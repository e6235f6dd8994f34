"""The files of a data set one after the other, byte for byte, read ahead of whoever wants them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os.path import join
from pathlib import Path
from typing import Any

import pyarrow.compute

from arcwise.data.containers import KINDS, Container
from arcwise.data.manifest import Manifest
from arcwise.data.picture import open_container, read_picture, split_container
from arcwise.errors import ImageError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

Found = tuple[int, bytes | ImageError]

_ROWS = 8192  # of the table at once
_BATCH_BYTES, _BATCH_ROWS = 2**21, 1024
_AHEAD = 3  # batches
_INTO = rf"^(?P<container>(?i:.*?(?:{'|'.join(map(re.escape, KINDS))})))/"


def each_file(manifest: Manifest, start: int = 0) -> Iterator[Found]:
    """(row, bytes of its picture) from a row on, in order, or why it cannot be read.

    Nothing is decoded. A thread reads some megabytes ahead, whatever the size of the data set.
    """
    files = _each(manifest, start)
    with ThreadPoolExecutor(1, thread_name_prefix="arcwise-read") as pool:
        try:
            waiting = deque(pool.submit(_batch, files) for _ in range(_AHEAD))
            while batch := waiting.popleft().result():
                waiting.append(pool.submit(_batch, files))
                yield from batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def containers(manifest: Manifest) -> list[Path]:
    """The files that hold a manifest's pictures, several each; that of a folder are none."""
    refs = manifest.table.column("image").combine_chunks()
    found = pc.struct_field(pc.extract_regex(refs, _INTO), "container").unique().drop_null()
    paths = [manifest.root, *(manifest.root / ref for ref in sorted(found.to_pylist()))]
    return [path for path in paths if path.is_file()]


def _batch(files: Iterator[Found]) -> list[Found]:
    """The next megabytes; empty at the end."""
    batch, held = [], 0
    for found in islice(files, _BATCH_ROWS):
        batch.append(found)
        held += len(found[1]) if isinstance(found[1], bytes) else 0
        if held >= _BATCH_BYTES:
            break
    return batch


def _each(manifest: Manifest, start: int) -> Iterator[Found]:
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


def _container(manifest: Manifest, ref: str) -> tuple[str, Container | None]:
    """The part of a ref that names its container, and the container; None for a plain file."""
    path, member = split_container(join(manifest.root, ref))
    if path is None or not ref.endswith(f"/{member}"):
        return "", None
    return ref[: len(ref) - len(member)], open_container(path)
