"""Where the embeddings of a data set come from: a model and its cache, or the data set itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from arcwise import runtime
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.images.named_preparations import named_preparation
from arcwise.images.preparation import Preparation
from arcwise.runtime import Embedded, Model

NO_MODEL = "-"
"""What a user types, in the place of a model, for vectors that the data set has already."""


@dataclass(frozen=True, eq=False)
class EmbeddingSource:
    """What is measured: a model, or whatever made the vectors of a data set.

    Attributes:
        name: for people; no two sources that are compared share it.
        model: None for a data set's own vectors.
    """

    name: str
    model: Model | None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the model; empty without one."""
        return "" if self.model is None else self.model.fingerprint

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds of the model."""
        return () if self.model is None else self.model.thresholds

    @property
    def search_thresholds(self) -> tuple[SearchThreshold, ...]:
        """The thresholds of the model for searches."""
        return () if self.model is None else self.model.search_thresholds


def open_sources(
    models: Sequence[str | Path | Model], preparation: str | Path | Preparation | None
) -> list[EmbeddingSource]:
    """Return the sources, each with a name of its own.

    Args:
        models: model folders, bare `.onnx` files, loaded models, or "-" for the data set's vectors.
        preparation: of bare `.onnx` files, or what `named_preparation` takes.

    Raises:
        ArcwiseError: a model is not usable, or two are one.
    """
    if isinstance(preparation, str | Path):
        preparation = named_preparation(preparation).preparation
    sources: list[EmbeddingSource] = []
    for one in models:
        model = _open(one, preparation)
        name = "vectors" if model is None else model.name
        if model is not None and len(models) > 1:
            name = _distinctive_name(model)
        fingerprint = "" if model is None else model.fingerprint
        if any(other.fingerprint == fingerprint for other in sources):
            raise ArcwiseError(f"{one}: named twice; expected different models to compare")
        if any(other.name == name for other in sources):
            name = f"{name}-{fingerprint[:8]}"
        sources.append(EmbeddingSource(name, model))
    return sources


def _distinctive_name(model: Model) -> str:
    """Return what tells a model from others: its run, or its file."""
    path = model.path.resolve()
    return path.parent.name if path.name == "model" else path.stem


def model_of_vectors(manifest: Manifest) -> str:
    """Return the fingerprint of the model that made a data set's vectors; empty if not stated."""
    return (manifest.table.schema.metadata or {}).get(b"arcwise.fingerprint", b"").decode()


class Embeddings(NamedTuple):
    """The embeddings of several sources, of the rows that all of them could embed.

    Attributes:
        vectors: (M, D) float32 for each source, unit length; each may have its own D.
        rows: (M,) int64, the manifest's row of each vector.
        failures: why the other rows have none.
        reused: how many vectors were in a cache.
        notes: on the caches and the images, a line each.
        quality: (M,) float32 for each source that estimates qualities; None for the others.
    """

    vectors: list[np.ndarray]
    rows: np.ndarray
    failures: tuple[ImageError, ...]
    reused: int
    notes: tuple[str, ...]
    quality: list[np.ndarray | None]


def embeddings_of(
    sources: Sequence[EmbeddingSource],
    manifest: Manifest,
    *,
    cached: bool,
    progress: Callable[[int, int], object] | None = None,
) -> Embeddings:
    """Return the embeddings of a manifest's rows, by every source.

    Args:
        sources: at least one.
        manifest: its own vectors are taken where there are no images, and where they say that the
            source's model made them.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        progress: called with (images done, images in all), counted over all sources.

    Raises:
        ArcwiseError: no image can be read, or the manifest's vectors are not a source's.
    """
    embedded: list[Embedded] = []
    notes: list[str] = []
    total = len(manifest) * len(sources)
    for number, source in enumerate(sources):
        before = number * len(manifest)

        def report(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        one, cache_notes = _embedded(source, manifest, cached, report)
        embedded.append(one)
        notes += [*cache_notes, *one.notes]
    rows = reduce(np.intersect1d, [one.rows for one in embedded])
    failures = {failure.name: failure for one in embedded for failure in one.failures}
    kept = [np.isin(one.rows, rows) if failures else slice(None) for one in embedded]
    return Embeddings(
        [one.vectors[some] for one, some in zip(embedded, kept, strict=True)],
        rows,
        tuple(failures.values()),
        sum(one.reused for one in embedded),
        tuple(notes),
        [
            None if one.quality is None else one.quality[some]
            for one, some in zip(embedded, kept, strict=True)
        ],
    )


def _embedded(
    source: EmbeddingSource,
    manifest: Manifest,
    cached: bool,
    progress: Callable[[int, int], object],
) -> tuple[Embedded, list[str]]:
    """Return one source's embeddings, and notes on its cache."""
    model = source.model
    made_by = model_of_vectors(manifest)
    if "vector" in manifest.table.column_names and (
        model is None or not manifest.has_images or made_by == model.fingerprint
    ):
        return _vectors_of_the_data(manifest, model, made_by), []
    if model is None:
        raise ArcwiseError(
            f"{manifest.title}: holds no vectors; expected a column 'vector', as `arcwise embed` "
            f"writes it, besides {', '.join(manifest.table.column_names)}; or name a model that "
            "makes them"
        )
    if not cached:
        return runtime.embed_manifest(model, manifest, progress=progress), []
    with runtime.model_cache(model) as cache:
        return runtime.embed_manifest(model, manifest, progress=progress, cache=cache), cache.notes


def _vectors_of_the_data(manifest: Manifest, model: Model | None, made_by: str) -> Embedded:
    """Return the manifest's vectors, scaled to unit length.

    Args:
        manifest: with vectors.
        model: that they have to be of; None for any.
        made_by: the fingerprint of the model that made them, as the file says; empty where it
            does not.
    """
    vectors = manifest.vectors
    if model is not None and made_by not in ("", model.fingerprint):
        raise ArcwiseError(
            f"{manifest.title}: its vectors are of another model than {model.name} (the fingerprint"
            f" differs); name the one that made them, or {NO_MODEL!r} in its place for none"
        )
    if model is not None and vectors.shape[1] != model.dim:
        raise ArcwiseError(
            f"{manifest.title}: its vectors have {vectors.shape[1]} dimensions and those of "
            f"{model.name} {model.dim}; name the model that made them, or {NO_MODEL!r} in its "
            "place for none"
        )
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not length.all():
        raise ArcwiseError(
            f"{manifest.title}: row {int(length.argmin()) + 1}: the vector is zero; expected a "
            "direction; leave the row out"
        )
    return Embedded((vectors / length).astype(np.float32), np.arange(len(vectors)), [])


def _open(model: str | Path | Model, preparation: Preparation | None) -> Model | None:
    if isinstance(model, Model):
        return model
    if str(model) == NO_MODEL:
        return None
    bare = Path(model).suffix.lower() == ".onnx" and not Path(model).is_dir()
    return runtime.load(model, preparation=preparation if bare else None)


def row_names(manifest: Manifest, rows: np.ndarray) -> list[str]:
    """Return what rows are called: by their image, their `name`, or their place.

    Args:
        manifest: of these rows.
        rows: (N,) their places in the data set, from 0.
    """
    if manifest.has_images:
        return manifest.images
    named = manifest.column("name")
    return [f"row {row + 1}" for row in rows] if named is None else [str(one) for one in named]
