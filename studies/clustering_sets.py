"""The embeddings that the studies of clustering measure."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from arcwise.evaluation import Threshold, calibrate
from table2 import grocery

SEEDS = 3
PRODUCTS = "39 products, 10 images each, pretrained"


class Embeddings(NamedTuple):
    """Embeddings to be clustered.

    Attributes:
        vectors: (N, D).
        ids: (N,) who they are of; for measuring alone.
        thresholds: of the model, from other identities; empty where there are none.
    """

    vectors: np.ndarray
    ids: np.ndarray
    thresholds: tuple[Threshold, ...] = ()


def faces(name: str) -> tuple[np.ndarray, np.ndarray]:
    data = np.load(Path(os.environ["ARCWISE_DATA"]) / f"features/{name}_mobilefacenet.npz")
    return data["feature"].astype(np.float32), np.unique(data["person"], return_inverse=True)[1]


def lfw(other_half: bool) -> Embeddings:
    """All of LFW, or the half of its people that settled nothing, with thresholds of the other."""
    vectors, ids = faces("lfw")
    settled = np.zeros(ids.max() + 1, dtype=bool)
    settled[np.random.default_rng(0).permutation(len(settled))[: len(settled) // 2]] = True
    of_half = settled[ids]
    thresholds = calibrate(vectors[of_half], ids[of_half])
    if not other_half:
        return Embeddings(vectors, ids)
    return Embeddings(vectors[~of_half], ids[~of_half], thresholds)


def fgnet() -> Embeddings:
    return Embeddings(*faces("fgnet"), lfw(other_half=True).thresholds)


def omniglot(sets: Path) -> Embeddings:
    table = pq.read_table(sets / "clustering/omniglot.parquet")
    vectors = np.array(table.column("vector").combine_chunks().flatten()).reshape(len(table), -1)
    ids = np.unique(table.column("identity").to_pylist(), return_inverse=True)[1]
    about = sets / "clustering/run/model/model.json"
    stated = json.loads(about.read_text())["thresholds"] if about.exists() else []
    return Embeddings(vectors, ids, tuple(Threshold.from_dict(one) for one in stated))


def products(sets: Path) -> list[Embeddings]:
    """Three trainings; half of the held-out products is clustered, by thresholds of the others."""
    folder = sets / "defaults" / PRODUCTS
    split, _ = grocery(sets)
    first, second = split.validation, split.calibration
    several = []
    for seed in range(SEEDS):
        every = np.load(folder / f"arcface@0.5 s=12.86, seed {seed}" / "embeddings.npy")
        assert len(every) == len(first) + len(second), "all images could be read"
        thresholds = calibrate(every[: len(first)], first.labels)
        several.append(Embeddings(every[len(first) :], second.labels, thresholds))
    return several
