"""Files that hold images by name. Identities are read elsewhere, in `arcwise.data.formats`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from arcwise.errors import ArcwiseError, missing_package

KINDS = {
    ".zip": "zipped",
    ".rec": "recordio",
    ".tar": "tarred",
    ".bin": "pack",
    ".parquet": "parquet",
}
"""Ending of a file → the module here that opens it."""


class Container(Protocol):
    """A file that holds images by name, read by several threads at once."""

    def __contains__(self, member: str) -> bool:
        """Return whether there is an image of this name (it may still be unreadable)."""
        ...

    def read(self, member: str, ref: str) -> bytes:
        """Return the bytes of one image.

        Args:
            member: its name in the container.
            ref: what the user calls it; it begins the error message.

        Raises:
            ImageError: there is none of this name, or its part of the file is damaged.
        """
        ...


def opener(ending: str) -> Callable[[str], Container]:
    """Return the function that opens a file with this ending; it raises OSError or ArcwiseError.

    Raises:
        ArcwiseError: the package that reads it is not installed.
    """
    try:
        return import_module(f"arcwise.data.containers.{KINDS[ending.lower()]}").open_container
    except ModuleNotFoundError as problem:
        raise ArcwiseError(f"{ending}: {missing_package(str(problem.name))}") from problem
