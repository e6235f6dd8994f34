from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arcwise.cli import main
from arcwise.cli.compare import training_words
from arcwise.cli.run_options import chosen_by, options_of, run_command
from arcwise.recipes import QUICK, recipe
from arcwise.training.config import TrainConfig
from arcwise.verbs.compare_plan import variants


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
    assert lines[-4].startswith("choice: ")
    command = lines[-3].removeprefix("train it: arcwise train ").split()
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


def parsed(words: list[str]) -> TrainConfig:
    """Return the config that `arcwise train` makes of the words."""
    begin = chosen_by(words)
    found = []

    def command(
        options: Any = options_of(begin.config, words),  # noqa: B008
        recipe: str = "",
        config: Path | None = None,
    ) -> int:
        found.append(options.config(begin.config))
        return 0

    run_command(command, words, "train")
    return found[0]


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        ("normsoftmax", ["normsoftmax s=8", "normsoftmax s=16"]),
        ("softmax", ["softmax"]),
        ("combined", ["combined s=8", "combined s=16"]),
        ("cosface", [f"cosface m={m} s={s}" for s in (8, 16) for m in (0.1, 0.2)]),
        ("triplet", ["triplet m=0.1", "triplet m=0.2"]),
        ("combined+triplet", ["combined+triplet s=8", "combined+triplet s=16"]),
    ],
)
def test_what_is_varied_is_an_option_of_train(loss: str, labels: list[str]) -> None:
    found = variants(recipe(QUICK), [loss], (0.1, 0.2), (8.0, 16.0))[loss]
    assert [one.label for one in found] == labels
    for one in found:
        words = ["--recipe", QUICK, *one.options]
        assert parsed(words).objective == one.config(recipe(QUICK)).objective
