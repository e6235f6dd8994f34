"""Recipes for the small encoder: minutes on two cores, no accelerator."""

from __future__ import annotations

from arcwise.data.augment import Augment
from arcwise.margins import ArcFace
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from arcwise.training.losses import CentresConfig


def products() -> TrainConfig:
    """Return the recipe for photographs of things, from nothing."""
    return TrainConfig(
        encoder=EncoderConfig(name="small", dim=512, size=96, train_crop=64, resize="crop"),
        objective=CentresConfig(margin=ArcFace(0.35), scale=0.0, margin_from=0.1, margin_full=0.5),
        data=DataConfig(
            batch=64,
            domain_balance=0.125,
            augment=Augment(zoom=0.4, backdrop=0.5),
            cache_size=2.0,
        ),
        optim=OptimConfig(lr=0.1, ema_decay=0.998),
        run=RunConfig(steps=2000),
    )


def quick() -> TrainConfig:
    """Return the recipe for things with smaller images, whose steps take a third of the time."""
    return products().replace(encoder={"size": 48, "train_crop": 36})


def sets() -> TrainConfig:
    """Return the recipe for sets of images, whose qualities it learns too (`docs/quality.md`).

    Each of 8 identities is in a batch with two sets of 4 images. About a third of the views are
    blurred, shrunk or covered, so that there is a quality to learn where all images are good.
    """
    return products().replace(
        encoder={"quality": True},
        objective={"loss": "arcface+set-triplet"},
        data={
            "sampling": "sets",
            "images_per_set": 4,
            "domain_balance": 0.0,
            "augment": Augment(zoom=0.4, backdrop=0.5, cutout=0.1, blur=0.15, low_resolution=0.15),
        },
    )


def faces() -> TrainConfig:
    """Return the recipe for aligned faces: little geometry to learn, and no hue to speak of."""
    return products().replace(
        encoder={"size": 64, "train_crop": 0, "resize": "stretch"},
        data={
            "augment": Augment(zoom=0.85, aspect=0.05, rotation=0.1, hue=0.0),
            "cache_size": 1.25,
        },
        run={"steps": 4500},
    )


def drawings() -> TrainConfig:
    """Return the recipe for handwriting: no colour, and a mirror image is another sign."""
    return products().replace(
        encoder={"size": 64, "train_crop": 0, "resize": "stretch", "flip_tta": False},
        data={
            "batch": 128,
            "augment": Augment(
                zoom=0.8,
                aspect=0.2,
                rotation=0.2,
                flip=0.0,
                brightness=0.1,
                contrast=0.1,
                saturation=0.0,
                hue=0.0,
            ),
            "cache_size": 1.5,
        },
        run={"steps": 2300},
    )
