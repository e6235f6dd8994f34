"""From the name of a loss and its numbers to the margin that is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from arcwise.errors import ArcwiseError
from arcwise.heads import scale_for
from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    Margin,
    NormSoftmax,
    SphereFace,
    SupportVector,
)

if TYPE_CHECKING:
    from arcwise.training.config import TrainConfig

Loss = Literal[
    "softmax", "normsoftmax", "sphereface", "cosface", "arcface", "combined", "adaface", "magface",
    "curricularface", "elasticface",
]  # fmt: skip

Published = Literal["published"]
"""In place of a margin: the one that the method's paper has."""

_ANGULAR = {
    "sphereface": SphereFace,
    "arcface": ArcFace,
    "adaface": AdaFace,
    "curricularface": CurricularFace,
    "elasticface": ElasticFace,
}
_WITH_M = {**_ANGULAR, "cosface": CosFace}

_NO_M = {
    "combined": "its three numbers are the field combined",
    "magface": "its margin runs from 0.45 to 0.8 radians with the embedding's length",
}


def margin(config: TrainConfig) -> Margin:
    """What the target pays, and what the other classes count for.

    Raises:
        ArcwiseError: a number that is none of this loss's.
    """
    try:
        found = _family(config)
    except ArcwiseError as error:
        raise ArcwiseError(f"training config: loss={config.loss!r}: {error}") from None
    if config.hard_negatives > 1:
        found = SupportVector(found, config.hard_negatives)
    if config.interclass_filter:
        found = Filtered(found, config.interclass_filter, "exclude")
    return found


def _family(config: TrainConfig) -> Margin:
    given = config.margin != "published"
    if config.loss in _NO_M and given:
        raise ArcwiseError(
            f"margin={config.margin!r}; expected margin=published, as {_NO_M[config.loss]}"
        )
    if config.loss == "normsoftmax":
        return NormSoftmax()
    if config.loss == "combined":
        return Combined(*config.combined, config.gradient)
    if config.loss == "magface":
        return MagFace(gradient=config.gradient)
    published = _WITH_M[config.loss].m
    m = published if config.margin == "published" else config.margin
    try:
        if config.loss == "cosface":
            return CosFace(m)
        return _ANGULAR[config.loss](m, gradient=config.gradient)
    except ArcwiseError as error:
        raise ArcwiseError(f"{error}, or margin=published for {published:g}") from None


def scale(config: TrainConfig, classes: int) -> float:
    """s, found from the number of classes where the config leaves it open."""
    return config.scale or scale_for(classes)


def described(config: TrainConfig, classes: int) -> str:
    """What is really trained, with every number: a name alone hides which."""
    if config.loss == "softmax":
        return "the plain linear softmax, without margin or scale"
    parts = [f"{margin(config)}", f"scale {scale(config, classes):.4g}"]
    if config.subcentres > 1:
        parts.append(f"{config.subcentres} sub-centres a class")
    if config.classes_per_step < 1:
        corrected = ", their logits corrected" if config.sampled_correction else ""
        parts.append(f"{config.classes_per_step:.4g} of the classes a step{corrected}")
    if config.softmax != "auto":
        parts.append(f"{config.softmax} softmax")
    if config.gradient_products != "fp32":
        parts.append(f"gradient products in {config.gradient_products}")
    if config.centre_step == "swept":
        parts.append("centres moved in the sweep")
    if config.margin_from < config.margin_full:
        parts.append("the margin growing to full strength")
    return ", ".join(parts)
