"""The recipe for faces of people over many years: the length tells the age, the direction whose."""

from __future__ import annotations

from arcwise.recipes.small import faces
from arcwise.training.config import TrainConfig


def age() -> TrainConfig:
    """Return the recipe for aligned faces with a column of ages (OE-CNN, arXiv 1810.07599).

    `objective.length.column` names another column of numbers, such as an angle of view or a blur.
    What augmentation changes cannot be told: no signed angle where mirror images are seen.
    """
    return faces().with_loss("arcface+length")
