"""The terms of an objective besides the loss over class centres, each a section of the config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from arcwise.pairs import Circle, Contrastive, SupervisedContrastive, Triplet
from arcwise.pairs.triplet import Mining
from arcwise.training.section import section

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


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


@section("objective.triplet")
class TripletConfig(Triplet):
    """The triplet loss."""

    weight: Positive = 1.0
    """Weight in a sum."""


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

REGULARISERS = {**OF_CENTRES, "centre": CentreLossConfig}
"""What is only added to another loss."""

TERMS = {**BETWEEN_SAMPLES, **OF_SETS, **REGULARISERS}
"""What is added to another loss, or stands alone if it is one between samples or sets."""
