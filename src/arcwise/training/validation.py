"""How good the network is on identities it was not trained on, during the run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from arcwise import evaluation
from arcwise.data.loader import CachedImages, batches
from arcwise.errors import ArcwiseError, ImageError, NonFiniteError
from arcwise.images import Preparation

FAR = 1e-2
BATCH = 128


@dataclass(frozen=True)
class Validation:
    """Leave-one-out recall@1, and the true-accept rate over all pairs at a false-accept rate.

    Attributes:
        recall_at_1: share of pictures whose nearest other picture shows the same identity.
        tar: share of mated pairs accepted where 1 % of the others are.
    """

    recall_at_1: float
    tar: float

    @property
    def score(self) -> float:
        """What the kept checkpoint has the most of: the mean of both."""
        return (self.recall_at_1 + self.tar) / 2


def validate(
    encoder: nn.Module,
    pictures: CachedImages,
    device: torch.device,
    autocast: AbstractContextManager[object],
) -> tuple[Validation, tuple[ImageError, ...]]:
    """What the encoder does on these pictures, and the unreadable ones, which are left out."""
    embeddings, labels, failures = embed(encoder, pictures, device, autocast)
    recall = float(evaluation.retrieval(embeddings, labels).recall_at(1))
    (threshold,) = evaluation.calibrate(embeddings, labels, fars=(FAR,), draws=2)
    return Validation(recall, threshold.tar or 0.0), failures


@torch.no_grad()
def embed(
    encoder: nn.Module,
    pictures: CachedImages,
    device: torch.device,
    autocast: AbstractContextManager[object],
) -> tuple[np.ndarray, np.ndarray, tuple[ImageError, ...]]:
    """(M, D) unit embeddings of the readable pictures, their (M,) labels, and the other pictures.

    Raises:
        ArcwiseError: none can be read.
        NonFiniteError: the network has diverged.
    """
    encoder.eval()
    found, labels, failures = [], [], []
    rows = np.arange(len(pictures.manifest))
    plan = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    for batch in batches(pictures, plan, workers=0):
        failures += batch.failures
        if len(batch.rows):
            inputs = normalise(batch.pixels.to(device).permute(0, 3, 1, 2), pictures.preparation)
            with autocast:
                embedding = encoder(inputs).float()
                if pictures.preparation.flip_tta:
                    embedding = embedding + encoder(inputs.flip(3)).float()
            if not embedding.isfinite().all():
                raise NonFiniteError("the embeddings of held-out pictures are not finite")
            found.append(torch.nn.functional.normalize(embedding).cpu())
            labels.append(batch.labels)
    if not found:
        raise ArcwiseError(
            f"{pictures.manifest.name}, held out: {len(failures)} of {len(rows)} pictures "
            f"cannot be read; the first: {failures[0]}"
        )
    return torch.cat(found).numpy(), torch.cat(labels).numpy(), tuple(failures)


def normalise(planes: Tensor, preparation: Preparation) -> Tensor:
    """(N, 3, H, W) RGB from 0 to 255 → what the encoder sees, channels last in memory."""
    mean = torch.tensor(preparation.mean, device=planes.device)[:, None, None]
    std = torch.tensor(preparation.std, device=planes.device)[:, None, None]
    planes = planes.flip(1) if preparation.colour == "bgr" else planes
    return ((planes.float() - mean) / std).contiguous(memory_format=torch.channels_last)
