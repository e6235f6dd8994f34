"""What is compared: the rows to measure, each a template of its own or pooled into one."""

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

ALL_ROWS = "all rows"
"""Which rows are measured where no `split` says otherwise."""

GALLERY = "gallery"
TWO_GALLERIES = ("gallery1", "gallery2")
PROBES = ("query", "probe")


@dataclass(frozen=True, eq=False)
class TemplateSet:
    """The U templates of a data set, before they have embeddings.

    Attributes:
        kind: "images", "templates" where several rows are pooled into one, or "vectors" where
            there are no images.
        manifest: the N rows.
        names: (U,) what tables of pairs call the templates: image references, or template names.
        first_row: (U,) int64, the first row of each template.
        template_of_row: (N,) the template of each row; None where every row is one.
        media: (N,) the medium that each row comes from; None where that is not known.
        weights: (N,) how much each row counts in its template: its `quality`, in IJB the detection
            score; None where all count alike.
        weighting: how rows are weighted, in words.
    """

    kind: str
    manifest: Manifest
    names: Sequence[str]
    first_row: np.ndarray
    template_of_row: np.ndarray | None
    media: np.ndarray | None
    weights: np.ndarray | None = None
    weighting: str = ""

    @property
    def singular(self) -> str:
        """The kind of one template: "image", "template" or "vector"."""
        return self.kind.removesuffix("s")

    @cached_property
    def identities(self) -> np.ndarray | None:
        """(U,) the identity of each template; None where the data set does not know them."""
        return self.ids if "identity" in self.manifest.table.column_names else None

    @cached_property
    def ids(self) -> np.ndarray:
        """(U,) the identity of each template, of a data set that knows them."""
        return np.array(self.manifest.identities)[self.first_row]

    @cached_property
    def sizes(self) -> np.ndarray | None:
        """(U,) int64 the rows of each template; None where every row is one."""
        if self.template_of_row is None:
            return None
        return np.unique(self.template_of_row, return_counts=True)[1]

    def pool(self, vectors: np.ndarray, quality: np.ndarray | None = None) -> np.ndarray:
        """Return (U, D) unit vectors of the templates, from (N, D) embeddings of the rows.

        Args:
            vectors: of the rows.
            quality: (N,) as the model estimates it, which weights them in the place of the data
                set's own; None for a model that estimates none.
        """
        if self.template_of_row is None:
            return vectors
        assert self.media is not None, "templates are refused without media"
        weights = self.weights if quality is None else quality
        return templates.pool(
            vectors, self.template_of_row, self.media, detector_scores=weights
        ).vectors

    def column(self, name: str) -> list[Any] | None:
        """Return (U,) each template's value of a column; None for one whose rows disagree."""
        values = self.manifest.column(name)
        if values is None or self.template_of_row is None:
            return values
        row_of = dict(zip(self.names, self.first_row.tolist(), strict=True))
        contradictory = {
            template
            for template, value in zip(self.template_of_row, values, strict=True)
            if value != values[row_of[template]]
        }
        return [None if name in contradictory else values[row] for name, row in row_of.items()]


def rows_to_measure(manifest: Manifest) -> tuple[Manifest, str]:
    """Return the manifest of the rows to measure on, and which these are, in words.

    Galleries and the queries to them come first, then "test", then whatever is not "train".

    Raises:
        ArcwiseError: there is only "train", or galleries without queries, or queries without.
    """
    splits = manifest.column("split")
    if splits is None:
        return manifest, ALL_ROWS
    present = {value for value in splits if value}
    galleries = present & {GALLERY, *TWO_GALLERIES}
    if galleries or present & set(PROBES):
        if galleries not in ({GALLERY}, set(TWO_GALLERIES)) or not present & set(PROBES):
            raise ArcwiseError(
                f"{manifest.name}: split is {_quoted(present)}; expected 'gallery' (or 'gallery1' "
                "and 'gallery2') together with 'query' or 'probe'"
            )
        taken = galleries | (present & set(PROBES))
    elif "test" in present:
        taken = {"test"}
    elif taken := present - {"train"}:
        pass
    elif present:
        raise ArcwiseError(
            f"{manifest.name}: split is 'train' in every row; expected rows to measure on: 'test', "
            "or 'gallery' and 'query'"
        )
    else:
        return manifest, ALL_ROWS
    rows = [row for row, value in enumerate(splits) if value in taken]
    return manifest.select(rows), f"rows of split {_quoted(taken)}"


def with_names(manifest: Manifest) -> Manifest:
    """Return the manifest, with a column `name` of row numbers where nothing else names its rows.

    Rows keep these names when others are left out.
    """
    columns = manifest.table.column_names
    if manifest.has_images or {"template", "name"} & set(columns):
        return manifest
    numbers = pa.array([str(number) for number in range(1, len(manifest) + 1)])
    return replace(manifest, table=manifest.table.append_column("name", numbers))


def names_of_rows(manifest: Manifest) -> list[str]:
    """Return (N,) what tables of pairs call each row: its template, its image, or its `name`."""
    for column in ("template", "image", "name"):
        if (values := manifest.column(column)) is not None:
            return [str(value) for value in values]
    raise AssertionError("rows are named first")


def template_set(manifest: Manifest) -> TemplateSet:
    """Return the templates of a manifest that has such a column, otherwise its rows.

    Raises:
        ArcwiseError: templates without media, rows without a template, or a template of several
            identities or splits.
    """
    row_names, media = names_of_rows(manifest), _media(manifest)
    if manifest.column("template") is None:
        kind = "images" if manifest.has_images else "vectors"
        return TemplateSet(kind, manifest, row_names, np.arange(len(manifest)), None, media)
    _check_template_columns(manifest)
    template_of_row = np.array(row_names)
    names, first_row = np.unique(template_of_row, return_index=True)
    made = TemplateSet(
        "templates",
        manifest,
        names.tolist(),
        first_row,
        template_of_row,
        media,
        *_weights(manifest),
    )
    for column in ("identity", "split"):
        values = manifest.column(column) or [""] * len(manifest)
        for name, row, value in zip(names, first_row, made.column(column) or (), strict=False):
            if value is None and values[row] is not None:
                raise ArcwiseError(
                    f"{manifest.name}: template {name} has images of more than one {column}; "
                    "expected one"
                )
    return made


def _check_template_columns(manifest: Manifest) -> None:
    """Refuse templates without media, and rows without a template or a medium."""
    if manifest.column("media") is None:
        raise ArcwiseError(
            f"{manifest.name}: has templates and no column 'media'; expected the still or video "
            "that each image comes from (every still a value of its own)"
        )
    for column in ("template", "media"):
        lacking = sum(not value for value in manifest.column(column) or ())
        if lacking:
            raise ArcwiseError(
                f"{manifest.name}: {column} is empty in {lacking} of {len(manifest)} rows; "
                "expected one for every image of a data set of templates"
            )


def _weights(manifest: Manifest) -> tuple[np.ndarray | None, str]:
    """Return (N,) `quality`, where it can weight every row, and how rows are weighted, in words."""
    if "quality" not in manifest.table.column_names:
        return None, "not weighted: no column 'quality'"
    quality = manifest.table.column("quality").to_numpy().astype(np.float64)  # a gap becomes NaN
    unfit = np.count_nonzero(~(np.isfinite(quality) & (quality >= 0)))
    if unfit:
        return None, f"not weighted: quality is missing, or below 0, in {unfit:,} rows"
    return quality, "weighted by their 'quality'"


def _media(manifest: Manifest) -> np.ndarray | None:
    """Return (N,) media; a row that names none has one of its own."""
    values = manifest.column("media")
    if values is None:
        return None
    return np.array([f"m{value}" if value else f"r{row}" for row, value in enumerate(values)])


def _quoted(values: set[str]) -> str:
    return ", ".join(repr(value) for value in sorted(values))
