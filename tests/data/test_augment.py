from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from arcwise.data import augment as room
from arcwise.data.augment import LUMA, Augment, augment

STILL = {
    "zoom": 1.0, "aspect": 0.0, "rotation": 0.0, "flip": 0.0,
    "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0,
}  # fmt: skip


def pictures(n=4, side=24, seed=0) -> Tensor:
    """Smooth colour pictures: noise would be at odds with any interpolation."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return torch.from_numpy(
        np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in small])
    )


def views(pixels, side=None, seed=0, **settings):
    side = side or pixels.shape[1]
    return augment(pixels, Augment(**STILL | settings), side, np.random.default_rng(seed))


def planes(pixels):
    return pixels.permute(0, 3, 1, 2).float()


def test_nothing_asked_for_is_the_picture_itself():
    pixels = pictures()
    torch.testing.assert_close(views(pixels), planes(pixels), rtol=0, atol=2e-2)


def test_flip_1_is_the_mirror_image():
    pixels = pictures()
    torch.testing.assert_close(views(pixels, flip=1.0), planes(pixels).flip(3), rtol=0, atol=2e-2)


def test_flip_mirrors_about_its_share_of_the_pictures():
    pixels = pictures(1).repeat(400, 1, 1, 1)
    mirrored = (views(pixels, flip=0.25) - planes(pixels).flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert 60 < int(mirrored.sum()) < 140


def test_a_larger_canvas_is_shrunk_to_the_view():
    pixels = pictures(side=32)
    expected = torch.nn.functional.avg_pool2d(planes(pixels), 2)
    torch.testing.assert_close(views(pixels, side=16), expected, rtol=0, atol=2e-2)


@pytest.mark.parametrize("side", [16, 24, 40])
def test_views_are_float_planes_from_0_to_255(side):
    pixels = torch.randint(0, 256, (6, 24, 24, 3), dtype=torch.uint8)
    found = augment(pixels, Augment(cutout=0.5), side, np.random.default_rng(1))
    assert found.shape == (6, 3, side, side)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 255


def test_the_pictures_are_not_changed():
    pixels = pictures()
    before = pixels.clone()
    augment(pixels, Augment(cutout=1.0), 24, np.random.default_rng(1))
    assert torch.equal(pixels, before)


def test_the_same_generator_gives_the_same_views():
    pixels, settings = pictures(), Augment(cutout=0.5)
    one, same, other = (
        augment(pixels, settings, 24, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_picture_of_a_batch_has_its_own_view():
    found = augment(pictures(1).repeat(4, 1, 1, 1), Augment(), 24, np.random.default_rng(0))
    assert len({tuple(view.flatten().tolist()) for view in found}) == 4


def affine_of(n, seed, **settings):
    return room._affine(n, Augment(**STILL | settings), np.random.default_rng(seed))


def warped(picture, affine, side):
    """One view by OpenCV: the map, from pixels of the view to pixels of the picture."""
    height, width = picture.shape[:2]
    to_unit = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
    to_pixels = np.array([[width / 2, 0, (width - 1) / 2], [0, height / 2, (height - 1) / 2]])
    matrix = to_pixels @ np.vstack([affine, [0, 0, 1]]) @ to_unit
    return cv2.warpAffine(
        picture.astype(np.float32),
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def test_geometry_is_the_affine_map_of_opencv():
    settings = {"zoom": 0.5, "rotation": 0.4, "aspect": 0.2, "flip": 0.5}
    pixels = pictures(n=8)
    affine = affine_of(8, 2, **settings)
    found = views(pixels, seed=2, **settings)
    for picture, matrix, view in zip(pixels.numpy(), affine, found, strict=True):
        expected = warped(picture, matrix, 24).transpose(2, 0, 1)
        assert np.abs(view.numpy() - expected).max() < 6  # OpenCV's weights have 5 bits


def corners(affine):
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float).T
    return affine @ square


def test_a_zoomed_view_stays_inside_the_picture():
    assert np.abs(corners(affine_of(200, 0, zoom=0.3))).max() <= 1 + 1e-6


def test_zoom_shows_between_its_part_of_the_side_and_all_of_it():
    sides = affine_of(500, 0, zoom=0.3)[:, 0, 0]
    assert 0.3 <= sides.min() < 0.33
    assert 0.95 < sides.max() <= 1


def test_zoomed_views_reach_every_border():
    found = corners(affine_of(500, 0, zoom=0.3))
    assert found.min() < -0.99
    assert found.max() > 0.99


def test_rotation_turns_by_up_to_its_angle_either_way_and_keeps_lengths():
    affine = affine_of(500, 0, rotation=0.4)
    angle = np.arctan2(affine[:, 1, 0], affine[:, 0, 0])
    assert -0.4 <= angle.min() < -0.38
    assert 0.38 < angle.max() <= 0.4
    np.testing.assert_allclose(np.linalg.det(affine[:, :, :2]), 1, rtol=1e-5)


def test_a_mirrored_view_is_turned_and_not_skewed():
    turned = affine_of(200, 0, rotation=0.4, flip=1.0)[:, :, :2]
    square = np.broadcast_to(np.eye(2), turned.shape)
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), square, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(turned), -1, rtol=1e-5)


def test_aspect_stretches_one_side_as_much_as_it_squeezes_the_other():
    affine = affine_of(500, 0, aspect=0.2)
    np.testing.assert_allclose(affine[:, 0, 0] * affine[:, 1, 1], 1, rtol=1e-5)
    ratio = np.log(affine[:, 0, 0] / affine[:, 1, 1])
    assert -0.2 <= ratio.min() < -0.19
    assert 0.19 < ratio.max() <= 0.2


def drawn(n, seed, settings):
    """The numbers that `_recolour` draws, in its order."""
    rng = np.random.default_rng(seed)
    reaches = (settings.brightness, settings.contrast, settings.saturation)
    factors = [np.exp(rng.uniform(-reach, reach, n)) for reach in reaches]
    return [*factors, rng.uniform(-settings.hue, settings.hue, n)]


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
    found = room._recolour(source.clone(), settings, np.random.default_rng(4))
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


def test_cutout_covers_a_rectangle_of_every_view_with_its_mean_colour():
    pixels = pictures(n=300, side=40)
    found, plain = views(pixels, cutout=1.0), views(pixels)
    mean = plain.mean((2, 3), keepdim=True)
    covered = (found != plain).any(1)
    share = covered.float().mean((1, 2))
    assert share.min() > 0
    assert share.max() <= 0.45**2 + 0.03  # a pixel more on each side
    assert 0.05 < share.mean() < 0.09  # 0.3², less what falls outside: × (1 - 0.075)²
    inside = covered[:, None].expand_as(found)
    torch.testing.assert_close(found[inside], mean.expand_as(found)[inside])


def test_cutout_hits_its_share_of_the_pictures():
    pixels = pictures(n=400, side=16)
    hit = (views(pixels, cutout=0.3) != views(pixels)).any(1).any(1).any(1)
    assert 80 < int(hit.sum()) < 160


def studio(n=6, side=16):
    """Coloured squares in the middle of white pictures."""
    pixels = torch.full((n, side, side, 3), 255, dtype=torch.uint8)
    colours = torch.randint(0, 200, (n, 3), dtype=torch.uint8)
    pixels[:, 5:11, 5:11] = colours[:, None, None]
    return pixels


def test_the_white_around_a_studio_picture_gives_way_to_other_pictures():
    pixels = torch.cat([studio(), pictures(n=6, side=16)])
    found = views(pixels, backdrop=1.0)
    rim = found[:6, :, 0].flatten(1)
    assert (rim < 250).any(1).sum() >= 2  # the others drew another studio picture
    torch.testing.assert_close(found[:6, :, 6:10, 6:10], planes(pixels)[:6, :, 6:10, 6:10])


def test_the_new_backdrop_is_a_picture_of_the_batch():
    pixels = torch.cat([studio(1), torch.full((1, 16, 16, 3), 90, dtype=torch.uint8)])
    rims = {views(pixels, backdrop=1.0, seed=seed)[0, :, 0].mean().item() for seed in range(8)}
    assert rims == {90.0, 255.0}  # the other picture, or itself


def test_a_picture_that_is_not_on_white_keeps_its_white():
    shelf = 255 - studio()  # white things on black
    shelf[:, 5:11, 5:11] = 255
    pixels = torch.cat([studio(), shelf])
    found = views(pixels, backdrop=1.0)
    torch.testing.assert_close(found[6:], planes(pixels)[6:], rtol=0, atol=2e-2)


def test_the_backdrop_changes_for_its_share_of_the_pictures():
    pixels = torch.cat([studio(200), torch.full((600, 16, 16, 3), 90, dtype=torch.uint8)])
    changed = views(pixels, backdrop=0.4)[:200, :, 0].mean((1, 2)) < 200
    assert 35 < int(changed.sum()) < 85  # 200 × 0.4 × 3/4 = 60
