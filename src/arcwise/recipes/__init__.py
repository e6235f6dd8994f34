"""Recipes: functions that return a complete training config, to be changed field by field."""

from __future__ import annotations

from collections.abc import Callable

from arcwise.errors import ArcwiseError, suggestion
from arcwise.recipes.casia import casia_resnet50
from arcwise.recipes.pretrained import finetuned, frozen, last_blocks
from arcwise.recipes.small import drawings, faces, products
from arcwise.training.config import TrainConfig

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "products": products,
    "products-finetuned": finetuned,
    "products-last-blocks": last_blocks,
    "products-frozen": frozen,
    "faces": faces,
    "drawings": drawings,
    "casia-resnet50": casia_resnet50,
}
"""By the name that `arcwise train --recipe` takes."""


def recipe(name: str) -> TrainConfig:
    """The config of a recipe; an unknown name is an error with a suggestion."""
    if name not in RECIPES:
        hint = suggestion(name, RECIPES) or "choose one of these"
        raise ArcwiseError(f"no recipe is called {name!r}; {hint} (known: {', '.join(RECIPES)})")
    return RECIPES[name]()
