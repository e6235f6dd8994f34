"""The pictures that a gallery is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from arcwise import runtime
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.runtime import Embedded, Model


def queries(images: Sequence[str | Path | Manifest]) -> Manifest:
    """One manifest of all pictures, each named by its path as the user would type it.

    Args:
        images: picture files, or folders, zips and tables of them.

    Raises:
        ArcwiseError: none is named, or something named is not there.
    """
    names: list[str] = []
    landmarks: list[list[float] | None] = []
    for one in images:
        found = open_manifest(one, identities=False, top_folders="part")  # whose they are is asked
        names += [str(found.root / image) for image in found.images]
        landmarks += found.column("landmarks") or [None] * len(found)
    if not names:
        raise ArcwiseError("no picture to ask about; name one or more files or folders")
    columns = {"image": pa.array(names, pa.string())}
    if any(points is not None for points in landmarks):
        columns["landmarks"] = pa.array(landmarks, pa.list_(pa.float32()))
    return Manifest(pa.table(columns), Path(), "the pictures asked about")


def embed_queries(model: Model, pictures: Manifest) -> Embedded:
    """The embeddings of the readable pictures.

    Raises:
        ImageError: the only picture cannot be read.
        ArcwiseError: none of several can.
    """
    if len(pictures) == 1:
        decode(pictures.read(0), pictures.images[0])  # complains of this picture, not of all
    return runtime.embed_manifest(model, pictures)
