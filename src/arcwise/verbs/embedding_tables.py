"""Several tables of embeddings as one data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.embedding_source import model_of_vectors


def as_one(data: Sequence[str | Path | Manifest]) -> Manifest:
    """Return the rows of all data sets, identities or not: names or images, and vectors.

    Images are named from the folder of the first. Which model made the vectors is known where all
    say so.

    Args:
        data: one data set of any form, or several with vectors.

    Raises:
        ArcwiseError: of several one has no vectors, or they are not of one model.
    """
    several = [open_manifest(one, identities=False) for one in data]
    if len(several) == 1:
        return several[0]
    if not several:
        raise ArcwiseError("no data set is named; expected one or more")
    first = several[0]
    for one in several:
        if "vector" not in one.table.column_names:
            raise ArcwiseError(
                f"{one.title}: holds no vectors; several data sets are clustered together as "
                "tables of embeddings: arcwise embed"
            )
        if one.vectors.shape[1] != first.vectors.shape[1]:
            raise ArcwiseError(
                f"{one.title}: its vectors have {one.vectors.shape[1]} dimensions and those of "
                f"{first.title} {first.vectors.shape[1]}; expected embeddings of one model"
            )
    models = {model_of_vectors(one) for one in several}
    if len(models - {""}) > 1:
        raise ArcwiseError(
            f"{' and '.join(one.title for one in several)}: their embeddings are of different "
            "models (the fingerprints differ); embed all with one: arcwise embed"
        )
    column = next(
        (name for name in ("image", "name") if all(name in m.table.column_names for m in several)),
        None,
    )
    if column is None:
        raise ArcwiseError(
            f"{' and '.join(one.title for one in several)}: have no column of names in common; "
            "expected image, or name, in all"
        )
    tables = []
    for one in several:
        names = [str(name) for name in one.table.column(column).to_pylist()]
        if column == "image":
            names = [_from(first.root, one.root, name) for name in names]
        vectors = one.table.column("vector")
        tables.append(pa.table({column: pa.array(names, pa.string()), "vector": vectors}))
    metadata = {} if "" in models else {"arcwise.fingerprint": models.pop()}
    return replace(
        first,
        table=pa.concat_tables(tables).replace_schema_metadata(metadata),
        name=" and ".join(one.name for one in several),
        source=" and ".join(one.title for one in several),
        pairs=None,
        notes=tuple(note for one in several for note in one.notes),
    )


def _from(folder: Path, root: Path, image: str) -> str:
    """Return the path of an image from another folder: relative below it, else absolute."""
    start, place = os.path.abspath(folder), os.path.abspath(os.path.join(root, image))
    if start == os.path.abspath(root) and not os.path.isabs(image):
        return image
    inside = os.path.commonpath([start, place]) == start
    return Path(os.path.relpath(place, start) if inside else place).as_posix()
