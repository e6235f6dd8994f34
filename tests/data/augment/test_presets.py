from __future__ import annotations

import dataclasses

import pytest
import torch

from arcwise.data.augment import augment, presets
from tests.data.augment.views import keys, noise


@pytest.mark.parametrize("preset", [presets.faces, presets.products])
def test_a_preset_damages_some_views_and_leaves_most_whole(preset):
    settings = preset()
    damage = ("cutout", "blur", "low_resolution", "jpeg")
    whole = dataclasses.replace(settings, **dict.fromkeys(damage, 0.0))
    pixels = noise(100, 48)
    found, undamaged = (augment(pixels, one, 48, keys(100)) for one in (settings, whole))
    same = (found == undamaged).flatten(1).all(1)
    assert 45 < int(same.sum()) < 85
    assert torch.isfinite(found).all()


def test_faces_keep_their_colour_and_things_do_not():
    assert presets.faces().hue == 0
    assert presets.products().hue > 0
    assert presets.faces().zoom > presets.products().zoom
