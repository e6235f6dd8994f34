"""Embed: the embeddings of a data set, in a Parquet file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing import write_table
from arcwise.errors import ArcwiseError, ImageError


@dataclass(frozen=True)
class EmbeddedFile:
    """What was written.

    Attributes:
        path: the Parquet file.
        vectors: rows in it.
        dim: D.
        failures: images that could not be read, and have no row.
        ignored: files that are not images.
        reused: vectors that were in the cache.
        notes: on the cache, a line each.
    """

    path: Path
    vectors: int
    dim: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    reused: int
    notes: tuple[str, ...]


def embed(
    model: str | Path,
    data: str | Path | Manifest,
    out: str | Path,
    *,
    cached: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> EmbeddedFile:
    """Write the manifest's columns and a `vector` of D float32 for every readable image.

    A model that estimates the quality of images gives a column `quality`, in the place of one that
    the manifest has.

    The file names the model's fingerprint in its metadata, under `arcwise.fingerprint`.

    Args:
        model: the model folder.
        data: images, with identities or without.
        out: the .parquet file; it must not be there yet.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: no model, no images, or a file in the way.
    """
    out = Path(out)
    if out.suffix.lower() != ".parquet":
        raise ArcwiseError(f"{out}: embeddings go to a Parquet file; end the name in .parquet")
    with write_table(out) as write:  # refuses before the work, not after it
        manifest = open_manifest(data, identities=False)
        loaded = runtime.load(model)
        notes: list[str] = []
        if cached:
            with runtime.model_cache(loaded) as cache:
                embedded = runtime.embed_manifest(loaded, manifest, progress=progress, cache=cache)
                notes += cache.notes
        else:
            embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
        table = _table(manifest.select(embedded.rows), embedded, out)
        about = {"arcwise.fingerprint": loaded.fingerprint, "arcwise.model": loaded.name}
        write(table.replace_schema_metadata((table.schema.metadata or {}) | about))
    failures = tuple(embedded.failures)
    return EmbeddedFile(
        out, len(embedded.rows), loaded.dim, failures, manifest.ignored, embedded.reused,
        (*notes, *embedded.notes),
    )  # fmt: skip


def _table(manifest: Manifest, embedded: runtime.Embedded, out: Path) -> pa.Table:
    """Return the manifest's table with these vectors, its image paths relative to the file."""
    table, vectors = manifest.table, embedded.vectors
    if "vector" in table.column_names:  # of another model
        table = table.drop_columns("vector")
    if embedded.quality is not None:
        if "quality" in table.column_names:
            table = table.drop_columns("quality")
        table = table.append_column("quality", pa.array(embedded.quality, pa.float64()))
    flat = pa.array(vectors.reshape(-1), pa.float32())
    places = pa.array([_path_from(out, manifest.root, one) for one in manifest.images], pa.string())
    table = table.set_column(table.column_names.index("image"), "image", places)
    return table.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))


def _path_from(out: Path, root: Path, image: str) -> str:
    """Return the path of an image: relative if below the folder of the file, else absolute."""
    place = Path(os.path.abspath(os.path.join(root, image)))
    folder = Path(os.path.abspath(out)).parent
    return (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()
