from __future__ import annotations

import torch

from arcwise.data.augment.draws import uniform
from arcwise.data.augment.occlusion import occlude
from tests.data.augment.views import keys, pictures, planes, views


def test_a_rectangle_is_covered_by_the_mean_colour():
    source = planes(pictures(n=8, side=20))
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
