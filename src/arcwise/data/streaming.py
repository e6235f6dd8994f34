"""The files of a data set one after the other, byte for byte, whatever they lie in."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_INTO = rf"^(?P<container>(?i:.*?(?:{'|'.join(map(re.escape, KINDS))})))/"


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
