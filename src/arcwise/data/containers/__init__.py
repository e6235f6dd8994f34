"""Files that hold pictures by name; whose they are is not their business."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

KINDS = {
    ".zip": "zipped",
    ".rec": "recordio",
    ".tar": "tarred",
    ".bin": "pack",
    ".parquet": "parquet",
}
"""Ending of a file → the module here that opens it."""


class Container(Protocol):
    """A file that holds pictures by name; asked by several threads at once."""

    def __contains__(self, member: str) -> bool:
        """Whether there is a picture of this name (it may still be unreadable)."""
        ...

    def read(self, member: str, ref: str) -> bytes:
        """The bytes of one picture.

        Args:
            member: its name in the container.
            ref: what the user calls it; it begins the error message.

        Raises:
            ImageError: there is none of this name, or its part of the file is damaged.
        """
        ...


def opener(ending: str) -> Callable[[str], Container]:
    """What opens a file with this ending; it raises OSError or ArcwiseError."""
    return import_module(f"arcwise.data.containers.{KINDS[ending.lower()]}").open_container
