"""What changes over a stage, as pure functions of its step."""

from __future__ import annotations

import math

from arcwise.training.config import OptimConfig, TrainConfig
from arcwise.training.losses import CentresConfig


def rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of this step (counted from 0) as a multiple of the highest.

    Warm-up is linear and starts low: the first of W warm-up steps runs at 1/W. After it, cosine to
    zero (arXiv 1608.03983) or a division by ten at each milestone.
    """
    optim, steps = config.optim, config.run.steps
    warmup = round(optim.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    if optim.schedule == "step":
        return 0.1 ** sum(step >= milestone * steps for milestone in optim.milestones)
    progress = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


def calmer(optim: OptimConfig) -> float:
    """Return the learning rate to go on with after one that led to a loss that is not finite."""
    return min(optim.lr / 10, 0.1 if optim.name == "sgd" else 1e-3)


def remedies(config: TrainConfig) -> list[str]:
    """Return what may help against a loss that is not finite: one or the other."""
    optim, objective = config.optim, config.objective
    fused = isinstance(objective, CentresConfig) and objective.centre_optimiser == "fused"
    clip = not optim.max_grad_norm and not fused and optim.lr <= 1
    return [f"lower --lr to {calmer(optim):g}", *(["set --optim.max-grad-norm 5"] if clip else [])]


def margin_scale(config: TrainConfig, step: int) -> float:
    """Return the fraction of the margin in force: 0, then a straight line, then 1."""
    objective, steps = config.objective, config.run.steps
    if not isinstance(objective, CentresConfig):
        return 1.0
    start, full = objective.margin_from * steps, objective.margin_full * steps
    if step >= full:
        return 1.0
    return max(0.0, (step - start) / (full - start)) if full > start else 0.0
