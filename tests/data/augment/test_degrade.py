from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from arcwise.data.augment import degrade
from arcwise.data.augment.draws import uniform
from tests.data.augment.views import keys, noise, pictures, planes, views

N = 6


def one_by_one(pixels, work):
    """What `work` makes of each (H, W, 3) picture with its number, as (N, 3, H, W)."""
    each = [work(place, picture) for place, picture in enumerate(pixels.numpy())]
    return np.stack(each).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("side", [24, 64])
def test_blur_is_the_gaussian_of_opencv(side):
    pixels = noise(N, side)
    sigma = np.exp(uniform(keys(N), "sigma", math.log(0.01 * side), math.log(0.03 * side)))
    width = 2 * math.ceil(0.09 * side) + 1
    expected = one_by_one(
        pixels,
        lambda place, picture: cv2.GaussianBlur(
            picture.astype(np.float64),
            (width, width),
            sigma[place],
            borderType=cv2.BORDER_REFLECT_101,
        ),
    )
    np.testing.assert_allclose(degrade.blur(planes(pixels), keys(N)), expected, atol=1e-2)


def slow_lower_resolution(picture, small):
    """Areas averaged pixel by pixel; then up again, each pixel from the four about it."""
    side = len(picture)
    edges = [(i * side // small, -(-(i + 1) * side // small)) for i in range(small)]
    fewer = np.array(
        [[picture[a:b, c:d].mean((0, 1)) for c, d in edges] for a, b in edges], np.float64
    )
    return cv2.resize(fewer, (side, side), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("side", [24, 33])
def test_low_resolution_is_averaging_down_and_interpolating_up(side):
    pixels = noise(N, side)
    small = np.rint(uniform(keys(N), "share", 0.2, 1.0) * side).astype(int)
    assert small.min() < side / 2 < small.max()
    expected = one_by_one(pixels, lambda place, one: slow_lower_resolution(one, small[place]))
    found = degrade.lower_resolution(planes(pixels), keys(N))
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("side", [48, 56])
def test_jpeg_is_a_file_s_way_there_and_back(side):
    """Kornia's codec rounds softly, by (x - round x)³: the errors are alike, not the same."""
    pixels = pictures(N, side)
    quality = uniform(keys(N), "quality", 20, 95)

    def work(place, picture):
        options = [cv2.IMWRITE_JPEG_QUALITY, round(quality[place])]
        data = cv2.imencode(".jpg", picture[:, :, ::-1], options)[1]
        return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]

    source = planes(pixels).numpy()
    wanted = one_by_one(pixels, work) - source
    found = degrade.jpeg(planes(pixels), keys(N)).numpy() - source
    assert np.abs(found - wanted).mean() < 1.5
    for one, other in zip(found, wanted, strict=True):
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > 0.8
    np.testing.assert_allclose(found.std((1, 2, 3)), wanted.std((1, 2, 3)), rtol=0.25, atol=0.3)


@pytest.mark.parametrize("name", ["blur", "low_resolution", "jpeg"])
def test_it_happens_to_its_share_of_the_views_and_to_no_other(name):
    pixels = noise(200, 48)
    changed = (views(pixels, **{name: 0.3}) - planes(pixels)).abs().amax((1, 2, 3)) > 0.1
    assert 35 < int(changed.sum()) < 85


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("work", [degrade.blur, degrade.lower_resolution, degrade.jpeg])
def test_a_plain_picture_stays_as_it_is(work, level):
    plain = torch.full((N, 3, 32, 32), float(level))
    torch.testing.assert_close(work(plain, keys(N)), plain, rtol=0, atol=1.5)


def test_the_whole_resolution_is_the_picture_itself():
    torch.testing.assert_close(degrade._down_and_up(20, 20), torch.eye(20), rtol=0, atol=1e-6)
