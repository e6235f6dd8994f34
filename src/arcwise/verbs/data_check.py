"""Data check: what is in a data set, what is wrong with it, and whether others leak into it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from arcwise.data.check import check as look
from arcwise.data.check.check_report import (
    CheckReport,
    CloseIdentities,
    ModelReport,
    Outlier,
    PoorImage,
    QualityReport,
)
from arcwise.data.check.findings import NearDuplicates
from arcwise.data.check.grouping import connected
from arcwise.data.check.label_noise import (
    close_identities,
    nearest_pairs,
    outliers,
    pairs_above,
    suspicious_similarity,
)
from arcwise.data.check.merged_rows import MergedRows
from arcwise.data.check.near_duplicates import made_copy
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import error_versus_reject
from arcwise.identity import is_bare_number
from arcwise.images import Preparation, decode
from arcwise.runtime import Model
from arcwise.sets import QualitySpread
from arcwise.verbs.embedding_source import (
    Embeddings,
    EmbeddingSource,
    embeddings_of,
    open_sources,
)
from arcwise.verbs.unseen_identities import OTHER_IDENTITIES

_WORST = 20  # images of low quality that are listed, at least
_COPIES = 64  # images that are copied to learn how similar a copy is to its image
_DETECTED = 0.95  # the part of the copies that must be detected


def check(
    source: Manifest | str | os.PathLike[str],
    *,
    against: Sequence[Manifest | str | os.PathLike[str]] = (),
    other_identities: bool = False,
    model: str | Path | Model | None = None,
    preparation: str | Path | Preparation | None = None,
    cached: bool = True,
    progress: Progress | None = None,
    comparing: Progress | None = None,
    embedding: Progress | None = None,
) -> CheckReport:
    """Return a report on what is in a data set and what is wrong with it; it prints itself.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        against: data sets that must share no image and no identity with it.
        other_identities: whether identities of these are none of the first one's, though they may
            be called alike (labels 0, 1, … of another data set).
        model: whose embeddings reveal wrong labels and copies; "-" for vectors that the
            data sets hold already.
        preparation: of a bare `.onnx`.
        cached: whether embeddings are kept for the next time.
        progress: called with the images done and their total.
        comparing: called with the images compared with all others and their total.
        embedding: called with the images of a data set embedded and their total.

    Raises:
        ArcwiseError: one of them is not a data set, or the model not usable.
    """
    manifests = [open_manifest(one, identities=False) for one in (source, *against)]
    sources = [] if model is None else open_sources([model], preparation)
    report = look(
        manifests[0],
        against=manifests[1:],
        other_identities=other_identities,
        progress=progress,
        comparing=comparing,
    )
    if against and report.shared and all(map(is_bare_number, report.shared)):
        note = (
            "identities that are the same bare numbers in two data sets are taken for one; if they "
            f"are not, say {OTHER_IDENTITIES}"
        )
        report = replace(report, notes=(*report.notes, note))
    if not sources:
        return report
    rows = MergedRows(manifests, other_identities=other_identities)
    by_model = _by_model(sources[0], rows, cached, embedding, comparing)
    by_pixels = enumerate((*report.duplicates, *report.near))
    group_of = {image: number for number, group in by_pixels for image in group.images}
    new = tuple(one for one in by_model.copies if not _in_one_group(one.images, group_of))
    return replace(report, by_model=replace(by_model, copies=new))


def _in_one_group(images: Sequence[str], group_of: Mapping[str, int]) -> bool:
    """Return whether all images are in the same group."""
    return len({group_of.get(one, -1 - place) for place, one in enumerate(images)}) == 1


def _by_model(
    source: EmbeddingSource,
    rows: MergedRows,
    cached: bool,
    embedding: Progress | None,
    comparing: Progress | None,
) -> ModelReport:
    """Return what the embeddings of all data sets together reveal."""
    parts = [
        embeddings_of([source], one, cached=cached, progress=embedding) for one in rows.manifests
    ]
    for one, part in zip(rows.manifests, parts, strict=True):
        if (dim := part.vectors[0].shape[1]) != (first := parts[0].vectors[0].shape[1]):
            raise ArcwiseError(
                f"{one.name}: its vectors have {dim} dimensions and those of "
                f"{rows.manifests[0].name} {first}; expected vectors of one model"
            )
    starts = np.cumsum([0, *map(len, rows.manifests[:-1])])
    row = np.concatenate([part.rows + start for part, start in zip(parts, starts, strict=True)])
    vectors = np.concatenate([part.vectors[0] for part in parts])
    owner = rows.owner[row]
    least = suspicious_similarity(vectors, owner)
    close: list[CloseIdentities] = []
    if least is not None:
        pairs = close_identities(pairs_above(vectors, least, progress=comparing), owner)
        for a, b, similarity in zip(row[pairs.a], row[pairs.b], pairs.similarity, strict=True):
            sides = (rows.identity(a), rows.identity(b))
            close.append(CloseIdentities(sides, (rows.name(a), rows.name(b)), float(similarity)))
    suspect = [
        Outlier(
            rows.name(row[one]),
            rows.identity(row[one]),
            float(own),
            rows.identities[other],
            float(similarity),
        )
        for one, own, other, similarity in zip(*outliers(vectors, owner), strict=True)
    ]
    copies_least = _similarity_of_copies(source, rows.manifests[0])
    copies = [] if copies_least is None else _copies(rows, row, vectors, copies_least)
    quality = None
    if parts[0].quality[0] is not None:
        quality = _quality(rows.manifests[0], parts[0], cast(np.ndarray, parts[0].quality[0]))
    return ModelReport(
        source.name, least, tuple(close), tuple(suspect), copies_least, tuple(copies), quality
    )


def _quality(manifest: Manifest, embedded: Embeddings, quality: np.ndarray) -> QualityReport:
    """Return which images of the data set are poor, and whether leaving them out avoids errors."""
    names = manifest.column("identity") or [""] * len(manifest)
    owners = np.array([one or "" for one in names], object)[embedded.rows]
    order = np.argsort(quality, kind="stable")[: max(_WORST, len(quality) // 100)]
    worst = [
        PoorImage(manifest.image(embedded.rows[row]), owners[row], float(quality[row]))
        for row in order
    ]
    rejection, why = None, ""
    known = np.flatnonzero(owners != "")
    try:
        rejection = error_versus_reject(
            embedded.vectors[0][known], owners[known].astype(str), quality[known]
        )
    except ArcwiseError as problem:
        why = str(problem)
    spread = QualitySpread.of(quality)
    return QualityReport(tuple(worst), spread, float(np.median(quality)), rejection, why)


def _similarity_of_copies(source: EmbeddingSource, manifest: Manifest) -> float | None:
    """Return the cosine that 95 % of made copies have with their images; None for vectors."""
    if source.model is None or not manifest.has_images:
        return None
    images = []
    for row in np.unique(np.linspace(0, len(manifest) - 1, _COPIES).astype(int)):
        try:
            images.append(decode(manifest.read(row), manifest.image(row)))
        except ImageError:  # listed already
            continue
    if not images:
        return None
    originals = source.model.embed(images)
    copies = source.model.embed([made_copy(one) for one in images])
    return float(np.quantile((originals * copies).sum(1), 1 - _DETECTED))


def _copies(
    rows: MergedRows, row: np.ndarray, vectors: np.ndarray, least: float
) -> list[NearDuplicates]:
    """Return groups of images that are at least so similar, the largest first."""
    groups = [
        NearDuplicates(*rows.described(row[group.members]), group.least)
        for group in connected(nearest_pairs(vectors, least), len(row))
    ]
    return sorted(groups, key=NearDuplicates.order)
