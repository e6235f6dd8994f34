"""The one description of a data set: a table with one row an image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arcwise.data.image_files import read_image_bytes
from arcwise.errors import ArcwiseError


@dataclass(frozen=True, eq=False)
class Manifest:
    """A data set: which images (or vectors) there are, and whose they are.

    Attributes:
        table: one row an image; `image` or `vector`, `identity`, and any of `split`, `domain`,
            `template`, `media`, `age`, `quality`, `landmarks`, `box`; other columns are kept.
        root: the folder that relative images start from.
        name: what to call the data set in a report.
        ignored: files that are not images, or not usable as such.
        understood: the layout that was recognised, in one line for the user.
        pairs: the pairs to verify that the data set states: `a` and `b` (text, what its rows are
            called: template, image or `name`), `same` (bool), perhaps `fold`; None if it states
            none.
        notes: what the user has to know about this data set, a line each.
        source: what was opened, as it was named; empty where it was made in Python.
    """

    table: pa.Table
    root: Path
    name: str
    ignored: tuple[str, ...] = field(default=(), repr=False)
    understood: str = ""
    pairs: pa.Table | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    source: str = ""

    @property
    def title(self) -> str:
        """What to call the data set in an error: as it was named, with its ending."""
        return self.source or self.name

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def has_images(self) -> bool:
        """Whether there is a column of images."""
        return "image" in self.table.column_names

    @property
    def images(self) -> list[str]:
        """The reference of every image, for `read_image_bytes` with `root`."""
        return self._required("image", "it holds vectors, not images")

    @property
    def identities(self) -> list[str]:
        """The identity of every row."""
        identities = self._required("identity", "name the column that holds it (--identity-column)")
        if not all(identities):
            raise ArcwiseError(
                f"{self.name}: {sum(not one for one in identities)} rows have no identity; "
                "this needs one for every row (a folder per identity, or a table that names it)"
            )
        return identities

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) float32: the embedding of every row."""
        if "vector" not in self.table.column_names:
            raise ArcwiseError(f"{self.name} has no vectors; embed it first (arcwise embed)")
        chunks = [np.asarray(one.flatten()) for one in self.table.column("vector").chunks]
        flat = np.concatenate([np.empty(0, np.float32), *chunks]).astype(np.float32, copy=False)
        return flat.reshape(len(self), -1) if len(self) else flat.reshape(0, 0)

    @cached_property
    def classes(self) -> list[str]:
        """All identities, sorted; a label is a position in this list."""
        return sorted(set(self.identities))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64: the position of every row's identity in `classes`."""
        positions = {identity: index for index, identity in enumerate(self.classes)}
        return np.fromiter((positions[one] for one in self.identities), np.int64, len(self))

    def column(self, name: str) -> list[Any] | None:
        """Return the values of a column, or None where there is no such column."""
        return self.table.column(name).to_pylist() if name in self.table.column_names else None

    def select(self, indices: Sequence[int] | NDArray[np.integer]) -> Manifest:
        """Return the manifest of these rows, in this order."""
        rows = pa.array(np.asarray(indices, np.int64))
        return replace(self, table=self.table.take(rows))

    def where(self, column: str, value: Any) -> Manifest:
        """Return the manifest of the rows with this value, such as `where("split", "test")`."""
        if column not in self.table.column_names:
            raise ArcwiseError(
                f"{self.name} has no column {column!r}; it has {', '.join(self.table.column_names)}"
            )
        values = self.table.column(column).to_pylist()
        return self.select([row for row, one in enumerate(values) if one == value])

    def image(self, index: int) -> str:
        """Return the reference of one row's image."""
        return self._refs[index].as_py()

    def read(self, index: int) -> bytes:
        """Return the bytes of one row's image file.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image_bytes(self._root, self.image(index))

    def fingerprint(self) -> str:
        """Return the SHA-256 of the table's content, in hexadecimal. The images are not read."""
        digest = hashlib.sha256()
        for name in sorted(self.table.column_names):
            digest.update(f"{name}\0".encode())
            for start in range(0, len(self), 65536):  # independent of how the table is chunked
                values = self.table.column(name).slice(start, 65536).to_pylist()
                digest.update(repr(values).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @cached_property
    def _refs(self) -> pa.ChunkedArray:
        """The column of images."""
        if not self.has_images:
            raise ArcwiseError(f"{self.name} holds vectors, not images")
        return self.table.column("image")

    @cached_property
    def _root(self) -> str:
        return os.fspath(self.root)

    def _required(self, name: str, mend: str) -> list[Any]:
        values = self.column(name)
        if values is None:
            raise ArcwiseError(f"{self.name} has no column {name!r}; {mend}")
        return values
