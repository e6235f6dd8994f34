"""What a loss really trains, in words: a name alone hides its numbers."""

from __future__ import annotations

from dataclasses import fields

from arcwise.margins import NormSoftmax
from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.losses import (
    CentreMargin,
    CentresConfig,
    LinearConfig,
    SemiSiameseConfig,
    spelled,
)
from arcwise.training.section import plain


def described(config: TrainConfig, classes: int) -> str:
    """Return what is really trained, with every number: a name alone hides which.

    Args:
        config: a run or a stage.
        classes: C of its images.
    """
    objective = build.settled_objective(config, classes)
    parts: list[str] = []
    if isinstance(objective, LinearConfig):
        parts.append("the plain linear softmax, without margin or scale")
    if isinstance(objective, SemiSiameseConfig):
        parts.append(
            f"semi-siamese ({objective.margin}, scale {objective.scale:g}, a queue of "
            f"{objective.queue}, an encoder that follows with decay {objective.encoder_decay:g})"
        )
    if isinstance(objective, CentresConfig):
        parts += _of_centres(objective)
    for name, term in objective.terms().items():
        numbers = {
            key: value
            for key, value in plain(term).items()
            if key != "weight" and value is not False
        }
        written = ", ".join(f"{key} {value}" for key, value in numbers.items())
        weight = f"{term.weight:g} × " if len(objective.terms()) > 1 or parts else ""
        parts.append(f"{weight}{spelled(name)}" + (f" ({written})" if written else ""))
    return ", ".join(parts)


def _of_margin(margin: CentreMargin) -> str:
    """Return a margin with its numbers, and those of its other choices that are not the usual."""
    written = (
        f"{one.name}={value!r}"
        for one in fields(margin)
        if not isinstance(value := getattr(margin, one.name), str) or value != one.default
    )
    return f"{type(margin).__name__}({', '.join(written)})"


def _of_centres(objective: CentresConfig) -> list[str]:
    margin = objective.margin
    parts = [_of_margin(margin), f"scale {objective.scale:.4g}"]
    if objective.sv_t > 1:
        how = "times t" if objective.sv_form == "adaptive" else "plus t - 1 of t"
        parts.append(f"support vectors {how} {objective.sv_t:g}")
    if objective.interclass_filter:
        parts.append(f"classes beyond cosine {objective.interclass_filter:g} left out")
    if objective.subcentres > 1:
        parts.append(f"{objective.subcentres} sub-centres a class")
    if objective.negatives == "dominant":
        most = objective.sample_rate
        limit = f", at most {most:.4g} of the classes a step" if most < 1 else ""
        parts.append(f"negatives from queues of {objective.dominant_queue} dominant classes{limit}")
    elif objective.sample_rate < 1:
        corrected = ", their logits corrected" if objective.logq_correction else ""
        parts.append(f"{objective.sample_rate:.4g} of the classes a step{corrected}")
    if objective.softmax != "auto":
        parts.append(f"{objective.softmax} softmax")
    if objective.gradient_products != "fp32":
        parts.append(f"gradient products in {objective.gradient_products}")
    if objective.centre_optimiser == "fused":
        parts.append("centres moved by the fused optimiser")
    grows = objective.margin_from < objective.margin_full
    if grows and not isinstance(objective.margin, NormSoftmax):
        parts.append("the margin growing to its full size")
    return parts
