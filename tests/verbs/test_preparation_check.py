"""Colours and scales that fit better: measured on vectors whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.data.manifest import Manifest
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import Floats
from arcwise.verbs.preparation_check import preparation_doubts, separation

SIDE = 32
RIGHT = Preparation(SIDE, SIDE)
WRONG_SCALE = Preparation(SIDE, SIDE, mean=(0,) * 3, std=(1,) * 3)


def test_separation_is_counted_in_deviations() -> None:
    images = np.eye(3, dtype=np.float32)
    near = images + np.array([[0, 0.1, 0.1], [0.3, 0, 0], [0, 0, 0]], np.float32)
    unit = near / np.linalg.norm(near, axis=1, keepdims=True)
    own, other = np.diag(unit), unit[~np.eye(3, dtype=bool)]
    expected = (own.mean() - other.mean()) / np.sqrt((own.var() + other.var()) / 2)
    assert separation([images, 7 * near]) == pytest.approx(expected)
    assert separation([images, np.full((3, 3), np.nan, np.float32)]) == 0


class Network:
    """Thumbnails, drowned in noise where the images are not what it was made for."""

    kind = "onnx"

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.random = np.random.default_rng(0)

    def __call__(self, images: Floats) -> Floats:
        blocks = images.reshape(len(images), 3, 8, SIDE // 8, 8, SIDE // 8).mean((3, 5))
        centred = blocks - blocks.mean((2, 3), keepdims=True)
        vectors = centred.reshape(len(images), -1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        red, blue = blocks[:, 0].mean(), blocks[:, 2].mean()
        wrong = np.abs(images).max() > 5 or (red > blue) != (self.colour == "rgb")
        noise = self.random.normal(size=vectors.shape)
        return (vectors + (noise if wrong else 0)).astype(np.float32)


def test_only_what_is_wrong_is_doubted(new: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    reddish = Preparation.pixels
    monkeypatch.setattr(
        Preparation,
        "pixels",
        lambda self, image: (reddish(self, image) * (1, 0.5, 0.2)).astype(np.uint8),
    )
    assert preparation_doubts(Network("rgb"), RIGHT, new) == []
    [scale] = preparation_doubts(Network("rgb"), WRONG_SCALE, new)
    assert "scale" in scale
    [colours] = preparation_doubts(Network("bgr"), RIGHT, new)
    assert "--colour bgr" in colours


def test_few_images(new: Manifest) -> None:
    [said] = preparation_doubts(Network("rgb"), RIGHT, new.select([0, 1]))
    assert "too few" in said
