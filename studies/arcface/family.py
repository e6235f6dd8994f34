"""Every loss that the pictures show, and an encoder that one of them trains."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from arcwise.data.augment import augment, view_keys
from arcwise.data.samplers import Balanced
from arcwise.heads import CentreHead, LinearHead
from arcwise.objectives import Batch, Objective
from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.schedule import margin_scale, rate
from arcwise.training.step import update
from arcwise.training.validation import normalise

from .network import Network

CPU = torch.device("cpu")

FAMILY = MappingProxyType(
    {
        "softmax": "softmax",
        "normsoftmax": "normsoftmax",
        "normsoftmax + intra": "normsoftmax+intra",
        "normsoftmax + inter": "normsoftmax+inter",
        "normsoftmax + both": "normsoftmax+intra+inter",
        "triplet": "triplet",
        "sphereface": "sphereface",
        "cosface": "cosface",
        "arcface": "arcface",
        "combined": "combined",
        "adaface": "adaface",
        "magface": "magface",
        "curricularface": "curricularface",
        "elasticface": "elasticface",
    }
)
"""Losses as `arcwise train --loss` takes them, by their names in the pictures. Margins are as
published, the triplet's of ArcFace's table 2 (0.35 rad); regularisers have the weight 1."""


def objective(name: str, config: TrainConfig, classes: int) -> Objective:
    """The objective of that name."""
    return build.objective(config.with_loss(FAMILY[name]), classes)


def head_of(objective: Objective) -> CentreHead | LinearHead | None:
    """The owner of the class centres, None where a loss has no classes."""
    modules = objective.modules()  # type: ignore[attr-defined]
    return next((one for one in modules if isinstance(one, CentreHead | LinearHead)), None)


def centres(objective: Objective) -> np.ndarray | None:
    """(C, D) unit directions of the classes, None where a loss has no classes."""
    head = head_of(objective)
    if head is None:
        return None
    rows = head.weight if isinstance(head, LinearHead) else head.centres
    return functional.normalize(rows.detach().double()).numpy()


class Training:
    """An encoder and an objective on their way: `to(step)` goes on until so many updates are done.

    Every loss meets the same pictures in the same order, as many of each identity in every batch.
    """

    def __init__(
        self,
        name: str,
        config: TrainConfig,
        pixels: np.ndarray,
        labels: np.ndarray,
        network: Callable[[int], nn.Module] = Network,
    ) -> None:
        torch.manual_seed(config.run.seed)
        self.config = config.with_loss(FAMILY[name])
        self.pixels = torch.from_numpy(pixels)  # (N, H, W, 3) uint8
        self.labels = torch.from_numpy(labels)
        self.encoder = network(config.encoder.dim)
        self.objective = objective(name, config, len(np.unique(labels)))
        self.optimiser = build.optimiser(self.config, self.encoder, self.objective, None)
        each = config.data.images_per_identity
        self.sampler = Balanced(labels, config.data.batch // each, each, config.run.seed)
        self.step = 0

    def follow(self, softmax: Training, means: np.ndarray) -> None:
        """Go on from the network of a softmax, with (C, D) class means for centres."""
        self.encoder.load_state_dict(softmax.encoder.state_dict())
        head, source = head_of(self.objective), head_of(softmax.objective)
        if isinstance(head, LinearHead) and source is not None:
            head.load_state_dict(source.state_dict())
        elif head is not None:
            with torch.no_grad():
                head.centres.copy_(torch.from_numpy(means))

    def to(self, step: int) -> None:
        """Train until so many updates are done."""
        while self.step < step:
            self._update()
            self.step += 1

    def _update(self) -> None:
        config = self.config
        rng = np.random.default_rng((config.run.seed, 2, self.step))
        torch.manual_seed(int(rng.integers(2**63)))  # ElasticFace's margins, semi-hard draws
        for group in self.optimiser.param_groups:
            group["lr"] = config.optim.lr * rate(config, self.step) * group["lr_multiple"]
        self.objective.set_margin_scale(margin_scale(config, self.step))
        rows = torch.from_numpy(self.sampler.batch(self.step))
        keys = view_keys(config.run.seed, self.step, range(len(rows)))
        crops = augment(self.pixels[rows], config.data.augment, config.encoder.size, keys)
        self.encoder.train()
        update(
            self.encoder,
            self.objective,
            self.optimiser,
            Batch(normalise(crops, build.preparation(config.encoder)), self.labels[rows]),
            max_grad_norm=config.optim.max_grad_norm,
            autocast=build.autocast(config.run, CPU),
        )

    @torch.no_grad()
    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """(N, D) unit embeddings of pictures as they are, of (N, H, W, 3)."""
        self.encoder.eval()
        preparation, found = build.preparation(self.config.encoder), []
        for batch in torch.from_numpy(pixels).split(256):
            with build.autocast(self.config.run, CPU):
                inputs = normalise(batch.permute(0, 3, 1, 2), preparation)
                found.append(functional.normalize(self.encoder(inputs).float()))
        return torch.cat(found).numpy()
