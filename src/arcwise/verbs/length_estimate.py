"""What the lengths of embeddings tell of images: read off, and how far off that is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.errors import ArcwiseError
from arcwise.images.decode import decode
from arcwise.protocols.result import LengthEstimate
from arcwise.runtime import Model

_BATCH = 64


def lengths_of_rows(model: Model, images: Manifest, rows: Sequence[int]) -> np.ndarray:
    """Return (R,) float64 lengths of the embeddings of some rows; NaN of unreadable images."""
    landmarks = images.column("landmarks") or [None] * len(images)
    lengths = np.full(len(rows), np.nan)
    for start in range(0, len(rows), _BATCH):
        read: dict[int, np.ndarray] = {}
        for place, row in enumerate(rows[start : start + _BATCH], start):
            with suppress(ArcwiseError):  # it is listed where the embeddings are made
                image = decode(images.read(row), images.image(row))
                read[place] = model.prepare(image, landmarks[row])
        if read:
            lengths[list(read)] = model.lengths(np.stack(list(read.values())))
    return lengths


def measure_estimate(model: Model | None, images: Manifest) -> LengthEstimate | None:
    """Return how well the lengths tell the model's column on these images.

    None where the model tells none, or fewer than two different numbers of it are known here.
    """
    reading = None if model is None or model.bundle is None else model.bundle.length
    if model is None or reading is None or not images.has_images:
        return None
    if reading.column not in images.table.column_names:
        return None
    values = training_columns(images, [reading.column]).values[reading.column]
    if values.dtype.kind != "f":
        return None
    rows = np.flatnonzero(np.isfinite(values))
    lengths = lengths_of_rows(model, images, rows.tolist())
    measured = ~np.isnan(lengths)
    truth = values[rows][measured].astype(np.float64)
    if len(np.unique(truth)) < 2:
        return None
    error = reading.values(lengths[measured]) - truth
    r2 = 1 - np.square(error).sum() / np.square(truth - truth.mean()).sum()
    return LengthEstimate(reading.column, len(truth), float(r2), float(np.abs(error).mean()))
