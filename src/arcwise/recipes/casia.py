"""The ArcFace paper's own recipe for CASIA-WebFace."""

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


def casia_resnet50() -> TrainConfig:
    """ResNet-50 on aligned 112×112 faces, as ArcFace (arXiv 1801.07698) section 3.1 has it.

    Batch 512, learning rate 0.1 divided by ten at 20k and 28k, 32k steps, momentum 0.9, weight
    decay 5e-4, s = 64, m = 0.5, D = 512, pixels (p - 127.5)/128, mirror images the only
    augmentation.
    """
    return TrainConfig(
        encoder=EncoderConfig(
            name="iresnet50", dim=512, size=112, resize="stretch", std=(128.0, 128.0, 128.0)
        ),
        objective=CentresConfig(margin=ArcFace(0.5), scale=64.0),
        data=DataConfig(
            batch=512,
            augment=Augment(
                zoom=1.0,
                aspect=0.0,
                rotation=0.0,
                flip=0.5,
                brightness=0.0,
                contrast=0.0,
                saturation=0.0,
                hue=0.0,
            ),
            cache_size=1.0,
            cache_gb=32.0,
            workers=8,
            holdout=0.01,
        ),
        optim=OptimConfig(
            name="sgd",
            lr=0.1,
            momentum=0.9,
            nesterov=False,
            weight_decay=5e-4,
            schedule="step",
            milestones=(20_000 / 32_000, 28_000 / 32_000),
            warmup=0.0,
        ),
        run=RunConfig(steps=32_000, validate_every=2000, checkpoint_every=2000, log_every=100),
    )
