"""Which images a step trains on, and what the encoder sees of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from arcwise import distributed
from arcwise.data.augment import augment, view_keys
from arcwise.data.domain_pairs import Bisample, check_pairs, domain_pairs
from arcwise.data.loader import CachedImages, LoadedBatch, batches
from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Balanced, Mixed, Sampler, Sets, Shuffled, Windowed
from arcwise.data.training_columns import TrainingColumns
from arcwise.errors import ArcwiseError
from arcwise.images import Preparation
from arcwise.images.landmarks import align
from arcwise.training import build
from arcwise.training.config import TrainConfig


def stage_rows(config: TrainConfig, stage: int, images: Manifest) -> np.ndarray:
    """Return which rows of the training data a stage trains on.

    Args:
        config: the whole run.
        stage: its number.
        images: the training data of the whole run.

    Raises:
        ArcwiseError: the stage names a column that is not there, no row has its values, or it takes
            images of two domains, and there are none.
    """
    kept = np.ones(len(images), bool)
    where = config.stages[stage].where if config.stages else {}
    for column, values in where.items():
        found = images.column(column)
        if found is None:
            raise ArcwiseError(
                f"stages[{stage}].where: {images.name} has no column {column!r}; it has "
                f"{', '.join(images.table.column_names)}"
            )
        kept &= np.isin(np.array([str(one) for one in found]), values)
    identities = config.stages[stage].identities if config.stages else "all"
    if identities != "all":
        found = domain_pairs(images)
        some = found.deep if identities == "deep" else (*found.paired, *found.lacking)
        if identities == "paired" and len(found.domains) < 2:
            check_pairs(images)  # says what is missing
        if some or identities == "paired":
            kept &= np.isin(images.identities, some)
    if not kept.any():
        raise ArcwiseError(f"stages[{stage}].where={where}: no row of {images.name} is left")
    return np.flatnonzero(kept)


def stream(
    config: TrainConfig, source: CachedImages, start: int, queues: np.ndarray | None = None
) -> Iterator[LoadedBatch]:
    """Return this rank's part of every batch from step `start`, at the size that is cached.

    Args:
        config: one stage.
        source: its `training_images`.
        start: steps of the stage that are done.
        queues: (C, Q) the dominant queues to draw batches from, where the objective has some.
    """
    plan = map(distributed.share, planned_rows(config, source.manifest, start, queues))
    return batches(source, plan, workers=config.data.workers)


def training_images(
    config: TrainConfig,
    images: Manifest,
    preparation: Preparation,
    columns: TrainingColumns | None = None,
) -> CachedImages:
    """Return the images of a stage at the size that is cached.

    Args:
        config: one stage.
        images: what it trains on.
        preparation: how an image becomes the encoder's input.
        columns: what the objective asks for besides images and labels.
    """
    side = cached_side(config)
    larger = replace(preparation, height=side, width=side)
    return cached_images(config, images, larger, columns.values if columns else {})


def cached_images(
    config: TrainConfig,
    images: Manifest,
    preparation: Preparation,
    columns: Mapping[str, np.ndarray] | None = None,
) -> CachedImages:
    """Return the images at the size of the preparation, their faces turned as the model will.

    Args:
        config: alignment, and the memory that is set aside.
        images: what to read.
        preparation: how an image becomes the encoder's input, at any size.
        columns: (N,) of each column that the objective asks for.
    """
    onto, size = build.alignment(config.encoder), config.encoder.size
    return CachedImages(
        images,
        images.labels,
        preparation,
        int(config.data.cache_gb * 1e9),
        columns=columns,
        align=None if onto is None else partial(align, size=size, onto=onto),
    )


def planned_rows(
    config: TrainConfig, images: Manifest, start: int, queues: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield (N,) the rows of every batch of a stage, over all processes, from step `start`."""
    sampler = _sampler(config, images, queues)
    return (sampler.batch(step) for step in range(start, config.run.steps))


def crops(config: TrainConfig, batch: LoadedBatch, step: int, device: torch.device) -> Tensor:
    """Return (N, 3, V, V) float32: what this step of the run sees of a batch, from 0 to 255."""
    keys = step_keys(config, batch, step)
    return augment(on_device(batch.pixels, device), config.data.augment, crop_size(config), keys)


def step_keys(config: TrainConfig, batch: LoadedBatch, step: int) -> np.ndarray:
    """Return (N,) the random keys of what this step of the run sees of each image."""
    return view_keys(config.run.seed, step, places(config, batch))


def places(config: TrainConfig, batch: LoadedBatch) -> np.ndarray:
    """Return (N,) int64, where each image stood in the batch as it was planned."""
    return distributed.share(np.arange(config.data.batch))[batch.positions.numpy()]


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device, without waiting for the work that is queued there."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def crop_size(config: TrainConfig) -> int:
    """Return the height and width of what training sees, in pixels."""
    return config.encoder.train_crop or config.encoder.size


def cached_side(config: TrainConfig) -> int:
    """Return the height and width at which decoded images are kept, in pixels."""
    return round(crop_size(config) * config.data.cache_size)


def _sampler(config: TrainConfig, images: Manifest, queues: np.ndarray | None = None) -> Sampler:
    data, seed = config.data, config.run.seed
    if data.sampling == "bisample":
        return Bisample(images, data.batch // 2, seed, queues)
    if data.sampling == "balanced":
        identities = data.batch // data.images_per_identity
        return Balanced(images.labels, identities, data.images_per_identity, seed)
    if data.sampling == "sets":
        identities = data.batch // (2 * data.images_per_set)
        groups = None if data.sets_of == "identity" else _column(images, data.sets_of)
        return Sets(images.labels, identities, data.images_per_set, seed, groups=groups)
    rare = _outside_the_most_frequent_domain(images)
    extra = round(data.domain_balance * data.batch) if len(rare) else 0
    rows, batch = len(images), data.batch - extra
    if data.sampling == "windowed":
        every: Sampler = Windowed(rows, batch, seed)
    else:
        every = Shuffled(np.arange(rows), batch, seed)
    return Mixed(every, Shuffled(rare, extra, seed)) if extra else every


def _column(images: Manifest, name: str) -> np.ndarray:
    """Return (N,) the group of each row; one that names none is a group of its own.

    Raises:
        ArcwiseError: there is no such column.
    """
    values = images.column(name)
    if values is None:
        raise ArcwiseError(
            f"--data.sets-of {name}: {images.name} has no column {name!r}; it has "
            f"{', '.join(images.table.column_names)}; expected one, or --data.sets-of identity"
        )
    return np.array([f"g{one}" if one else f"r{row}" for row, one in enumerate(values)])


def _outside_the_most_frequent_domain(images: Manifest) -> np.ndarray:
    domains = images.column("domain")
    if domains is None:
        return np.empty(0, np.int64)
    names, codes, counts = np.unique(
        [str(domain) for domain in domains], return_inverse=True, return_counts=True
    )
    return np.flatnonzero(codes != counts.argmax()) if len(names) > 1 else np.empty(0, np.int64)
