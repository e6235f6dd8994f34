from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch

from arcwise.data.augment import Augment
from arcwise.data.augment.colour import LUMA, recolour
from arcwise.data.augment.draws import uniform
from tests.data.augment.views import STILL, keys, pictures, planes, views


def drawn(n, seed, settings):
    """The numbers that `recolour` draws."""
    reaches = {name: getattr(settings, name) for name in ("brightness", "contrast", "saturation")}
    factors = [np.exp(uniform(keys(n, seed), name, -r, r)) for name, r in reaches.items()]
    return [*factors, uniform(keys(n, seed), "hue", -settings.hue, settings.hue)]


def slow_recolour(view, bright, contrast, saturation, angle):
    """One operation after another on a (3, H, W) view, a pixel at a time."""
    view = view * bright
    mean = view.mean((1, 2))
    out = np.empty_like(view)
    axis = np.ones(3) / math.sqrt(3)
    for y in range(view.shape[1]):
        for x in range(view.shape[2]):
            pixel = mean + contrast * (view[:, y, x] - mean)
            grey = float(np.dot(LUMA, pixel))
            pixel = grey + saturation * (pixel - grey)
            along = axis * np.dot(axis, pixel)
            across = pixel - along
            pixel = along + across * math.cos(angle) + np.cross(axis, across) * math.sin(angle)
            out[:, y, x] = np.clip(pixel, 0, 255)
    return out


@pytest.mark.parametrize(
    "only",
    [
        {"brightness": 0.4},
        {"contrast": 0.6},
        {"saturation": 0.8},
        {"hue": 0.7},
        {"brightness": 0.3, "contrast": 0.4, "saturation": 0.5, "hue": 0.6},
    ],
)
def test_one_matrix_is_brightness_contrast_saturation_and_hue_in_turn(only):
    settings = Augment(**STILL | only)
    source = planes(pictures(n=5, side=8))
    found = recolour(source.clone(), settings, keys(5, 4))
    for view, numbers, result in zip(
        source.double().numpy(), zip(*drawn(5, 4, settings), strict=True), found, strict=True
    ):
        np.testing.assert_allclose(result.numpy(), slow_recolour(view, *numbers), atol=2e-3)


def test_brightness_scales_every_pixel_alike():
    pixels = pictures() // 2  # nothing is clipped
    factor = (views(pixels, brightness=0.3) / planes(pixels).clamp_min(1)).flatten(1)
    lit = planes(pixels).flatten(1) > 20
    for row, bright in zip(factor, lit, strict=True):
        assert row[bright].max() - row[bright].min() < 0.01
        assert math.exp(-0.3) - 0.01 < row[bright].mean() < math.exp(0.3) + 0.01


def test_turning_the_hue_or_the_saturation_leaves_grey_alone():
    grey = torch.randint(0, 256, (6, 8, 8, 1), dtype=torch.uint8).expand(-1, -1, -1, 3)
    found = views(grey, hue=1.0, saturation=0.5)
    torch.testing.assert_close(found, planes(grey), rtol=0, atol=2e-2)


def test_the_hue_turns_the_colour_circle():
    pixels = torch.tensor([200, 60, 60], dtype=torch.uint8).expand(40, 4, 4, 3)
    hues = [
        colorsys.rgb_to_hsv(*(view[:, 0, 0] / 255).tolist())[0] for view in views(pixels, hue=0.5)
    ]
    turned = [(hue + 0.5) % 1 - 0.5 for hue in hues]  # red is 0
    assert -0.5 / math.tau - 0.02 < min(turned) < -0.04
    assert 0.04 < max(turned) < 0.5 / math.tau + 0.02
