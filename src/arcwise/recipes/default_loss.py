"""Why the loss, scale and margin of the recipes are what they are, for data of a kind."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import resources

from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.losses import CentresConfig

FINDINGS = "default_loss.json"
"""What `studies/defaults.py` found; it writes this file."""


@dataclass(frozen=True)
class StudyResult:
    """How the recipes' loss compares with other settings of it on a data set.

    Attributes:
        data: the data set, in words.
        identities: trained on.
        images: of an identity, on average.
        pretrained: whether trainings started from pretrained weights.
        measured: identities that were measured, others than those trained on.
        settings: how many were tried, the recipes' among them.
        better: the best of the settings that are significantly better; empty for none.
        gain: by how much, in TAR at FAR 1 %.
    """

    data: str
    identities: int
    images: float
    pretrained: bool
    measured: int
    settings: int
    better: str
    gain: float

    def distance(self, identities: int, images: float) -> float:
        """Return how unlike other data are, by the ratios of both numbers."""
        ratios = math.log(identities / self.identities), math.log(images / self.images)
        return math.hypot(*ratios)

    def __str__(self) -> str:
        """Return the result in words: "on 39 products, from nothing, …"."""
        start = "from pretrained weights" if self.pretrained else "from nothing"
        if self.better:
            result = f"{self.better} was better, by {self.gain:.3f} in TAR at FAR 1 %"
        else:
            result = f"none of {self.settings - 1} other settings was significantly better"
        return f"on {self.data}, {start}, measured on {self.measured} others, {result}"


def findings() -> list[StudyResult]:
    """Return what was found on every data set."""
    text = resources.files("arcwise.recipes").joinpath(FINDINGS).read_text()
    return [StudyResult(**one) for one in json.loads(text)]


def reason(config: TrainConfig, identities: int, images: int) -> str:
    """Return why a run has this loss, in words, where its recipe settled it; else nothing.

    Args:
        config: the run, with the objective of its recipe.
        identities: trained on.
        images: of all of them.
    """
    objective = config.objective
    if not isinstance(objective, CentresConfig) or objective.scale:
        return ""
    pretrained = bool(config.encoder.init)
    each = images / identities
    alike = [one for one in findings() if one.pretrained == pretrained]
    nearest = min(alike, key=lambda one: one.distance(identities, each), default=None)
    study = f"; {nearest} (docs/defaults.md)" if nearest else ""
    seen = build.times_seen(config, identities)
    return (
        f"the scale follows from {identities:,} identities, each seen {seen:,.1f} times; margin "
        f"and schedule are the same for all data{study}"
    )
