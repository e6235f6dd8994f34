"""The terms that are added to a loss over classes, or stand alone: the settings of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from arcwise.pairs import Circle, Contrastive, SupervisedContrastive, Triplet
from arcwise.pairs.triplet import Mining
from arcwise.training.section import section

Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


@section("objective.intra")
class IntraConfig:
    """The mean angle to the own class centre over π (ArcFace, arXiv 1801.07698, equation 5)."""

    weight: Positive = 1.0
    """Weight in the sum."""


@section("objective.inter")
class InterConfig:
    """Minus the mean angle between class centres over π (ArcFace, equation 6)."""

    weight: Positive = 1.0
    """Weight in the sum."""


@section("objective.centre")
class CentreLossConfig:
    """The centre loss of Wen et al., ECCV 2016."""

    weight: Positive = 0.003
    """Weight in the sum, the paper's λ."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Rate at which its centres follow the embeddings."""


@section("objective.length")
class LengthConfig:
    """The regression of a column on the length of the embedding (OE-CNN, arXiv 1810.07599)."""

    weight: Positive = 1.0
    """Weight in the sum, the paper's λ, for numbers of standard deviation 1."""
    column: str = "age"
    """Numbers of the data set that the length is to tell: `age`, an angle of view, a blur, …"""


@section("objective.triplet")
class TripletConfig(Triplet):
    """The triplet loss."""

    weight: Positive = 1.0
    """Weight in a sum."""
    across_domains: bool = False
    """Whether an anchor's positive and negative are of another `domain` than its own."""


@section("objective.contrastive")
class ContrastiveConfig(Contrastive):
    """The contrastive loss."""

    weight: Positive = 1.0
    """Weight in a sum."""


@section("objective.circle")
class CircleConfig(Circle):
    """The circle loss."""

    weight: Positive = 1.0
    """Weight in a sum."""


@section("objective.supervised_contrastive")
class SupervisedContrastiveConfig(SupervisedContrastive):
    """The supervised contrastive loss."""

    weight: Positive = 1.0
    """Weight in a sum."""


@section("objective.set_triplet")
class SetTripletConfig(Triplet):
    """The triplet loss of sets, each pooled by the qualities of its images (QAN)."""

    mining: Mining | Literal["all"] = "all"
    """Which triplets; sets are few, so that all are."""
    weight: Positive = 1.0
    """Weight in a sum."""


BETWEEN_SAMPLES = {
    "triplet": TripletConfig,
    "contrastive": ContrastiveConfig,
    "circle": CircleConfig,
    "supervised_contrastive": SupervisedContrastiveConfig,
}
"""Losses that need several images of an identity in a batch."""

OF_SETS = {"set_triplet": SetTripletConfig}
"""Losses between sets of images, which need whole sets in a batch."""

OF_CENTRES = {"intra": IntraConfig, "inter": InterConfig}
"""Regularisers of the class centres of another loss."""

REGULARISERS = {**OF_CENTRES, "centre": CentreLossConfig, "length": LengthConfig}
"""What is only added to another loss."""

TERMS = {**BETWEEN_SAMPLES, **OF_SETS, **REGULARISERS}
"""What is added to another loss, or stands alone if it is one between samples or sets."""
