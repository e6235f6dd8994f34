"""What is compared with each other: every picture, or templates pooled from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import templates
from arcwise.protocols.result import Items


@dataclass(frozen=True, eq=False)
class Layout:
    """The items of a data set before they have vectors.

    Attributes:
        kind: "pictures", "templates", or "vectors" where there are no pictures.
        manifest: its N rows.
        names: (U,) what tables of pairs call the items.
        rows: (U,) int64, the first row of each.
        template: (N,) the template of each row; None where every row is an item.
        media: (N,) the medium that each row comes from; None where that is not known.
        weights: (N,) how much each row counts in its template: its `quality`, in IJB how sure
            the face detector was; None for alike.
        weighted: in words, what is done about weights.
    """

    kind: str
    manifest: Manifest
    names: Sequence[str]
    rows: np.ndarray
    template: np.ndarray | None
    media: np.ndarray | None
    weights: np.ndarray | None = None
    weighted: str = ""

    @cached_property
    def identities(self) -> np.ndarray | None:
        """(U,) the identity of each item; None where the data set does not know them."""
        return self.ids if "identity" in self.manifest.table.column_names else None

    @cached_property
    def ids(self) -> np.ndarray:
        """(U,) the identity of each item, of a data set that knows them."""
        return np.array(self.manifest.identities)[self.rows]

    def items(self, vectors: np.ndarray) -> Items:
        """The items with their vectors, of (N, D) embeddings of the rows."""
        if self.template is not None:
            assert self.media is not None, "templates are refused without media"
            vectors = templates.pool(
                vectors, self.template, self.media, detector_scores=self.weights
            ).vectors
        return Items(self.kind, vectors, self.identities, self.names, self.rows)

    def column(self, name: str) -> list[Any] | None:
        """(U,) each item's value of a column; None for a template whose rows disagree."""
        values = self.manifest.column(name)
        if values is None or self.template is None:
            return values
        first = dict(zip(self.names, self.rows.tolist(), strict=True))
        torn = {
            one
            for one, value in zip(self.template, values, strict=True)
            if value != values[first[one]]
        }
        return [None if one in torn else values[row] for one, row in first.items()]


def named(manifest: Manifest) -> Manifest:
    """The manifest, its rows counted in a column `name` where nothing else names them."""
    columns = manifest.table.column_names
    if manifest.has_images or {"template", "name"} & set(columns):
        return manifest
    numbers = pa.array([str(number) for number in range(1, len(manifest) + 1)])
    table = manifest.table.append_column("name", numbers)
    return replace(manifest, table=table)


def names(manifest: Manifest) -> list[str]:
    """(N,) what tables of pairs call each row: its template, its picture, or its `name`."""
    for column in ("template", "image", "name"):
        if (found := manifest.column(column)) is not None:
            return [str(one) for one in found]
    raise AssertionError("rows are named first")


def layout(manifest: Manifest) -> Layout:
    """The templates of a manifest that has such a column, otherwise its rows.

    Raises:
        ArcwiseError: templates without media, rows without a template, or a template of several
            identities or splits.
    """
    called, media = names(manifest), _media(manifest)
    if manifest.column("template") is None:
        kind = "pictures" if manifest.has_images else "vectors"
        return Layout(kind, manifest, called, np.arange(len(manifest)), None, media)
    _complete(manifest)
    template = np.array(called)
    found, rows = np.unique(template, return_index=True)
    weights, weighted = _weights(manifest)
    made = Layout("templates", manifest, found.tolist(), rows, template, media, weights, weighted)
    for column in ("identity", "split"):
        values = manifest.column(column) or [""] * len(manifest)
        for name, row, value in zip(found, rows, made.column(column) or (), strict=False):
            if value is None and values[row] is not None:
                raise ArcwiseError(
                    f"{manifest.name}: template {name} has pictures of more than one {column}; "
                    "expected one"
                )
    return made


def _complete(manifest: Manifest) -> None:
    """Nothing, if every row has a template and a medium."""
    if manifest.column("media") is None:
        raise ArcwiseError(
            f"{manifest.name}: has templates and no column 'media'; expected the still or video "
            "that each picture comes from (every still a value of its own)"
        )
    for column in ("template", "media"):
        lacking = sum(not value for value in manifest.column(column) or ())
        if lacking:
            raise ArcwiseError(
                f"{manifest.name}: {column} is empty in {lacking} of {len(manifest)} rows; "
                "expected one for every picture of a data set of templates"
            )


def _weights(manifest: Manifest) -> tuple[np.ndarray | None, str]:
    """(N,) the rows' `quality`, where every row has one that can be a weight, and what is done."""
    if "quality" not in manifest.table.column_names:
        return None, "not weighted: no column 'quality'"
    found = manifest.table.column("quality").to_numpy().astype(np.float64)  # a gap becomes NaN
    unfit = np.count_nonzero(~(np.isfinite(found) & (found >= 0)))
    if unfit:
        return None, f"not weighted: quality is missing, or below 0, in {unfit:,} rows"
    return found, "weighted by their 'quality'"


def _media(manifest: Manifest) -> np.ndarray | None:
    """(N,) media; a row that names none has one of its own."""
    values = manifest.column("media")
    if values is None:
        return None
    return np.array([f"m{value}" if value else f"r{row}" for row, value in enumerate(values)])
