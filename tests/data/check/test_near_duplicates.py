"""Copies are found however they were made, other images are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from arcwise.data.check import check
from arcwise.data.check.grouping import Links, connected, equal
from arcwise.data.check.near_duplicates import (
    MOST_BITS,
    made_copy,
    make_thumbnail,
    near_duplicates,
    perceptual_hashes,
)
from arcwise.data.formats.opening import open_manifest
from arcwise.images import decode

Pixels = NDArray[np.uint8]


def scene(seed: int, height: int = 120, width: int = 150) -> Pixels:
    """Coarse shapes with fine texture on them, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.uniform(0, 255, (6, 7, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(rng.normal(0, 40, (height, width, 3)), (0, 0), 1.5)
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def resized(image: Pixels) -> Pixels:
    return cv2.resize(image, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC)


def compressed(image: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return decode(data.tobytes(), "copy")[..., ::-1]


def brightened(image: Pixels) -> Pixels:
    return cv2.convertScaleAbs(image, alpha=1.1, beta=8)


def cropped(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    return image[: height - round(0.02 * height), round(0.02 * width) :]


def all_of_it(image: Pixels) -> Pixels:
    return cv2.resize(made_copy(image), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


COPIES: tuple[Callable[[Pixels], Pixels], ...] = (
    resized,
    compressed,
    brightened,
    cropped,
    made_copy,
    all_of_it,
)


def near_pairs(*images: Pixels) -> set[tuple[int, int]]:
    links = near_duplicates(np.stack([make_thumbnail(np.ascontiguousarray(one)) for one in images]))
    return set(zip(links.a.tolist(), links.b.tolist(), strict=True))


@pytest.mark.parametrize("copied", COPIES, ids=lambda one: one.__name__)
def test_copies_are_found_and_nothing_else(copied: Callable[[Pixels], Pixels]) -> None:
    scenes = [scene(seed) for seed in range(40)]
    pairs = near_pairs(*scenes, *map(copied, scenes))
    assert pairs <= {(number, 40 + number) for number in range(40)}
    assert len(pairs) >= 38


def test_another_place_and_another_picture_are_no_copies() -> None:
    image = scene(1)
    shifted = np.roll(image, 15, axis=1)  # a tenth of the width
    assert near_pairs(image, shifted, image[:, ::-1], 255 - image, scene(2)) == set()


def test_blank_pages_are_nobodys_copies() -> None:
    pages = [np.full((50, 40, 3), level, np.uint8) for level in (0, 128, 254, 255)]
    assert near_pairs(*pages) == set()
    links = near_duplicates(np.empty((0, 32, 32), np.uint8))
    assert [len(part) for part in links] == [0, 0, 0]


def test_progress_reaches_the_end() -> None:
    calls: list[tuple[int, int]] = []
    thumbnails = np.random.default_rng(0).integers(0, 256, (600, 32, 32), np.uint8)
    links = near_duplicates(thumbnails, progress=lambda *numbers: calls.append(numbers))
    assert calls == [(256, 600), (512, 600), (600, 600)]
    assert len(links.a) == 0


def test_a_hash_is_the_signs_of_the_lowest_frequencies() -> None:
    """Against OpenCV's transform of one thumbnail."""
    thumbnails = np.stack([make_thumbnail(scene(seed)) for seed in range(9)])
    for small, packed in zip(thumbnails, perceptual_hashes(thumbnails), strict=True):
        low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
        expected = low > np.median(low[1:])
        assert np.count_nonzero(np.unpackbits(packed) != expected) <= 1  # rounding at the median
    far = np.unpackbits(perceptual_hashes(thumbnails), axis=1)
    assert np.count_nonzero(far[0] != far[1]) > MOST_BITS


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=15))
def test_groups_are_what_links_connect(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, np.int64).reshape(-1, 2).T
    similarity = np.linspace(0.5, 1, len(a)).astype(np.float32)
    groups = connected(Links(a, b, similarity), 12)
    expected = [{one} for one in range(12)]
    for one, other in pairs:
        joined = expected[one] | expected[other]
        for member in joined:
            expected[member] = joined
    assert [set(group.members.tolist()) for group in groups] == [
        group for one, group in enumerate(expected) if len(group) > 1 and min(group) == one
    ]
    for group in groups:
        assert group.least == similarity[np.isin(a, group.members)].min()


@given(st.lists(st.integers(0, 6)))
def test_equal_values_are_together_first_come_first(values: list[int]) -> None:
    groups = [group.tolist() for group in equal(np.array(values, np.int64))]
    again = [one for one in dict.fromkeys(values) if values.count(one) > 1]
    assert groups == [[at for at, value in enumerate(values) if value == one] for one in again]


def test_the_report_says_the_worst_of_a_group_first(tmp_path: Path) -> None:
    images = {
        "train/Al/1.png": scene(1),
        "train/Al/2.png": resized(scene(1)),
        "train/Bo/1.png": scene(2),
        "test/Bo/1.png": compressed(scene(2)),
        "train/Cy/1.png": scene(3),
        "train/Di/1.png": cropped(scene(3)),
        "train/Di/2.png": scene(3),  # exactly Cy's
        "train/Ed/1.png": scene(4),
    }
    for place, pixels in images.items():
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "set" / place), pixels)
    (tmp_path / "set/train/Ed/cut.png").write_bytes(b"\x89PNG")
    report = check(open_manifest(tmp_path / "set"))
    assert [group.images for group in report.near] == [
        ("train/Cy/1.png", "train/Di/1.png", "train/Di/2.png"),
        ("test/Bo/1.png", "train/Bo/1.png"),
        ("train/Al/1.png", "train/Al/2.png"),
    ]
    assert [(group.wrong, group.leaked) for group in report.near] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert report.problems == 1 + 1 + 2 + 1  # cut short, exact, nearly (Al's are none), Bo in both
    text = str(report).replace("\n", " ")
    order = ("two identities (1)", "nearly one image, two identities", "nearly the same image")
    assert sorted(order, key=text.index) == list(order)
    assert "problem: nearly one image, two identities (1)" in text
    assert "note: nearly the same image (1)" in text
    assert "test/Bo/1.png ~ train/Bo/1.png (1.000)" in text
    assert report.as_dict()["near"][0]["images"] == report.near[0].images


def test_copies_in_another_data_set_are_leaks(tmp_path: Path) -> None:
    for name, image in (("one", scene(1)), ("other", resized(scene(1)))):
        (tmp_path / name / "Al").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "Al" / "1.png"), image)
    report = check(open_manifest(tmp_path / "one"), against=[open_manifest(tmp_path / "other")])
    assert [group.places for group in report.near] == [("one", "other (2)")]
    assert "nearly one image, two splits or data sets (1)" in str(report)


@pytest.mark.parametrize("name", ["grocery/images.zip", "lfw112/images_1.zip"])
def test_real_pictures_copied_are_found(data_dir: Path, name: str) -> None:
    with ZipFile(data_dir / name) as archive:
        names = [one for one in archive.namelist() if not one.endswith("/")][::25]
        images = [decode(archive.read(one), one) for one in names]
    count = len(images)
    pairs = near_pairs(*images, *map(all_of_it, images))
    copies = {(number, count + number) for number in range(count)}
    assert len(pairs & copies) >= 0.93 * count
    assert len(pairs - copies) <= 2
