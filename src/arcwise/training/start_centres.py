"""Where class centres start: at the means of their classes, or where an earlier run left them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from arcwise.data.digests import identity_digest
from arcwise.data.manifest import Manifest
from arcwise.encoders.quality import without_quality
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead
from arcwise.images import Preparation
from arcwise.training import build, checkpoint
from arcwise.training.batches import cached_images
from arcwise.training.config import TrainConfig
from arcwise.training.feature_cache import compute_features
from arcwise.training.validation import embed

STATISTICS = 20_000
"""Images from which batch normalisation of a new embedding head takes its statistics."""


@torch.no_grad()
def start_at_class_means(
    head: CentreHead,
    encoder: nn.Module,
    config: TrainConfig,
    images: Manifest,
    preparation: Preparation,
) -> None:
    """Move each centre to the direction of the mean embedding of its class, in its own length.

    Every image is embedded once, as it is. A new embedding head takes the statistics of its batch
    normalisation from these images, as training will from its batches. Sub-centres of a class start
    together, apart by a tenth of their random start.

    Args:
        head: whose centres move.
        encoder: as training starts with it; in evaluation mode afterwards.
        config: one stage.
        images: what it trains on.
        preparation: how an image becomes the encoder's input.
    """
    device, encoder = head.centres.device, without_quality(encoder)
    if hasattr(encoder, "head"):  # of a backbone
        cache = compute_features(encoder, config, images, preparation, device, views=1)
        read = torch.from_numpy(cache.digests != 0)
        labels = torch.from_numpy(images.labels)[read].to(device)
        pooled = cache.values[read.to(device), 0]
        embedding_head: Any = encoder.head
        fit_statistics(embedding_head, pooled[torch.randperm(len(pooled))[:STATISTICS]])
        vectors = torch.cat([embedding_head(part) for part in pooled.split(4096)])
    else:
        source = cached_images(config, images, preparation)
        embedded, embedded_labels, _ = embed(
            encoder, source, device, build.autocast(config.run, device)
        )
        vectors = torch.from_numpy(embedded).to(device)
        labels = torch.from_numpy(embedded_labels).to(device)
    means = torch.zeros(len(head.centres), vectors.shape[1], device=device)
    means.index_add_(0, labels, F.normalize(vectors))
    has_images = torch.bincount(labels, minlength=len(means)) > 0
    centres = head.centres
    length = centres.norm(dim=-1, keepdim=True)
    means = F.normalize(means) if centres.ndim == 2 else F.normalize(means)[:, None]
    moved = means * length + (0.1 * centres if centres.ndim == 3 else 0)
    centres[has_images] = moved[has_images]


def fit_statistics(head: nn.Module, pooled: Tensor) -> None:
    """Set the running statistics of a head's batch normalisation to those of these features.

    Args:
        head: an `EmbeddingHead`; in evaluation mode afterwards.
        pooled: (N, F).
    """
    norms = [module for module in head.modules() if isinstance(module, _BatchNorm)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all that it sees
    if len(pooled) > 1:
        head.train()
        head(pooled)
    for norm, own in zip(norms, momentum, strict=True):
        norm.momentum = own
    head.eval()


def class_digests(classes: Sequence[str]) -> list[str]:
    """Return the digest of each identity, in the order of the labels, for a checkpoint."""
    return [identity_digest(identity) for identity in classes]


def run_of_kept_centres(init: str) -> Path:
    """Return the run folder whose class centres are to be kept.

    Args:
        init: what the encoder starts from.

    Raises:
        ArcwiseError: it is no run folder on this machine, or has no checkpoint.
    """
    folder = Path(init)
    if not init or not checkpoint.saved(folder / "checkpoints"):
        raise ArcwiseError(
            f"objective.centres_start=kept takes the class centres of the run in encoder.init, got "
            f"{init!r}; expected a run folder with a checkpoint, or objective.centres_start="
            "class-means"
        )
    return folder


@torch.no_grad()
def keep_centres(head: CentreHead, classes: Sequence[str], run_folder: Path) -> int:
    """Move the centres of identities that an earlier run knew to where it left them.

    Args:
        head: whose centres move.
        classes: the identities, in the order of the labels.
        run_folder: of the earlier run, with its checkpoints.

    Returns:
        How many identities it knew.

    Raises:
        ArcwiseError: its checkpoint has no centres of this shape.
    """
    _, state = checkpoint.load(run_folder / "checkpoints")
    before = [
        value
        for name, value in state["objective"].items()
        if name.rpartition(".")[2] == "centres" and value.shape[1:] == head.centres.shape[1:]
    ]
    if not before or "classes" not in state:
        raise ArcwiseError(
            f"{run_folder}: its checkpoint has no class centres of {tuple(head.centres.shape[1:])} "
            "numbers; expected --objective.centres-start class-means, or the --dim and loss of "
            "that run"
        )
    places = {digest: place for place, digest in enumerate(state["classes"])}
    rows = [places.get(digest, -1) for digest in class_digests(classes)]
    kept = [label for label, row in enumerate(rows) if row >= 0]
    head.centres[kept] = before[0][[rows[label] for label in kept]].to(head.centres)
    return len(kept)
