"""Why the loss, scale and margin of the recipes are what they are, for data of a kind."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import resources

from arcwise.training.config import TrainConfig
from arcwise.training.losses import CentresConfig

FINDINGS = "default_loss.json"
"""What `studies/defaults.py` found, written by it beside this file."""


@dataclass(frozen=True)
class StudyResult:
    """How the recipes' loss compares with other settings of it on a data set.

    Attributes:
        data: the data set, in words.
        identities: trained on.
        images: of an identity, on average.
        pretrained: whether trainings started from pretrained weights.
        settings: how many were tried, the recipes' among them.
        better: the setting that is significantly better on identities that nothing was chosen on,
            of all the best; empty for none.
        gain: by how much, in TAR at FAR 1 %.
    """

    data: str
    identities: int
    images: float
    pretrained: bool
    settings: int
    better: str
    gain: float

    def distance(self, identities: int, images: float) -> float:
        """Return how unlike other data are, by the ratios of both numbers."""
        ratios = math.log(identities / self.identities), math.log(images / self.images)
        return math.hypot(*ratios)

    def __str__(self) -> str:
        """Return what was found, as a sentence of its own would have it."""
        start = "from pretrained weights" if self.pretrained else "from nothing"
        if self.better:
            found = f"{self.better} was better, by {self.gain:.3f} in TAR at FAR 1 %"
        else:
            found = f"none of {self.settings - 1} others was significantly better"
        return f"on {self.data}, {start}, {found}"


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
    found = f"; {nearest} (docs/defaults.md)" if nearest else ""
    seen = config.run.steps * config.data.batch / identities
    return (
        f"the scale follows from {identities:,} identities, each seen {seen:,.1f} times; margin "
        f"and schedule are the same for all data{found}"
    )
