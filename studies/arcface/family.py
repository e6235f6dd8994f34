"""Every loss that the pictures show, and an encoder that one of them trains."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from arcwise import pairs, regularisers
from arcwise.data.augment import augment, view_keys
from arcwise.data.samplers import Balanced
from arcwise.heads import CentreHead, LinearHead
from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.losses import Loss
from arcwise.training.schedule import margin_strength, rate
from arcwise.training.step import update
from arcwise.training.validation import normalise

from .network import Network

CPU = torch.device("cpu")
TRIPLET_MARGIN = 0.35
"""Radians: "Triplet (0.35)" in ArcFace's table 2."""


@dataclass(frozen=True)
class Member:
    """A loss over classes with its published margin, or the triplet loss, which has no classes."""

    loss: Loss | None
    intra: bool = False
    inter: bool = False


FAMILY = MappingProxyType(
    {
        "softmax": Member("softmax"),
        "normsoftmax": Member("normsoftmax"),
        "normsoftmax + intra": Member("normsoftmax", intra=True),
        "normsoftmax + inter": Member("normsoftmax", inter=True),
        "normsoftmax + both": Member("normsoftmax", intra=True, inter=True),
        "triplet": Member(None),
        "sphereface": Member("sphereface"),
        "cosface": Member("cosface"),
        "arcface": Member("arcface"),
        "combined": Member("combined"),
        "adaface": Member("adaface"),
        "magface": Member("magface"),
        "curricularface": Member("curricularface"),
        "elasticface": Member("elasticface"),
    }
)


class Regularised(nn.Module):
    """A head with ArcFace's intra-loss (eq. 5), inter-loss (eq. 6) or both, of weight 1 each."""

    def __init__(self, head: CentreHead, member: Member) -> None:
        super().__init__()
        self.head = head
        self.member = member

    @property
    def centres(self) -> Tensor:
        """(C, D)."""
        return self.head.centres

    def loss(self, embeddings: Tensor, labels: Tensor, margin_scale: float = 1.0) -> Tensor:
        """Scalar."""
        loss = self.head.loss(embeddings, labels, margin_scale)
        if self.member.intra:
            loss = loss + regularisers.intra(embeddings, self.centres, labels)
        if self.member.inter:
            loss = loss + regularisers.inter(self.centres, labels)
        return loss


class Triplets(nn.Module):
    """ArcFace's angular triplet loss (eq. 7) over semi-hard triplets."""

    def loss(self, embeddings: Tensor, labels: Tensor, margin_scale: float = 1.0) -> Tensor:
        """Scalar; its margin needs no warm-up."""
        loss, _ = pairs.Triplet(margin=TRIPLET_MARGIN).loss(embeddings.float(), labels)
        return loss


Head = CentreHead | LinearHead | Regularised | Triplets


def head(name: str, config: TrainConfig, classes: int) -> Head:
    """The loss of that name, as the training room builds it where it knows it."""
    member = FAMILY[name]
    if member.loss is None:
        return Triplets()
    made = build.head(config.replace(loss=member.loss, margin="published"), classes)
    if isinstance(made, CentreHead) and (member.intra or member.inter):
        return Regularised(made, member)
    return made


def centres(head: Head) -> np.ndarray | None:
    """(C, D) unit directions of the classes, None where a loss has no classes."""
    if isinstance(head, Triplets):
        return None
    rows = head.weight if isinstance(head, LinearHead) else head.centres
    return functional.normalize(rows.detach().double()).numpy()


class Training:
    """An encoder and a head on their way: `to(step)` goes on until so many updates are done.

    Every loss meets the same pictures in the same order, as many of each identity in every batch.
    """

    def __init__(
        self, name: str, config: TrainConfig, pixels: np.ndarray, labels: np.ndarray
    ) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.pixels = torch.from_numpy(pixels)  # (N, H, W, 3) uint8
        self.labels = torch.from_numpy(labels)
        self.encoder = Network(config.dim)
        self.head = head(name, config, len(np.unique(labels)))
        self.optimiser = build.optimiser(config, self.encoder, self.head)
        each = config.pictures_per_identity
        self.sampler = Balanced(labels, config.batch // each, each, config.seed)
        self.step = 0

    def follow(self, softmax: Training, means: np.ndarray) -> None:
        """Go on from the network of a softmax, with (C, D) class means for centres."""
        self.encoder.load_state_dict(softmax.encoder.state_dict())
        if isinstance(self.head, LinearHead):
            self.head.load_state_dict(softmax.head.state_dict())
        elif not isinstance(self.head, Triplets):
            with torch.no_grad():
                self.head.centres.copy_(torch.from_numpy(means))

    def to(self, step: int) -> None:
        """Train until so many updates are done."""
        while self.step < step:
            self._update()
            self.step += 1

    def _update(self) -> None:
        config = self.config
        rng = np.random.default_rng((config.seed, 2, self.step))
        torch.manual_seed(int(rng.integers(2**63)))  # ElasticFace's margins, semi-hard draws
        for group in self.optimiser.param_groups:
            group["lr"] = config.lr * rate(config, self.step) * group["multiple"]
        rows = torch.from_numpy(self.sampler.batch(self.step))
        keys = view_keys(config.seed, self.step, range(len(rows)))
        views = augment(self.pixels[rows], config.augment, config.size, keys)
        self.encoder.train()
        update(
            self.encoder,
            self.head,
            self.optimiser,
            normalise(views, build.preparation(config)),
            self.labels[rows],
            strength=margin_strength(config, self.step),
            clip=config.clip,
            autocast=build.autocast(config, CPU),
        )

    @torch.no_grad()
    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """(N, D) unit embeddings of pictures as they are, of (N, H, W, 3)."""
        self.encoder.eval()
        preparation, found = build.preparation(self.config), []
        for batch in torch.from_numpy(pixels).split(256):
            with build.autocast(self.config, CPU):
                inputs = normalise(batch.permute(0, 3, 1, 2), preparation)
                found.append(functional.normalize(self.encoder(inputs).float()))
        return torch.cat(found).numpy()
