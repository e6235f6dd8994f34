"""Backdrop, light, occlusion, lens, sensor and file."""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
import pytest
import torch

from arcwise.data.augment import Augment, appearance
from arcwise.data.augment.appearance import LUMA, occlude, recolour
from arcwise.data.augment.draws import uniform
from tests.data.augment.views import STILL, images, keys, noise, planes, views

N = 6


def studio(n=6, side=16):
    """Coloured squares in the middle of white images."""
    pixels = torch.full((n, side, side, 3), 255, dtype=torch.uint8)
    colours = torch.randint(0, 200, (n, 3), dtype=torch.uint8)
    pixels[:, 5:11, 5:11] = colours[:, None, None]
    return pixels


def plain(n, level=90):
    return torch.full((n, 16, 16, 3), level, dtype=torch.uint8)


def test_the_white_around_a_studio_image_gives_way_to_other_images():
    pixels = torch.cat([studio(), images(n=6, side=16)])
    found = views(pixels, backdrop=1.0)
    rim = found[:6, :, 0].flatten(1)
    assert (rim < 250).any(1).sum() >= 2  # the others drew another studio image
    torch.testing.assert_close(found[:6, :, 6:10, 6:10], planes(pixels)[:6, :, 6:10, 6:10])


def test_the_new_backdrop_is_another_image_of_the_batch():
    pixels = torch.cat([studio(1), plain(1, 90), plain(1, 30)])
    rims = {
        round(views(pixels, backdrop=1.0, seed=seed)[0, :, 0].mean().item()) for seed in range(12)
    }
    assert rims == {90, 30}


def test_a_studio_image_alone_keeps_its_white():
    pixels = studio(1)
    torch.testing.assert_close(views(pixels, backdrop=1.0), planes(pixels), rtol=0, atol=2e-2)


def test_a_image_that_is_not_on_white_keeps_its_white():
    shelf = 255 - studio()  # white things on black
    shelf[:, 5:11, 5:11] = 255
    pixels = torch.cat([studio(), shelf])
    found = views(pixels, backdrop=1.0)
    torch.testing.assert_close(found[6:], planes(pixels)[6:], rtol=0, atol=2e-2)


def test_the_backdrop_changes_for_its_share_of_the_images():
    pixels = torch.cat([studio(200), plain(600)])
    changed = views(pixels, backdrop=0.4)[:200, :, 0].mean((1, 2)) < 200
    assert 35 < int(changed.sum()) < 85  # 200 × 0.4 × 3/4 = 60


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
    source = planes(images(n=5, side=8))
    found = recolour(source.clone(), settings, keys(5, 4))
    for view, numbers, result in zip(
        source.double().numpy(), zip(*drawn(5, 4, settings), strict=True), found, strict=True
    ):
        np.testing.assert_allclose(result.numpy(), slow_recolour(view, *numbers), atol=2e-3)


def test_brightness_scales_every_pixel_alike():
    pixels = images() // 2  # nothing is clipped
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


def test_a_rectangle_is_covered_by_the_mean_colour():
    source = planes(images(n=8, side=20))
    names = ("cutout height", "cutout width", "cutout y", "cutout x")
    low, high = (0.15, 0.15, 0, 0), (0.45, 0.45, 1, 1)
    drawn = [uniform(keys(8), n, a, b) for n, a, b in zip(names, low, high, strict=True)]
    expected = source.clone()
    for view, tall, wide, y, x in zip(expected, *drawn, strict=True):
        mean = view.mean((1, 2))
        for row in range(20):
            for column in range(20):
                near = (
                    abs((row + 0.5) / 20 - y) < tall / 2 and abs((column + 0.5) / 20 - x) < wide / 2
                )
                if near:
                    view[:, row, column] = mean
    assert (expected != source).any()
    torch.testing.assert_close(occlude(source, keys(8)), expected)


def test_cutout_covers_a_rectangle_of_every_view_with_its_mean_colour():
    pixels = images(n=300, side=40)
    found, plain = views(pixels, cutout=1.0), views(pixels)
    mean = plain.mean((2, 3), keepdim=True)
    covered = (found != plain).any(1)
    share = covered.float().mean((1, 2))
    assert share.min() > 0
    assert share.max() <= 0.45**2 + 0.03  # a pixel more on each side
    assert 0.05 < share.mean() < 0.09  # 0.3², less what falls outside: × (1 - 0.075)²
    inside = covered[:, None].expand_as(found)
    torch.testing.assert_close(found[inside], mean.expand_as(found)[inside])


def test_cutout_hits_its_share_of_the_images():
    pixels = images(n=400, side=16)
    hit = (views(pixels, cutout=0.3) != views(pixels)).any(1).any(1).any(1)
    assert 80 < int(hit.sum()) < 160


def one_by_one(pixels, work):
    """What `work` makes of each (H, W, 3) image with its number, as (N, 3, H, W)."""
    each = [work(place, image) for place, image in enumerate(pixels.numpy())]
    return np.stack(each).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("side", [24, 64])
def test_blur_is_the_gaussian_of_opencv(side):
    pixels = noise(N, side)
    sigma = np.exp(uniform(keys(N), "sigma", math.log(0.01 * side), math.log(0.03 * side)))
    width = 2 * math.ceil(0.09 * side) + 1
    expected = one_by_one(
        pixels,
        lambda place, image: cv2.GaussianBlur(
            image.astype(np.float64),
            (width, width),
            sigma[place],
            borderType=cv2.BORDER_REFLECT_101,
        ),
    )
    np.testing.assert_allclose(appearance.blur(planes(pixels), keys(N)), expected, atol=1e-2)


def slow_lower_resolution(image, small):
    """Areas averaged pixel by pixel; then up again, each pixel from the four about it."""
    side = len(image)
    edges = [(i * side // small, -(-(i + 1) * side // small)) for i in range(small)]
    fewer = np.array(
        [[image[a:b, c:d].mean((0, 1)) for c, d in edges] for a, b in edges], np.float64
    )
    return cv2.resize(fewer, (side, side), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("side", [24, 33])
def test_low_resolution_is_averaging_down_and_interpolating_up(side):
    pixels = noise(N, side)
    small = np.rint(uniform(keys(N), "share", 0.2, 1.0) * side).astype(int)
    assert small.min() < side / 2 < small.max()
    expected = one_by_one(pixels, lambda place, one: slow_lower_resolution(one, small[place]))
    found = appearance.lower_resolution(planes(pixels), keys(N))
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("side", [48, 56])
def test_jpeg_is_a_file_s_way_there_and_back(side):
    """Kornia's codec rounds softly, by (x - round x)³: the errors are alike, not the same."""
    pixels = images(N, side)
    quality = uniform(keys(N), "quality", 20, 95)

    def work(place, image):
        options = [cv2.IMWRITE_JPEG_QUALITY, round(quality[place])]
        data = cv2.imencode(".jpg", image[:, :, ::-1], options)[1]
        return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]

    source = planes(pixels).numpy()
    reference = one_by_one(pixels, work) - source
    found = appearance.jpeg(planes(pixels), keys(N)).numpy() - source
    assert np.abs(found - reference).mean() < 1.5
    for one, other in zip(found, reference, strict=True):
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > 0.8
    np.testing.assert_allclose(found.std((1, 2, 3)), reference.std((1, 2, 3)), rtol=0.25, atol=0.3)


@pytest.mark.parametrize("name", ["blur", "low_resolution", "jpeg"])
def test_it_happens_to_its_share_of_the_views_and_to_no_other(name):
    pixels = noise(200, 48)
    changed = (views(pixels, **{name: 0.3}) - planes(pixels)).abs().amax((1, 2, 3)) > 0.1
    assert 35 < int(changed.sum()) < 85


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("work", [appearance.blur, appearance.lower_resolution, appearance.jpeg])
def test_a_plain_image_stays_as_it_is(work, level):
    plain = torch.full((N, 3, 32, 32), float(level))
    torch.testing.assert_close(work(plain, keys(N)), plain, rtol=0, atol=1.5)


def test_the_whole_resolution_is_the_image_itself():
    torch.testing.assert_close(appearance._down_and_up(20, 20), torch.eye(20), rtol=0, atol=1e-6)
