from __future__ import annotations

import pytest
import torch

from arcwise.data.augment import Augment, appearance, augment, view_keys
from arcwise.data.augment.draws import chosen
from tests.data.augment.views import EVERYTHING, images, keys, noise, planes, views


def test_no_operation_gives_the_image_itself():
    pixels = images()
    torch.testing.assert_close(views(pixels), planes(pixels), rtol=0, atol=2e-2)


def test_flip_1_is_the_mirror_image():
    pixels = images()
    torch.testing.assert_close(views(pixels, flip=1.0), planes(pixels).flip(3), rtol=0, atol=2e-2)


def test_flip_mirrors_about_its_share_of_the_images():
    pixels = images(1).repeat(400, 1, 1, 1)
    mirrored = (views(pixels, flip=0.25) - planes(pixels).flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert 60 < int(mirrored.sum()) < 140


def test_a_larger_image_is_shrunk_to_the_view():
    pixels = images(side=32)
    expected = torch.nn.functional.avg_pool2d(planes(pixels), 2)
    torch.testing.assert_close(views(pixels, side=16), expected, rtol=0, atol=2e-2)


@pytest.mark.parametrize("side", [16, 24, 40])
def test_views_are_float_planes_from_0_to_255(side):
    found = views(noise(24), side, zoom=0.5, contrast=1.0, **EVERYTHING)
    assert found.shape == (24, 3, side, side)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 255


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_plain_image_gives_plain_views(level):
    pixels = torch.full((32, 24, 24, 3), level, dtype=torch.uint8)
    found = views(pixels, zoom=0.5, rotation=0.3, **EVERYTHING)
    torch.testing.assert_close(found, planes(pixels), rtol=0, atol=2.0)  # JPEG's levels


def test_the_images_are_not_changed():
    pixels = images()
    before = pixels.clone()
    views(pixels, **EVERYTHING)
    assert torch.equal(pixels, before)


def test_other_seeds_and_steps_give_other_views():
    pixels, settings = images(), Augment(**EVERYTHING)
    one, same, step, seed = (
        augment(pixels, settings, 24, view_keys(*numbers, range(4)))
        for numbers in ((3, 0), (3, 0), (3, 1), (4, 0))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, step)
    assert not torch.equal(one, seed)
    assert not torch.equal(step, seed)


def test_every_image_of_a_batch_has_its_own_view():
    found = augment(images(1).repeat(4, 1, 1, 1), Augment(), 24, keys(4))
    assert len({tuple(view.flatten().tolist()) for view in found}) == 4


ALONE = EVERYTHING | {"backdrop": 0.0}
"""But for the backdrop, which is another image of the batch."""


def test_a_batch_is_its_images_one_by_one():
    pixels, settings = noise(12, 32), Augment(**ALONE)
    together = augment(pixels, settings, 24, keys(12))
    apart = [augment(pixels[i : i + 1], settings, 24, keys(12)[i : i + 1]) for i in range(12)]
    torch.testing.assert_close(together, torch.cat(apart), rtol=0, atol=1e-2)


@pytest.mark.parametrize("backdrop", [0.0, 1.0])
def test_the_order_of_a_batch_is_nothing_to_its_views(backdrop):
    pixels, settings = noise(12, 32), Augment(**ALONE | {"backdrop": backdrop})
    pixels[::2, :6] = pixels[::2, -6:] = pixels[::2, :, :6] = pixels[::2, :, -6:] = 255
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    found = augment(pixels[order], settings, 24, keys(12)[order.numpy()])
    expected = augment(pixels, settings, 24, keys(12))[order]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", sorted(EVERYTHING.keys() - {"backdrop"}))
def test_an_operation_turned_on_changes_no_other_s_numbers(name):
    """Where it was not drawn, and for the tilt at least in colour, views are as they were."""
    pixels, rest = noise(40, 40), {"brightness": 0.3, "hue": 0.3, "flip": 0.5}
    plain = views(pixels, **rest)
    if name == "perspective":
        pixels = pixels[:, :1, :1].expand(-1, 40, 40, -1)
        torch.testing.assert_close(views(pixels, **rest, perspective=0.4), views(pixels, **rest))
        return
    found = views(pixels, **rest, **{name: 0.5})
    drawn = torch.zeros(40, dtype=torch.bool)
    drawn[chosen(keys(40), name, 0.5)] = True
    assert 10 < int(drawn.sum()) < 30
    assert torch.equal(found[~drawn], plain[~drawn])
    assert ((found - plain).abs().amax((1, 2, 3)) > 0)[drawn].all()


def test_what_is_in_front_of_the_thing_is_blurred_with_it():
    """The order of the world: occlusion, lens, sensor, file."""
    pixels = noise(8, 64)
    sharp = views(pixels, cutout=1.0)
    torch.testing.assert_close(
        views(pixels, cutout=1.0, blur=1.0, low_resolution=1.0, jpeg=1.0),
        appearance.jpeg(
            appearance.lower_resolution(appearance.blur(sharp, keys(8)), keys(8)), keys(8)
        ),
        rtol=0,
        atol=1e-2,
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_sees_the_same_views():
    pixels, settings = noise(32, 64), Augment(**EVERYTHING | {"jpeg": 0.0})
    found = augment(pixels.cuda(), settings, 48, keys(32)).cpu()
    torch.testing.assert_close(found, augment(pixels, settings, 48, keys(32)), rtol=0, atol=0.05)
