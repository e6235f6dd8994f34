"""Signals in real processes: a checkpoint, and the very words that go on from it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.training.metrics import read

STEPS = 80
WORDS = f"--encoder small --size 16 --dim 8 --steps {STEPS} --batch 4 --holdout 0 --run.log-every 1"
WORDS += " --data.workers 0"


def started(products: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    """A training that has done two steps."""
    command = [sys.executable, "-m", "arcwise", "train", str(products), "--out", str(run)]
    process = subprocess.Popen(
        [*command, *WORDS.split(), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 100
    while process.poll() is None and len(read(run / "metrics.jsonl")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_stopped_and_resumed(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "my run"
    process = started(products, run)
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


@pytest.mark.parametrize(
    ("number", "workers", "whole_group"),
    [
        (signal.SIGTERM, 2, True),  # as a service manager does
        (signal.SIGHUP, 2, True),  # as a terminal that is closed does
    ],
)
def test_other_signals_save_what_ctrl_c_saves(
    number: signal.Signals, workers: int, whole_group: bool, products: Path, tmp_path: Path
) -> None:
    process = started(products, tmp_path / "run", "--data.workers", str(workers))
    send = os.killpg if whole_group else os.kill
    send(process.pid, number)
    if number == signal.SIGHUP:
        send(process.pid, number)  # of which there are often two
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (128 + number, "")
    assert out.splitlines()[-1].startswith("stopped after step ")
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))) == 1
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints", "config.json", "metrics.jsonl",
    ]  # fmt: skip


def test_nohup_is_heeded(products: Path, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the child inherits it
    try:
        process = started(products, tmp_path / "run")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode == 143


@pytest.mark.parametrize(
    ("verb", "place", "name", "status"),
    [
        ("evaluate", "verbs.evaluate.embeddings_of", "TERM", 143),
        ("embed", "verbs.embed._table", "HUP", 129),
        ("export", "verbs.export._differences", "TERM", 143),
        ("enrol", "recognition.recogniser.open_gallery", "INT", 130),
    ],
)
def test_other_commands_leave_nothing_half_written(
    verb: str,
    place: str,
    name: str,
    status: int,
    served: Path,
    products: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        signal.raise_signal(signal.Signals[f"SIG{name}"])
        time.sleep(5)

    shutil.copytree(served, tmp_path / "model")
    model, out = str(tmp_path / "model"), str(tmp_path / "out")
    words = {
        "evaluate": [model, str(products), "--out", out],
        "embed": [model, str(products), "--out", f"{out}.parquet"],
        "export": [model],
        "enrol": [out, str(products), "--model", model],
    }[verb]
    before = sorted(path.name for path in tmp_path.rglob("*"))
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is
    monkeypatch.setattr(f"arcwise.{place}", interrupted)
    assert main([verb, *words]) == status
    signal.signal(signal.SIGINT, ignored)
    left = "; all images are enrolled, or none is: `arcwise gallery info` says"  # not known so late
    assert capsys.readouterr().err == f"stopped{left if verb == 'enrol' else ''}\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


IN_A_FINALIZER = """
import os, signal, sys, time
from arcwise import cli

class Loses:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def answer(words):
    Loses()
    time.sleep(5)

cli._answer = answer
sys.exit(cli.main([]))
"""


def test_no_signal_is_lost_in_a_finalizer() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_FINALIZER], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (143, "stopped\n")
