"""What `arcwise gallery upgrade` prints, and its exit status."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from arcwise import runtime
from arcwise.cli import main
from arcwise.data.manifest import Manifest


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
