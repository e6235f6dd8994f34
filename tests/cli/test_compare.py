from __future__ import annotations

from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.cli.compare import training_words


def test_from_a_folder_to_a_command(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "160")
    run = ["--size", "16", "--encoder.train-crop", "0", "--dim", "8", "--batch", "8"]
    words = ["--losses", "normsoftmax", "arcface", "--seeds", "1", "--steps", "2", "--far", "0.1"]
    words += ["--processes", "1"]
    assert main(["compare", str(products), "--out", str(tmp_path / "out"), *words, *run]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 losses, 1 seed each, 2 steps: trained on 22 identities")
    assert "identities only" in out
    lines = out.splitlines()
    assert lines[-3].startswith("choice: ")
    command = lines[-2].removeprefix("train it: arcwise train ").split()
    assert command[:2] == [str(products), "--loss"]
    assert command[3:] == run
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("option", ["--loss", "--margin", "--scale", "--seed"])
def test_options_that_are_plural_here(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "data", option, "1"]) == 2
    assert f"expected {'--losses' if option == '--loss' else option + 's'}" in (
        capsys.readouterr().err
    )


def test_what_is_passed_on_to_the_training() -> None:
    words = "data --losses a b --size 48 --out x --encoder=small --steps 5 --no-json --lr 1"
    assert training_words(words.split(), "data") == [
        "--size", "48", "--encoder=small", "--lr", "1",
    ]  # fmt: skip
