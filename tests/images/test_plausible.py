"""Landmarks that no face can have are told from those of heads that are turned."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from arcwise.images.plausible import TEMPLATE, doubtful, impossible

Points = NDArray[np.float64]
FACE = TEMPLATE + np.array([70, 70])  # in an image of 250 x 250
HEAD = np.array([(-31.5, 0, 0), (31.5, 0, 0), (0, 40, 35), (-25, 70, 5), (25, 70, 5)])  # mm

MISTAKES = {
    "relative": lambda p: p / 250,
    "one pixel": lambda p: p / 125 - 1,
    "one place": lambda p: np.full((5, 2), 80.0),
    "one line": lambda p: np.linspace((20, 30), (80, 120), 5),
    "NaN": lambda p: np.where(p == p.max(), np.nan, p),
    "outside": lambda p: p + 300,
    "left and right swapped": lambda p: p[[1, 0, 2, 4, 3]],
    "the eyes swapped": lambda p: p[[1, 0, 2, 3, 4]],
    "the mouth corners swapped": lambda p: p[[0, 1, 2, 4, 3]],
    "y before x": lambda p: p[:, ::-1],
    "y from below": lambda p: p * (1, -1) + (0, 250),
    "the mouth before the eyes": lambda p: p[[3, 4, 2, 0, 1]],
    "the x of all points before their y": lambda p: p.T.reshape(5, 2),
    "the y of all points before their x": lambda p: p[:, ::-1].T.reshape(5, 2),
    "the nose first": lambda p: p[[2, 0, 1, 3, 4]],
    "the nose last": lambda p: p[[0, 1, 3, 4, 2]],
}


def turned(points: Points, degrees: float) -> Points:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - 125) @ np.array([[cosine, sine], [-sine, cosine]]) + 125


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_named(mistake: str) -> None:
    reason = impossible(MISTAKES[mistake](FACE), 250, 250)
    assert reason is not None
    assert mistake in reason


def test_left_of_the_image_is_outside() -> None:
    reason = impossible(FACE - 300, 250, 250)
    assert reason is not None
    assert "outside the image, 5 of 5" in reason


@pytest.mark.parametrize("degrees", range(-175, 180, 30))
def test_a_face_may_be_turned(degrees: int) -> None:
    points = turned(FACE, degrees)
    assert impossible(points, 250, 250) is None
    odd = doubtful(points, 250, 250)
    assert (odd is not None and "turned" in odd) == (abs(degrees) > 60)


@pytest.mark.parametrize("degrees", range(-180, 180, 45))
@pytest.mark.parametrize("mistake", ["left and right swapped", "the eyes swapped"])
def test_a_mistake_is_one_however_a_face_is_turned(mistake: str, degrees: int) -> None:
    assert impossible(turned(MISTAKES[mistake](FACE), degrees), 250, 250) is not None


@pytest.mark.parametrize("yaw", range(-90, 91, 10))
@pytest.mark.parametrize("pitch", [-40, 0, 40])
def test_a_head_may_be_seen_from_any_side(yaw: int, pitch: int) -> None:
    a, b = np.radians(yaw), np.radians(pitch)
    x = HEAD[:, 0] * np.cos(a) + HEAD[:, 2] * np.sin(a)
    z = HEAD[:, 2] * np.cos(a) - HEAD[:, 0] * np.sin(a)
    y = HEAD[:, 1] * np.cos(b) - z * np.sin(b)
    assert impossible(np.column_stack([x, y]) + 100, 250, 250) is None


@pytest.mark.parametrize("size", [10, 20, 2000])
def test_a_face_may_have_any_size(size: int) -> None:
    assert impossible(TEMPLATE * size / 112, size, size) is None


def test_a_face_at_the_border_is_said() -> None:
    odd = doubtful(FACE + np.array([110, 0]), 250, 250)
    assert odd is not None
    assert "2 of 5" in odd
    assert doubtful(FACE, 250, 250) is None


def test_real_faces_are_all_possible(data_dir: Path) -> None:
    points = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    with open(data_dir / "lfw112" / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    every = [np.array([[float(row[f"{p}_{c}"]) for c in "xy"] for p in points]) for row in rows]
    assert not any(impossible(one, 250, 250) or doubtful(one, 250, 250) for one in every)
    swapped = MISTAKES["left and right swapped"]
    assert all(impossible(swapped(one), 250, 250) for one in every[::10])
