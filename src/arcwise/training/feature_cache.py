"""Features of a frozen backbone, computed once: then only the embedding head and the loss are left.

A step costs milliseconds, as no image is read and no convolution computed. With one view an image,
training sees what the model will see; with several, each step draws one of them, so that the head
learns from augmented images too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from arcwise import distributed
from arcwise.data.augment import augment, view_keys
from arcwise.data.loader import LoadedBatch, batches
from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import TrainingColumns
from arcwise.errors import ImageError
from arcwise.images import Preparation
from arcwise.training import build
from arcwise.training.batches import cached_images, cached_side, crop_size, planned_rows
from arcwise.training.config import TrainConfig
from arcwise.training.validation import normalise

BATCH = 64


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """The pooled features of images.

    Attributes:
        values: (n, V, F) float32, on the device that trains: V views of n images.
        digests: (n,) int64, the digest of each image file; 0 where it could not be read.
        failures: the images that could not be read.
    """

    values: Tensor
    digests: np.ndarray
    failures: tuple[ImageError, ...]

    def of(self, rows: Tensor, keys: np.ndarray) -> Tensor:
        """Return (N, F): the features of these rows, a view of each by its key."""
        views = torch.from_numpy((keys % self.values.shape[1]).astype(np.int64))
        device = self.values.device
        return self.values[rows.to(device), views.to(device)]


def compute_features(
    encoder: nn.Module,
    config: TrainConfig,
    images: Manifest,
    preparation: Preparation,
    device: torch.device,
    *,
    views: int,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> FeatureCache:
    """Return the pooled features of every image, by the encoder in evaluation mode.

    Args:
        encoder: with `pooled`.
        config: augmentation, seed and precision.
        images: what to embed.
        preparation: how an image becomes the encoder's input.
        device: where the encoder is.
        views: V; 1 for the image as it will be embedded, more for so many augmented views.
        progress: called with (views done, views in all).
    """
    prepared = preparation
    if views > 1:
        side = cached_side(config)
        prepared = replace(preparation, height=side, width=side)
    source = cached_images(config, images, prepared)
    rows = np.arange(len(images))
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    plan = (part for _ in range(views) for part in parts)
    digests = np.zeros(len(images), np.int64)
    failures: dict[str, ImageError] = {}
    values: Tensor | None = None
    encoder.eval()
    loaded = batches(source, plan, workers=config.data.workers)
    for number, batch in enumerate(loaded):
        view = number // len(parts)
        failures |= {error.name: error for error in batch.failures}
        if len(batch.rows):
            planes = batch.pixels.to(device).permute(0, 3, 1, 2)
            if views > 1:
                keys = view_keys(config.run.seed, view, batch.rows.numpy())
                planes = augment(
                    batch.pixels.to(device), config.data.augment, crop_size(config), keys
                )
            with torch.no_grad(), build.autocast(config.run, device):
                pooled = encoder.pooled(normalise(planes, preparation)).float()  # type: ignore[operator]
            if values is None:
                values = pooled.new_zeros(len(images), views, pooled.shape[1])
            values[batch.rows.to(device), view] = pooled
            digests[batch.rows.numpy()] = batch.digests
        progress(number * BATCH + len(batch.rows), views * len(images))
    if values is None:
        values = torch.zeros(len(images), views, 1, device=device)
    return FeatureCache(values, digests, tuple(failures.values()))


def cached_stream(
    config: TrainConfig,
    images: Manifest,
    cache: FeatureCache,
    start: int,
    columns: TrainingColumns | None = None,
    queues: np.ndarray | None = None,
) -> Iterator[LoadedBatch]:
    """Yield what `batches.stream` yields, without pixels.

    Args:
        config: one stage.
        images: what it trains on.
        cache: their features.
        start: steps of the stage that are done.
        columns: what the objective asks for besides images and labels.
        queues: the dominant queues to draw batches from, where the objective has some.
    """
    labels = torch.from_numpy(np.ascontiguousarray(images.labels, dtype=np.int64))
    values = {
        name: torch.from_numpy(one) for name, one in (columns.values if columns else {}).items()
    }
    failures = cache.failures
    for planned in planned_rows(config, images, start, queues):
        shared = distributed.share(planned)
        positions = np.flatnonzero(cache.digests[shared])
        rows = torch.from_numpy(shared[positions])
        yield LoadedBatch(
            rows=rows,
            positions=torch.from_numpy(positions),
            pixels=torch.empty(0, dtype=torch.uint8),
            labels=labels[rows],
            failures=failures,
            digests=cache.digests[shared[positions]],
            columns={name: one[rows] for name, one in values.items()},
        )
        failures = ()
