from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from arcwise.cli import main


def test_a_sheet_of_a_recipe_with_fields_of_its_own(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.jpg"
    words = ["data", "views", str(products), str(sheet), "--recipe", "faces", "--rows", "3"]
    assert main([*words, "--views", "2", "--augment.jpeg", "1", "--seed", "3"]) == 0
    assert capsys.readouterr() == (f"3 images with 2 views each: {sheet}\n", "")
    assert cv2.imread(str(sheet)).shape == (18 + 3 * 150, 3 * 132, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sheet.gif"], "sheet.gif: a sheet is an image; expected one of .jpg, .png"),
        (["sheet.jpg", "--recipe", "product"], "did you mean 'products'"),
        (["nowhere/sheet.jpg"], "nowhere/sheet.jpg"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str],
    said: str,
    products: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "views", str(products), *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
