"""Recipes for the small encoder: minutes on two cores, no accelerator."""

from __future__ import annotations

from dataclasses import replace

from arcwise.data.augment import Augment
from arcwise.training.config import TrainConfig


def products() -> TrainConfig:
    """Photographs of things: the default."""
    return TrainConfig(
        encoder="small",
        dim=512,
        size=96,
        view=64,
        resize="crop",
        loss="arcface",
        margin=0.35,
        scale=0.0,
        margin_from=0.1,
        margin_full=0.5,
        steps=2000,
        batch=64,
        rare_domains=0.125,
        augment=Augment(zoom=0.4, backdrop=0.5),
        canvas=2.0,
        lr=0.1,
        average=0.998,
    )


def faces() -> TrainConfig:
    """Aligned faces: little geometry to learn, and no hue to speak of."""
    config = products()
    return replace(
        config,
        size=64,
        view=0,
        resize="stretch",
        steps=4500,
        augment=Augment(zoom=0.85, aspect=0.05, rotation=0.1, hue=0.0),
        canvas=1.25,
    )


def drawings() -> TrainConfig:
    """Handwriting and drawings: no colour, and a mirror image is another sign."""
    config = products()
    return replace(
        config,
        size=64,
        view=0,
        resize="stretch",
        flip_average=False,
        steps=2300,
        batch=128,
        augment=Augment(
            zoom=0.8,
            aspect=0.2,
            rotation=0.2,
            flip=0.0,
            brightness=0.1,
            contrast=0.1,
            saturation=0.0,
            hue=0.0,
        ),
        canvas=1.5,
    )
