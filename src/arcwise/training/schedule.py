"""What changes over a run, as pure functions of the step."""

from __future__ import annotations

import math

from arcwise.training.config import TrainConfig


def rate(config: TrainConfig, step: int) -> float:
    """Learning rate of this step (counted from 0) as a multiple of the highest.

    Warm-up is linear and starts low: the first of W warm-up steps runs at 1/W. After it, cosine to
    zero (arXiv 1608.03983) or a division by ten at each milestone.
    """
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "step":
        return 0.1 ** sum(step >= milestone * config.steps for milestone in config.milestones)
    progress = (step - warmup) / max(config.steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


def calmer(config: TrainConfig) -> float:
    """The learning rate to go on with after one that led to a loss that is not finite."""
    return min(config.lr / 10, 0.1 if config.optimiser == "sgd" else 1e-3)


def remedies(config: TrainConfig) -> list[str]:
    """What may help against a loss that is not finite: one or the other."""
    clip = not config.clip and config.centre_step == "ordinary" and config.lr <= 1
    return [f"lower --lr to {calmer(config):g}", *(["set --clip 5"] if clip else [])]


def margin_strength(config: TrainConfig, step: int) -> float:
    """Fraction of the margin in force at this step: 0, then a straight line, then 1."""
    start, full = config.margin_from * config.steps, config.margin_full * config.steps
    if step >= full:
        return 1.0
    return max(0.0, (step - start) / (full - start)) if full > start else 0.0
