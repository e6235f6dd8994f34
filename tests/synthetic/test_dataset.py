"""The rendered data set on disk: readable by everything else, whole or not there."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.synthetic import Renderer, render_dataset


def rows(manifest: Path) -> list[dict[str, str]]:
    with open(manifest, newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_a_data_set_reads_back_as_the_photos_it_lists(tmp_path: Path) -> None:
    path = render_dataset(tmp_path / "shop", identities=3, shots=2, size=32)
    manifest, renderer = open_manifest(path), Renderer(seed=0, size=32)
    assert len(manifest) == 3 * 3
    assert manifest.classes == ["product-00000", "product-00001", "product-00002"]
    assert manifest.images[:3] == [
        "images.zip/studio/product-00000/00.jpg",
        "images.zip/shop/product-00000/00.jpg",
        "images.zip/shop/product-00000/01.jpg",
    ]
    photo = renderer.photo(1, 1, "shop")
    index = manifest.images.index("images.zip/shop/product-00001/01.jpg")
    assert manifest.read(index) == photo.jpeg
    row = rows(path)[index]
    assert float(row["quality"]) == pytest.approx(photo.nuisance.quality, rel=1e-5)
    for name, value in photo.nuisance.values().items():
        assert float(row[name]) == pytest.approx(value, rel=1e-5), name


def test_photos_do_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = render_dataset(tmp_path / "few", identities=[2], shots=1, size=32)
    many = render_dataset(tmp_path / "many", identities=4, shots=3, size=32)
    name = "shop/product-00002/00.jpg"
    with (
        zipfile.ZipFile(few.parent / "images.zip") as a,
        zipfile.ZipFile(many.parent / "images.zip") as b,
    ):
        assert a.read(name) == b.read(name)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    a, b = (render_dataset(tmp_path / n, identities=2, shots=2, size=32) for n in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert (a.parent / "images.zip").read_bytes() == (b.parent / "images.zip").read_bytes()


def test_the_archive_is_stored_and_sound(tmp_path: Path) -> None:
    path = render_dataset(tmp_path, identities=2, shots=2, size=32)
    with zipfile.ZipFile(path.parent / "images.zip") as photos:
        assert photos.testzip() is None
        assert {member.compress_type for member in photos.infolist()} == {zipfile.ZIP_STORED}
        image = cv2.imdecode(np.frombuffer(photos.read(photos.namelist()[0]), np.uint8), 1)
    assert image.shape == (32, 32, 3)


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_dataset(
        tmp_path, identities=2, shots=2, studio=1, size=32, progress=lambda *at: seen.append(at)
    )
    assert seen == [(n, 6) for n in range(1, 7)]


def test_an_interrupted_data_set_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_dataset(tmp_path, identities=2, shots=2, size=32, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.csv", "images.zip"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArcwiseError, match="exists"):
        render_dataset(tmp_path, identities=1, shots=1, size=32)
    assert (tmp_path / name).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"identities": 0}, "got 0 identities; expected at least 1"),
        ({"identities": []}, "got 0 identities; expected at least 1"),
        ({"identities": -3}, "got -3 identities; expected at least 1"),
        ({"identities": [1, 1]}, "got an identity twice"),
        ({"shots": 0, "studio": 0}, "got 0 shop and 0 studio photos"),
        ({"shots": -1}, "got -1 shop and 1 studio photos"),
        ({"size": 20}, "got size 20; expected 32"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(tmp_path: Path, options: dict, got: str) -> None:
    with pytest.raises(ArcwiseError) as caught:
        render_dataset(tmp_path / "new", **options)
    assert str(caught.value).startswith(got)
    assert not (tmp_path / "new").exists()
