"""How good the network is on identities it was not trained on, during the run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from arcwise import evaluation
from arcwise.data.loader import CachedImages, batches
from arcwise.encoders.interface import encoder_output
from arcwise.errors import ArcwiseError, ImageError, NonFiniteError
from arcwise.images import Preparation

FAR = 1e-2
BATCH = 128


@dataclass(frozen=True)
class Validation:
    """Leave-one-out recall@1, and the true-accept rate over all pairs at a false-accept rate.

    Attributes:
        recall_at_1: share of images whose nearest other image shows the same identity.
        tar: share of mated pairs accepted where 1 % of the others are.
        tar_resolved: whether the pairs suffice to state it. Where they do not, it still has a part
            in the choice of the checkpoint.
    """

    recall_at_1: float
    tar: float
    tar_resolved: bool = True

    @property
    def score(self) -> float:
        """What the kept checkpoint has the most of: the mean of both."""
        return (self.recall_at_1 + self.tar) / 2

    def as_dict(self) -> dict[str, float]:
        """Return what is written of it."""
        return asdict(self)


def validate(
    encoder: nn.Module,
    images: CachedImages,
    device: torch.device,
    autocast: AbstractContextManager[object],
    pooled: dict[tuple[int, bool], Tensor] | None = None,
) -> tuple[Validation, tuple[ImageError, ...]]:
    """Return what was measured on these images, and the unreadable ones, which are left out.

    Args:
        encoder: the network.
        images: of held-out identities.
        device: where the network is.
        autocast: its arithmetic.
        pooled: features of these images, as `embed` takes them.
    """
    embeddings, labels, failures = embed(encoder, images, device, autocast, pooled)
    recall = float(evaluation.retrieval(embeddings, labels).recall_at(1))
    (threshold,) = evaluation.calibrate(embeddings, labels, fars=(FAR,), draws=2)
    measured = threshold.resolved and threshold.tar is not None
    return Validation(recall, threshold.tar or 0.0, measured), failures


@torch.no_grad()
def embed(
    encoder: nn.Module,
    images: CachedImages,
    device: torch.device,
    autocast: AbstractContextManager[object],
    pooled: dict[tuple[int, bool], Tensor] | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[ImageError, ...]]:
    """Return (M, D) unit embeddings of the readable images, (M,) labels, and the other images.

    Args:
        encoder: the network.
        images: what to embed.
        device: where the network is.
        autocast: its arithmetic.
        pooled: what the encoder's head sees of each batch and of its mirror images, where the
            backbone is frozen; filled by the first call.

    Raises:
        ArcwiseError: none can be read.
        NonFiniteError: the network has diverged.
    """
    encoder.eval()
    vectors, labels, failures = [], [], []
    rows = np.arange(len(images.manifest))
    plan = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    mirrors = (False, True) if images.preparation.flip_tta else (False,)
    for number, batch in enumerate(batches(images, plan, workers=0)):
        failures += batch.failures
        if len(batch.rows):
            inputs = normalise(batch.pixels.to(device).permute(0, 3, 1, 2), images.preparation)
            with autocast:
                embedding = torch.stack(
                    [
                        _embedding(encoder, inputs.flip(3) if mirror else inputs,
                                   pooled, (number, mirror))
                        for mirror in mirrors
                    ]
                ).sum(0)  # fmt: skip
            if not embedding.isfinite().all():
                raise NonFiniteError("the embeddings of held-out images are not finite")
            vectors.append(torch.nn.functional.normalize(embedding).cpu())
            labels.append(batch.labels)
    if not vectors:
        raise ArcwiseError(
            f"{images.manifest.name}, held out: {len(failures)} of {len(rows)} images "
            f"cannot be read; the first: {failures[0]}"
        )
    return torch.cat(vectors).numpy(), torch.cat(labels).numpy(), tuple(failures)


def _embedding(
    encoder: nn.Module,
    inputs: Tensor,
    pooled: dict[tuple[int, bool], Tensor] | None,
    key: tuple[int, bool],
) -> Tensor:
    """Return (N, D) embeddings, of pooled features where these are kept."""
    if pooled is None:
        return encoder_output(encoder(inputs)).embedding.float()
    if key not in pooled:
        pooled[key] = encoder.pooled(inputs)  # type: ignore[operator]
    return encoder.head(pooled[key])  # type: ignore[operator]


def normalise(planes: Tensor, preparation: Preparation) -> Tensor:
    """Return what the encoder sees of (N, 3, H, W) RGB from 0 to 255, channels last in memory."""
    mean, std = _constants(preparation.mean, preparation.std, planes.device)
    planes = planes.flip(1) if preparation.colour == "bgr" else planes
    return ((planes.float() - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=4)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """The two on the device; to copy them there in every step would wait for it."""
    return tuple(torch.tensor(one, device=device)[:, None, None] for one in (mean, std))  # type: ignore[return-value]
