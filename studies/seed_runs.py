"""Trainings of several configs with several seeds on the same images, and what they embed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.parallel import cores
from arcwise.training.config import TrainConfig
from arcwise.verbs.compare_training import EMBEDDINGS, SeedTraining, known_result, train_all


@dataclass(frozen=True)
class SeedRuns:
    """Trainings that have ended.

    Attributes:
        embeddings: (M, D) of the held-out images, a list over the seeds by the config's label.
        failed: labels whose training diverged with some seed; they have no embeddings.
        minutes: of one core, in all.
    """

    embeddings: dict[str, list[np.ndarray]]
    failed: list[str]
    minutes: float


def trained(
    configs: Mapping[str, TrainConfig],
    seeds: int,
    images: Manifest,
    pixels: Path,
    folder: Path,
    names: Mapping[str, str] | None = None,
) -> SeedRuns:
    """Train every config with every seed, or go on with that.

    Args:
        configs: by label.
        seeds: of each.
        images: what is trained on, of `small_images`.
        pixels: the file of the held-out images, of `prepared_images`.
        folder: where the trainings go.
        names: of their folders, by label; the labels themselves without any.
    """
    trainings = {
        (label, seed): SeedTraining(
            folder / f"{names[label] if names else label}, seed {seed}",
            config.replace(run={"seed": seed}),
            images,
            pixels,
        )
        for seed in range(seeds)
        for label, config in configs.items()
    }
    for one in trainings.values():
        one.folder.mkdir(parents=True, exist_ok=True)
    train_all(
        list(trainings.values()),
        cores(),
        lambda training, result: print(training.folder.name, round(result.seconds), flush=True),
    )
    results = {key: known_result(one.folder) for key, one in trainings.items()}
    failed = {label for (label, _), result in results.items() if result and result.failed}
    embeddings = {
        label: [np.load(trainings[label, seed].folder / EMBEDDINGS) for seed in range(seeds)]
        for label in configs
        if label not in failed
    }
    minutes = sum(one.seconds for one in results.values() if one) / 60
    return SeedRuns(embeddings, sorted(failed), minutes)
