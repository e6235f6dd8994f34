"""`arcwise data check`: what is a problem, what is a note, and the exit status that says so."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.cli import main


def scene(number: int, side: int = 64) -> np.ndarray:
    """A smooth image, unlike any of another number."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def written(root: Path, **images: np.ndarray) -> Path:
    """A folder with these images, `a__1` being a/1.png."""
    for name, pixels in images.items():
        place = root / f"{name.replace('__', '/')}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), pixels)
    return root


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return written(tmp_path / "set", a__1=scene(1), a__2=scene(2), b__1=scene(3), b__2=scene(4))


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["data", "check", *words])
    out, err = capsys.readouterr()
    assert err == ""
    return status, out


def test_sound(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = checked(capsys, str(sound))
    assert status == 0
    assert out.endswith("no problems\n")


def test_notes_are_no_problems(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A near-twin within one identity, an identity with one image, a file that is none."""
    written(sound, a__twin=scene(1, 48), c__1=scene(5))
    (sound / "a" / "notes.txt").write_text("mine")
    status, out = checked(capsys, str(sound))
    assert status == 0
    assert "note: nearly the same image (1)" in out
    assert "note: ignored: no images of this data set (1)" in out
    assert "problem:" not in out


@pytest.mark.parametrize(
    ("wrong", "title"),
    [
        ({"b__copy": scene(1)}, "one image, two identities"),
        ({"b__copy": scene(1, 48)}, "nearly one image, two identities"),
        ({"a__copy": scene(1)}, "the same image more than once"),
        ({"A__1": scene(6)}, "perhaps one identity, spelled differently"),
    ],
)
def test_problems(
    sound: Path,
    wrong: dict[str, np.ndarray],
    title: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written(sound, **wrong)
    status, out = checked(capsys, str(sound))
    assert status == 1
    assert f"problem: {title} (1)" in out
    assert out.endswith("\n1 problem\n")


def test_an_unreadable_picture(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sound / "a" / "cut.png").write_bytes((sound / "a" / "1.png").read_bytes()[:99])
    status, out = checked(capsys, str(sound))
    assert status == 1
    assert "problem: cannot be decoded (1)" in out


def test_leaks(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(tmp_path / "other", c__1=scene(1), c__2=scene(4, 48), d__1=scene(9))
    status, out = checked(capsys, str(other), "--against", str(sound))
    assert status == 1
    assert out.endswith("\n2 problems\n")  # a copy and a near copy, of two identities each
    inner = written(tmp_path / "inner", e__1=scene(7), e__2=scene(8))
    assert checked(capsys, str(inner), "--against", str(sound))[0] == 0


def test_rows_without_an_identity(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = sound / "list.csv"
    table.write_text("image,identity\na/1.png,a\na/2.png,\nb/1.png,\nb/2.png,b\n")
    status, out = checked(capsys, str(table))
    assert status == 1
    assert "problem: no identity" in out
    assert out.endswith("\n1 problem\n")
    table.write_text("image\na/1.png\nb/1.png\n")  # nobody is named: nothing is missing
    assert checked(capsys, str(table))[0] == 0


def test_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--json"]):
        assert main(["data", "check", str(tmp_path / "none"), *more]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1


def test_json(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(sound, b__Ünï=scene(1))
    status, out = checked(capsys, str(sound), "--json")
    found = json.loads(out)
    assert status == 1
    assert (found["images"], found["problems"]) == (5, 1)
    assert found["duplicates"][0]["images"] == ["a/1.png", "b/Ünï.png"]
    counted = [one for one in found["findings"] if one["count"]]
    assert counted == [{"title": "one image, two identities", "problem": True, "count": 1}]
    assert "Ünï" in out
