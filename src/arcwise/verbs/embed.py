"""Embed: a data set becomes a Parquet file of vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arcwise import runtime
from arcwise.data.manifest import open_manifest
from arcwise.errors import ArcwiseError, ImageError


@dataclass(frozen=True)
class EmbeddedFile:
    """What was written.

    Attributes:
        path: the Parquet file.
        vectors: rows in it.
        dim: D.
        failures: pictures that could not be read, and have no row.
        ignored: files that are not pictures.
    """

    path: Path
    vectors: int
    dim: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]


def embed(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> EmbeddedFile:
    """Write the manifest's columns and a `vector` of D float32 for every readable picture.

    The file names the model's fingerprint in its metadata, under `arcwise.fingerprint`.

    Args:
        model: the model folder.
        data: pictures, with identities or without.
        out: the .parquet file; it must not be there yet.
        image_column: of a table that calls it otherwise.
        identity_column: likewise.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: no model, no pictures, or a file in the way.
    """
    out = Path(out)
    if out.exists():
        raise ArcwiseError(f"{out}: there already; name another file, or delete it first")
    manifest = open_manifest(
        data, image_column=image_column, identity_column=identity_column, identities=False
    )
    loaded = runtime.load(model)
    embedded = runtime.embed_manifest(loaded, manifest, progress=progress)
    flat = pa.array(embedded.vectors.reshape(-1), pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(flat, loaded.dim)
    table = manifest.select(embedded.rows).table.append_column("vector", vectors)
    about = {"arcwise.fingerprint": loaded.fingerprint, "arcwise.model": loaded.name}
    table = table.replace_schema_metadata((table.schema.metadata or {}) | about)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(out.name + ".part")
    pq.write_table(table, beside)
    beside.replace(out)
    failures = tuple(embedded.failures)
    return EmbeddedFile(out, len(embedded.rows), loaded.dim, failures, manifest.ignored)
