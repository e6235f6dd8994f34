"""Alignment: exact on points that fit, least squares on others, and the published crops."""

from __future__ import annotations

import csv
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.images.landmarks import (
    TEMPLATE,
    align,
    five_points,
    is_profile,
    template,
    umeyama,
)

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
angles = st.floats(-np.pi, np.pi)
shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def moved(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ matrix[:, :2].T + matrix[:, 2]


@settings(deadline=None)
@given(angles, st.floats(0.1, 10), shifts)
def test_a_similarity_is_found_again(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    matrix = similarity(angle, scale, shift)
    np.testing.assert_allclose(umeyama(TEMPLATE, moved(TEMPLATE, matrix)), matrix, atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 10_000), angles, st.floats(-0.2, 0.2), shifts)
def test_no_other_similarity_is_nearer(
    seed: int, angle: float, change: float, shift: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(5, 2)) * 50, rng.normal(size=(5, 2)) * 50
    found = umeyama(source, target)
    error = ((moved(source, found) - target) ** 2).sum()
    other = similarity(angle, np.hypot(*found[:, 0]) * (1 + change), shift)
    assert error <= ((moved(source, other) - target) ** 2).sum() + 1e-6
    near = found + similarity(angle, 1e-3, (shift[0] * 1e-3, shift[1] * 1e-3))
    assert error <= ((moved(source, near) - target) ** 2).sum() + 1e-6


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    matrix = umeyama(TEMPLATE * (-1, 1), TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_templates_of_other_sizes() -> None:
    assert (template() == TEMPLATE).all()
    np.testing.assert_allclose(template(224), TEMPLATE * 2)
    np.testing.assert_allclose(template(128), TEMPLATE + np.array([8, 0]))
    np.testing.assert_allclose(template(256), (TEMPLATE + np.array([8, 0])) * 2)


def test_a_face_on_the_template_is_left_alone_and_outside_is_black() -> None:
    image = np.random.default_rng(0).integers(1, 256, (112, 112, 3), np.uint8)
    assert (align(image, TEMPLATE) == image).all()
    shifted = align(image, TEMPLATE + np.array([30, 0]))
    assert (shifted[:, :82] == image[:, 30:]).all()
    assert (shifted[:, 82:] == 0).all()


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((5, 2)), np.ones((5, 2)) * 1e6, np.full((5, 2), np.nan), TEMPLATE[:4], np.zeros(11)],
)
def test_points_no_face_can_have_are_refused(landmarks: NDArray[np.float64]) -> None:
    with pytest.raises(ArcwiseError, match="landmarks"):
        align(np.zeros((9, 9, 3), np.uint8), landmarks)


def test_68_points_become_five() -> None:
    points = np.zeros((68, 2))
    points[[36, 39]] = TEMPLATE[0] + np.array([(-9, 1), (9, -1)])
    points[[42, 45]] = TEMPLATE[1] + np.array([(-8, 0), (8, 0)])
    points[[30, 48, 54]] = TEMPLATE[2:]
    np.testing.assert_allclose(five_points(points.ravel()), TEMPLATE)
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    assert (align(image, points) == image).all()
    assert (five_points(TEMPLATE.ravel()) == TEMPLATE).all()
    with pytest.raises(ArcwiseError, match=r"5 landmarks .* or 68"):
        five_points(np.zeros((66, 2)))


@settings(deadline=None)
@given(st.floats(-85, 85), angles, st.floats(0.1, 10), shifts)
def test_a_profile_is_a_head_turned_by_more_than_40_degrees(
    yaw: float, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    """Of a head with eyes 63 mm apart and the tip of the nose 35 mm before them."""
    face = np.array([(-31.5, 0, 0), (31.5, 0, 0), (0, 40, 35), (-25, 70, 5), (25, 70, 5)])
    cosine, sine = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    seen = np.column_stack([face[:, 0] * cosine + face[:, 2] * sine, face[:, 1]])
    points = moved(seen, similarity(angle, scale, shift))
    if abs(abs(yaw) - 42) > 0.5:  # arctan(31.5 / 35)
        assert is_profile(points) == (abs(yaw) > 42)


def test_eyes_in_one_place_are_a_profile() -> None:
    points = TEMPLATE.copy()
    points[1] = points[0]
    assert is_profile(points)


def test_a_large_face_is_averaged_not_sampled() -> None:
    """Fine stripes become grey, as the eye sees them; coarse shapes stay where they are."""
    stripes = np.zeros((1120, 1120, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, (TEMPLATE + 0.5) * 10 - 0.5)
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() <= 2
    small = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8), (0, 0), 3
    )
    large = cv2.resize(small, (1120, 1120), interpolation=cv2.INTER_CUBIC)
    again = align(large, (TEMPLATE + 0.5) * 10 - 0.5)
    assert np.abs(again[2:-2, 2:-2].astype(int) - small[2:-2, 2:-2]).max() <= 3


def test_the_published_crops_come_out_to_the_last_bit(data_dir: Path) -> None:
    """LFW's crops were packed as JPEG of quality 90: ours, packed so too, are the same."""
    folder = data_dir / "lfw112"
    with open(folder / "images.csv", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    archives = {name: ZipFile(folder / name) for name in ("images_1.zip", "images_2.zip")}
    differences = []
    with ZipFile(folder / "raw_sample_250.zip") as photographs:
        for name in photographs.namelist():
            row = rows[name]
            points = [[float(row[f"{point}_{axis}"]) for axis in "xy"] for point in POINTS]
            crop = align(decode(photographs.read(name), name), points)
            packed = decode(archives[row["zip"]].read(name), name)
            differences.append(np.abs(crop.astype(int) - packed).mean())
            quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
            again = cv2.imencode(".jpg", crop[..., ::-1], quality)[1].tobytes()
            assert (decode(again, name) == packed).all()
    for archive in archives.values():
        archive.close()
    assert len(differences) == 300
    assert np.mean(differences) < 2  # JPEG loss alone
    assert max(differences) < 3


def test_dlibs_template_shows_the_chin() -> None:
    """Its mean face lies in the middle; ArcFace's mouth is at 0.82 of the height."""
    points = template(150, "dlib") / 150
    assert points.mean(axis=0) == pytest.approx((0.49, 0.5), abs=0.01)
    assert points[3:, 1].max() == pytest.approx((0.780233 + 0.2) / 1.4)
    assert template(150)[3:, 1].max() / 150 > 0.82


def test_a_crop_is_turned_onto_another_template() -> None:
    y, x = np.mgrid[0:112, 0:112]
    image = np.stack([2 * x, 2 * y, x + y], axis=-1).astype(np.uint8)
    crop = align(image, TEMPLATE, 150, "dlib")
    matrix = umeyama(template(150, "dlib"), TEMPLATE)
    for place in ((60, 50), (80, 90)):
        expected = moved(np.array([place], np.float64), matrix)[0]
        assert crop[place[1], place[0], :2] == pytest.approx(2 * expected, abs=1.5)
