"""Ctrl-C in a real process: a checkpoint, and the very words that go on from it."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.training.metrics import read

STEPS = 150


def test_stopped_and_resumed(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "my run"
    words = f"--size 16 --dim 8 --steps {STEPS} --batch 4 --workers 0 --holdout 0 --log-every 1"
    command = [sys.executable, "-m", "arcwise", "train", str(products), "--out", str(run)]
    process = subprocess.Popen(
        [*command, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while process.poll() is None and len(read(run / "metrics.jsonl")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (130, "")
    last = out.splitlines()[-1]
    assert last.startswith("stopped after step ")
    assert f"of {STEPS}; go on with: " in last
    assert len(list((run / "checkpoints").glob("step-*.pt"))) == 1
    assert not (run / "model").exists()

    again = shlex.split(last.partition("go on with: ")[2])
    assert again[0] == "arcwise"
    assert main(again[1:]) == 0
    assert f"{STEPS} steps in " in capsys.readouterr().out
    rows = [row for row in read(run / "metrics.jsonl") if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert (run / "model" / "model.json").is_file()
