from __future__ import annotations

import re
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.cli.train import EVERY, Log, training_progress, written_out
from arcwise.training.config import TrainConfig


def test_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress() as (_, report):
        report(40, {"loss": 3.0, "images_per_second": 999.0, "waiting": 0.5})
        report(40, {"epoch": 12, "images_per_second": 1234.4, "waiting": 0.0123})
    assert capsys.readouterr().out == (
        "epoch 12: 1,234 pictures/s, 1.2% of the time waiting for pictures\n"
    )


def test_how_far_it_is_is_a_line(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--size 16 --dim 8 --steps 5 --batch 8 --data.workers 0 --holdout 0 --run.log-every 2"
    assert main(["train", str(products), "--out", str(tmp_path / "run"), *words.split()]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    form = r"step (\d) of 5: loss \d+\.\d{3}, learning rate [\d.e-]+, [\d,]+ pictures/s, (.*) left"
    found = [match for line in lines if (match := re.fullmatch(form, line))]
    assert [match[1] for match in found] == ["2", "4", "5"]
    assert found[-1][2] == "0:00:00"


def test_lines_are_few_and_time_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    log = Log()
    log.config = TrainConfig(steps=10_000, batch=64)
    said = {}
    for step in range(20, 10_001, 20):
        now += 0.1
        if line := log.line(step, {"loss": 2.5, "lr": 0.01, "images_per_second": 640.0}):
            said[step] = line
    assert list(said) == [20, *range(1000, 10_001, 1000)]
    assert said[1000] == (
        "step 1,000 of 10,000: loss 2.500, learning rate 0.01, 640 pictures/s, 0:15:00 left"
    )
    log.config = TrainConfig(steps=10**9)
    assert log.line(20, {"loss": 1.0, "images_per_second": 0.0})
    assert not log.line(40, {"loss": 1.0, "images_per_second": 0.0})
    now += EVERY
    assert log.line(60, {"loss": 1.0, "images_per_second": 1.0})


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("d --resume", "d --resume always"),
        ("--resume d", "--resume always d"),
        ("d --resume --lr 1", "d --resume always --lr 1"),
        ("d --resume auto --lr 1", "d --resume auto --lr 1"),
        ("d --resume=auto", "d --resume=auto"),
        ("d --no-resume", "d --resume never"),
    ],
)
def test_resume_alone_has_a_value(words: str, meant: str) -> None:
    assert written_out(words.split()) == meant.split()
