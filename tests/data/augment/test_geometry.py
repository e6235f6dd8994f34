from __future__ import annotations

import cv2
import numpy as np
import pytest

from arcwise.data.augment import Augment
from arcwise.data.augment.geometry import homography
from tests.data.augment.views import STILL, images, keys, views


def maps_of(n, seed, **settings):
    return homography(Augment(**STILL | settings), keys(n, seed))


def affine_of(n, seed, **settings):
    maps = maps_of(n, seed, **settings)
    assert (maps[:, 2] == [0, 0, 1]).all()
    return maps[:, :2]


def warped(image, matrix, side):
    """One view by OpenCV: the map, from pixels of the view to pixels of the image."""
    height, width = image.shape[:2]
    to_unit = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
    to_pixels = np.array(
        [[width / 2, 0, (width - 1) / 2], [0, height / 2, (height - 1) / 2], [0, 0, 1]]
    )
    return cv2.warpPerspective(
        image.astype(np.float32),
        to_pixels @ matrix @ to_unit,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


@pytest.mark.parametrize("perspective", [0.0, 0.6])
@pytest.mark.parametrize("side", [24, 17])
def test_geometry_is_the_perspective_warp_of_opencv(perspective, side):
    settings = {"zoom": 0.5, "rotation": 0.4, "aspect": 0.2, "flip": 0.5}
    settings["perspective"] = perspective
    pixels = images(n=8)
    found = views(pixels, side, seed=2, **settings)
    for image, matrix, view in zip(pixels.numpy(), maps_of(8, 2, **settings), found, strict=True):
        expected = warped(image, matrix, side).transpose(2, 0, 1)
        assert np.abs(view.numpy() - expected).max() < 6  # OpenCV's weights have 5 bits


def corners(affine):
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float).T
    return affine @ square


def test_a_zoomed_view_stays_inside_the_image():
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


def quadrangles(n, **settings):
    """(N, 2, 4): where the view's corners lie in the image."""
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float).T
    points = maps_of(n, 0, **settings) @ square
    return points[:, :2] / points[:, 2:]


def test_a_tilted_view_stays_inside_the_image():
    for zoom in (0.4, 1.0):
        found = quadrangles(300, perspective=0.9, zoom=zoom)
        assert np.abs(found).max() <= 1 + 1e-5


def test_a_tilt_leaves_the_scale_of_a_view_that_has_room_for_it():
    side = {"zoom": 0.4}
    scale = maps_of(300, 0, **side)[:, 0, 0]
    tilted = maps_of(300, 0, **side, perspective=0.3)
    at_centre = tilted[:, 0, 0] - tilted[:, 0, 2] * tilted[:, 2, 0]  # the slope there
    room = scale < 0.7
    np.testing.assert_allclose(at_centre[room], scale[room], rtol=1e-5)
    assert (at_centre[~room] <= scale[~room] + 1e-6).all()


def test_perspective_is_the_ratio_of_opposite_edges():
    """Of the sides that a tilt about one axis alone leaves parallel."""
    maps = maps_of(400, 0, perspective=0.5)
    for axis in (0, 1):
        tilt = maps[:, 2, axis]
        ratio = np.log((1 + tilt) / (1 - tilt))
        assert -0.5 <= ratio.min() < -0.48
        assert 0.48 < ratio.max() <= 0.5 + 1e-6


def test_straight_lines_stay_straight_and_the_mirror_image_of_a_tilt_is_tilted():
    lines = np.stack([np.linspace(-1, 1, 7), np.full(7, 0.3), np.ones(7)])
    points = maps_of(20, 0, perspective=0.9, rotation=0.4, flip=1.0) @ lines
    points = (points[:, :2] / points[:, 2:]).transpose(0, 2, 1)
    across = points - points[:, :1]
    turned = across[:, 1:, 0] * across[:, -1:, 1] - across[:, 1:, 1] * across[:, -1:, 0]
    assert np.abs(turned).max() < 1e-5
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    assert (steps.max(1) / steps.min(1)).max() > 1.2
