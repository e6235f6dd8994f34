from __future__ import annotations

import torch

from tests.data.augment.views import pictures, planes, views


def studio(n=6, side=16):
    """Coloured squares in the middle of white pictures."""
    pixels = torch.full((n, side, side, 3), 255, dtype=torch.uint8)
    colours = torch.randint(0, 200, (n, 3), dtype=torch.uint8)
    pixels[:, 5:11, 5:11] = colours[:, None, None]
    return pixels


def plain(n, level=90):
    return torch.full((n, 16, 16, 3), level, dtype=torch.uint8)


def test_the_white_around_a_studio_picture_gives_way_to_other_pictures():
    pixels = torch.cat([studio(), pictures(n=6, side=16)])
    found = views(pixels, backdrop=1.0)
    rim = found[:6, :, 0].flatten(1)
    assert (rim < 250).any(1).sum() >= 2  # the others drew another studio picture
    torch.testing.assert_close(found[:6, :, 6:10, 6:10], planes(pixels)[:6, :, 6:10, 6:10])


def test_the_new_backdrop_is_another_picture_of_the_batch():
    pixels = torch.cat([studio(1), plain(1, 90), plain(1, 30)])
    rims = {
        round(views(pixels, backdrop=1.0, seed=seed)[0, :, 0].mean().item()) for seed in range(12)
    }
    assert rims == {90, 30}


def test_a_studio_picture_alone_keeps_its_white():
    pixels = studio(1)
    torch.testing.assert_close(views(pixels, backdrop=1.0), planes(pixels), rtol=0, atol=2e-2)


def test_a_picture_that_is_not_on_white_keeps_its_white():
    shelf = 255 - studio()  # white things on black
    shelf[:, 5:11, 5:11] = 255
    pixels = torch.cat([studio(), shelf])
    found = views(pixels, backdrop=1.0)
    torch.testing.assert_close(found[6:], planes(pixels)[6:], rtol=0, atol=2e-2)


def test_the_backdrop_changes_for_its_share_of_the_pictures():
    pixels = torch.cat([studio(200), plain(600)])
    changed = views(pixels, backdrop=0.4)[:200, :, 0].mean((1, 2)) < 200
    assert 35 < int(changed.sum()) < 85  # 200 × 0.4 × 3/4 = 60
