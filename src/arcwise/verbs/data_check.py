"""A look at a data set, and at whether others leak into it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from arcwise.data.check import check as look
from arcwise.data.check.check_report import CheckReport, CloseIdentities, ModelReport, Outlier
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
from arcwise.identity import is_bare_number
from arcwise.images import Preparation, decode
from arcwise.runtime import Model
from arcwise.verbs.unseen import OTHERS
from arcwise.verbs.vectors_of import System, open_systems, vectors_of

_COPIES = 64  # pictures that are copied to learn what the model makes of a copy
_COPIES_FOUND = 0.95  # of which so many must be found


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
    """What there is in a data set and what is wrong with it; it prints itself.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        against: data sets that must share no picture and no identity with it.
        other_identities: whether identities of these are none of the first one's, though they may
            be called alike (labels 0, 1, … of another data set).
        model: whose embeddings are asked for wrong labels and for copies; "-" for vectors that the
            data sets hold already.
        preparation: of a bare `.onnx`.
        cached: whether embeddings are kept for the next time.
        progress: called with the pictures done and their total.
        comparing: called with the pictures compared with all others and their total.
        embedding: called with the pictures of a data set embedded and their total.

    Raises:
        ArcwiseError: one of them is not a data set, or the model not usable.
    """
    manifests = [open_manifest(one, identities=False) for one in (source, *against)]
    systems = [] if model is None else open_systems([model], preparation)
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
            f"are not, say {OTHERS}"
        )
        report = replace(report, notes=(*report.notes, note))
    if not systems:
        return report
    rows = MergedRows(manifests, other_identities=other_identities)
    found = _by_model(systems[0], rows, cached, embedding, comparing)
    by_pixels = enumerate((*report.duplicates, *report.near))
    group_of = {image: number for number, group in by_pixels for image in group.images}
    unseen = tuple(one for one in found.copies if not _one_group(one.images, group_of))
    return replace(report, by_model=replace(found, copies=unseen))


def _one_group(images: Sequence[str], group_of: Mapping[str, int]) -> bool:
    """Whether all of these are in the same group."""
    return len({group_of.get(one, -1 - place) for place, one in enumerate(images)}) == 1


def _by_model(
    system: System,
    rows: MergedRows,
    cached: bool,
    embedding: Progress | None,
    comparing: Progress | None,
) -> ModelReport:
    """What the embeddings of all data sets together tell."""
    parts = [vectors_of([system], one, cached=cached, progress=embedding) for one in rows.manifests]
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
    strange = [
        Outlier(
            rows.name(row[one]),
            rows.identity(row[one]),
            float(own),
            rows.identities[other],
            float(similarity),
        )
        for one, own, other, similarity in zip(*outliers(vectors, owner), strict=True)
    ]
    copies_least = _similarity_of_copies(system, rows.manifests[0])
    copies = [] if copies_least is None else _copies(rows, row, vectors, copies_least)
    return ModelReport(
        system.name, least, tuple(close), tuple(strange), copies_least, tuple(copies)
    )


def _similarity_of_copies(system: System, manifest: Manifest) -> float | None:
    """The cosine that 95 % of copies made here have with their pictures; None for vectors."""
    if system.model is None or not manifest.has_images:
        return None
    pictures = []
    for row in np.unique(np.linspace(0, len(manifest) - 1, _COPIES).astype(int)):
        try:
            pictures.append(decode(manifest.read(row), manifest.image(row)))
        except ImageError:  # listed already
            continue
    if not pictures:
        return None
    originals = system.model.embed(pictures)
    copies = system.model.embed([made_copy(one) for one in pictures])
    return float(np.quantile((originals * copies).sum(1), 1 - _COPIES_FOUND))


def _copies(
    rows: MergedRows, row: np.ndarray, vectors: np.ndarray, least: float
) -> list[NearDuplicates]:
    found = [
        NearDuplicates(*rows.described(row[group.members]), group.least)
        for group in connected(nearest_pairs(vectors, least), len(row))
    ]
    return sorted(found, key=NearDuplicates.order)
