"""What `arcwise gallery upgrade` prints, and its exit status."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from arcwise import runtime
from arcwise.cli import gallery_upgrade, main
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Difference, Rate
from arcwise.gallery import GallerySize
from arcwise.verbs.gallery_comparison import GalleryComparison
from arcwise.verbs.gallery_upgrade import UpgradedGallery


@pytest.fixture
def place(served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder: two models, and a gallery of two products with two photos each."""
    from torch import manual_seed

    from arcwise import encoders

    manual_seed(1)
    shutil.copytree(served, tmp_path / "model")
    loaded = runtime.load(served)
    size = (loaded.preparation.height, loaded.preparation.width)
    encoder = encoders.create("small", dim=loaded.dim // 2, size=size)
    runtime.save(tmp_path / "better", encoder, loaded.preparation)
    for row in (0, 1, 6, 7):
        photo = tmp_path / "photos" / new.identities[row] / f"{row}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(new.read(row))
    monkeypatch.chdir(tmp_path)
    assert main(["enrol", "g", "photos", "--model", "model"]) == 0
    return tmp_path


UPGRADE = ("gallery", "upgrade", "g", "h", "--model", "better")


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main([*UPGRADE, *words]) == status
    said = capsys.readouterr()
    return said.out, said.err


def test_upgrade_and_swap(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys)
    lines = out.splitlines()
    assert lines[0] == "h: 4 templates of 2 identities, 4 embedded now; g has 4 of 2"
    assert "no thresholds" in lines[1]
    assert lines[-1] == "g is as it was; --swap puts h in its place"
    out, _ = run(capsys, "--swap")
    assert "0 embedded now" in out
    (kept,) = place.glob("g.before-*")
    assert out.splitlines()[-1] == f"g: now the new gallery; the old one is {kept}"
    assert not (place / "h").exists()
    out, _ = run(capsys, "--swap")
    assert "nothing to upgrade" in out


def test_images_in_a_folder_like_splits(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is looked through is no data set; without it the new gallery is empty."""
    (place / "images" / "query").mkdir(parents=True)
    shutil.copy(next((place / "photos").rglob("*.jpg")), place / "images" / "query" / "a.jpg")
    shutil.move(place / "photos", place / "images" / "strangers")
    out, _ = run(capsys)
    assert "h is empty" in out
    assert "--images" in out
    assert "no thresholds" not in out
    out, _ = run(capsys, "--images", "images")
    assert "missing" not in out
    assert "4 embedded now" in out


def test_missing_images(place: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = sorted(os.listdir("photos"))[1]
    shutil.rmtree(place / "photos" / name)
    out, err = run(capsys, "--swap", "--calibrate", str(products), status=2)
    assert "rank 1" not in out  # refused before it is measured
    assert "missing templates, whose images were not found: 2" in out
    assert f"{name}/6.jpg" in out
    assert f"1 identity would have no template: {name}" in out
    assert "--drop-missing" in err
    out, err = run(capsys, "--json")
    said = json.loads(out)
    assert err == ""
    assert [one["identity"] for one in said["missing"]] == [name, name]
    assert said["kept"] is None
    run(capsys, "--swap", "--drop-missing")
    assert (place / said["gallery"]).exists()


def test_what_changes(place: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "--calibrate", str(products))
    assert "rank 1" in out
    out, err = run(capsys, "--calibrate", str(products), "--json")
    said = json.loads(out)
    assert err == ""
    assert (said["comparison"]["images"], said["comparison"]["enrolled"]) == (8, 4)
    assert said["calibration"]["strangers"] > 0


def change(by: float) -> Difference:
    return Difference(Rate(0.5, 0.4, 0.6), Rate(0.5 + by, 0.1, 0.9), Rate(by, by - 0.1, by + 0.1))


@pytest.mark.parametrize(
    ("rank1", "found", "strangers", "said"),
    [
        (-0.2, -0.3, 0.0, ["20.0% fewer", "30.0% fewer"]),
        (-0.05, -0.3, 0.0, ["30.0% fewer"]),
        (0.05, -0.3, -0.3, []),  # a stricter threshold
        (-0.05, 0.05, 0.0, []),
    ],
)
def test_a_worse_model_is_called_worse_before_it_is_swapped_in(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank1: float,
    found: float,
    strangers: float,
    said: list[str],
) -> None:
    compared = GalleryComparison(
        9, 3, 9, 3, 0, 0, (None, None), change(rank1), change(found), change(strangers), (), (), ()
    )
    size = GallerySize(3, 3, 1, 1)
    result = UpgradedGallery(
        Path("g"), Path("h"), Path("better"), False, sizes=(size, size), comparison=compared
    )

    def refuse(*_: object, **__: object) -> None:
        raise ArcwiseError("not swapped")

    monkeypatch.setattr(gallery_upgrade, "upgrade_gallery", lambda *_, **__: result)
    monkeypatch.setattr(gallery_upgrade, "swap_upgraded", refuse)
    out, err = run(capsys, "--swap", status=2)
    worse = [line for line in out.splitlines() if "worse, beyond chance" in line]
    assert len(worse) == len(said)
    assert all(words in line for words, line in zip(said, worse, strict=True))
    assert ("h is worse" in err) is bool(said)
