"""A run that was stopped and resumed is the run that was not: bit for bit, on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from arcwise import encoders
from arcwise.data.digests import content_digests
from arcwise.errors import ArcwiseError
from arcwise.training import checkpoint
from arcwise.training.metrics import read
from tests.training import runs

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core

KINDS = {
    "shuffled": {},
    "balanced, margin warm-up": {
        "sampling": "balanced", "pictures_per_identity": 2,
        "margin_from": 0.2, "margin_full": 0.8, "warmup": 0.25,
    },
    "plain softmax, no average": {"loss": "softmax", "average": 0.0},
    "AdamW, clipped": {"optimiser": "adamw", "lr": 0.01, "clip": 1.0},
    "swept centres, sampled classes, statistics of the margin": {
        "loss": "adaface", "centre_step": "swept", "classes_per_step": 0.9, "subcentres": 2,
    },
    "nothing kept in memory, two workers": {"keep_gb": 0.0, "workers": 2},
    "kept in memory, two workers": {"workers": 2},
}  # fmt: skip


def with_dropout(monkeypatch):
    plain = encoders.create

    def create(name, **fields):
        encoder = plain(name, **fields)
        encoder.stages[1].append(nn.Dropout(0.5))
        return encoder

    monkeypatch.setattr(encoders, "create", create)


@pytest.fixture(scope="module")
def whole(patterns, others, tmp_path_factory):
    """The folder of an uninterrupted run of a kind; each is trained once."""
    done: dict[tuple, Path] = {}

    def run(kind, dropout=False):
        if (kind, dropout) not in done:
            folder = tmp_path_factory.mktemp("whole")
            runs.train(runs.config(**KINDS[kind]), patterns, folder, choose=others)
            done[kind, dropout] = folder
        return done[kind, dropout]

    return run


def assert_same(folder, expected):
    assert runs.differences(folder, expected) == []
    assert runs.rows(folder) == runs.rows(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_and_resume_is_the_uninterrupted_run(kind, whole, patterns, others, tmp_path):
    config = runs.config(**KINDS[kind])
    stopped = runs.train(config, patterns, tmp_path, choose=others, report=runs.press_ctrl_c_at(5))
    assert (stopped.finished, stopped.steps) == (False, 5)
    resumed = runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert (resumed.finished, resumed.steps) == (True, 8)
    assert_same(tmp_path, whole(kind))


@pytest.mark.parametrize("kind", ["shuffled", "balanced, margin warm-up"])
def test_ctrl_c_and_resume_with_dropout(kind, whole, patterns, others, tmp_path, monkeypatch):
    with_dropout(monkeypatch)
    config = runs.config(**KINDS[kind])
    runs.train(config, patterns, tmp_path, choose=others, report=runs.press_ctrl_c_at(5))
    runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert_same(tmp_path, whole(kind, dropout=True))


def test_dropout_makes_another_run(whole, monkeypatch):
    plain = whole("shuffled")
    with_dropout(monkeypatch)
    assert runs.differences(whole("shuffled", dropout=True), plain) != []


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_any_step_will_do_to_stop_at(stop, whole, patterns, others, tmp_path):
    config = runs.config()
    runs.train(config, patterns, tmp_path, choose=others, report=runs.press_ctrl_c_at(stop))
    runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert_same(tmp_path, whole("shuffled"))


def test_a_run_stopped_twice_is_the_uninterrupted_run(whole, patterns, others, tmp_path):
    config = runs.config()
    runs.train(config, patterns, tmp_path, choose=others, report=runs.press_ctrl_c_at(2))
    runs.train(
        config, patterns, tmp_path, choose=others, report=runs.press_ctrl_c_at(6), resume=True
    )
    runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert_same(tmp_path, whole("shuffled"))


def test_a_crash_costs_the_steps_since_the_last_checkpoint(whole, patterns, others, tmp_path):
    def crash(step, values):
        if step == 5:
            raise OSError("no space left on device")

    config = runs.config()
    with pytest.raises(OSError, match="no space"):
        runs.train(config, patterns, tmp_path, choose=others, report=crash)
    assert checkpoint.load(tmp_path / "checkpoints")[0] == 3
    assert runs.rows(tmp_path)[-1]["step"] == 5  # one was validated, logged, and is undone
    runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert_same(tmp_path, whole("shuffled"))


def test_a_second_ctrl_c_ends_at_once_and_costs_the_steps_since_the_last_checkpoint(
    whole, patterns, others, tmp_path, monkeypatch
):
    config = runs.config()
    step = runs.loop._step
    # A shell's background job starts with SIGINT ignored, and then a second one would be, too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def impatient(config, run, *rest):
        measured = step(config, run, *rest)  # the weights have moved, the step is not counted yet
        if run.step == 4:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return measured

    with monkeypatch.context() as patched:
        patched.setattr(runs.loop, "_step", impatient)
        with pytest.raises(KeyboardInterrupt):
            runs.train(config, patterns, tmp_path, choose=others)
    signal.signal(signal.SIGINT, before)
    assert checkpoint.load(tmp_path / "checkpoints")[0] == 3
    runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert_same(tmp_path, whole("shuffled"))


def test_the_number_of_workers_changes_nothing(whole):
    plain = whole("shuffled")
    for kind in ("kept in memory, two workers", "nothing kept in memory, two workers"):
        assert_same(whole(kind), plain)


def test_another_seed_is_another_run(whole, patterns, others, tmp_path):
    runs.train(runs.config(seed=1), patterns, tmp_path, choose=others)
    assert runs.differences(tmp_path, whole("shuffled")) != []


def test_resuming_a_finished_run_changes_nothing(patterns, others, tmp_path):
    config = runs.config(steps=3)
    runs.train(config, patterns, tmp_path, choose=others)
    before = runs.state(tmp_path), runs.rows(tmp_path)
    outcome = runs.train(config, patterns, tmp_path, choose=others, resume=True)
    assert (outcome.finished, outcome.steps) == (True, 3)
    assert (runs.state(tmp_path), runs.rows(tmp_path)) == before


def test_the_best_validation_is_remembered(patterns, others, tmp_path):
    kept = []
    config = runs.config(validate_every=2)

    def keep(encoder, step, result, last):
        kept.append((step, result, last))

    runs.train(config, patterns, tmp_path, choose=others, keep=keep, report=runs.press_ctrl_c_at(5))
    outcome = runs.train(config, patterns, tmp_path, choose=others, keep=keep, resume=True)
    best = [(step, result) for step, result, last in kept if not last]
    assert outcome.best == max((result for _, result in best), key=lambda result: result.score)
    assert (outcome.best_step, outcome.best) == best[-1]
    scores = [result.score for _, result in best]
    assert scores == sorted(set(scores))  # only ever a better one


def test_what_was_trained_on_is_remembered(patterns, tmp_path):
    digests = content_digests(patterns)
    seen = np.zeros(len(patterns), np.int64)
    press = runs.press_ctrl_c_at(2)
    runs.train(runs.config(), patterns, tmp_path, report=press, seen=seen)
    before = np.flatnonzero(seen)
    assert 8 <= len(before) <= 16
    seen[:] = 0
    runs.train(runs.config(), patterns, tmp_path, resume=True, seen=seen)
    after = np.flatnonzero(seen)
    assert set(before) < set(after)
    assert seen[after].tolist() == digests[after].tolist()


def test_there_is_nothing_to_resume_in_an_empty_folder(patterns, tmp_path):
    with pytest.raises(ArcwiseError, match="no checkpoint to resume from"):
        runs.train(runs.config(), patterns, tmp_path, resume=True)


def test_resuming_does_not_need_the_weights_the_run_started_from(patterns, tmp_path):
    from safetensors.numpy import save_file

    from arcwise.encoders.weights import to_numpy

    start = tmp_path / "start.safetensors"
    save_file(to_numpy(encoders.create("small", dim=16, size=(32, 32))), start)
    config = runs.config(steps=3, init=str(start))
    runs.train(config, patterns, tmp_path / "run", report=runs.press_ctrl_c_at(2))
    start.unlink()
    assert runs.train(config, patterns, tmp_path / "run", resume=True).finished


CHILD = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from arcwise.data import loader
from arcwise.data.formats.opening import open_manifest
from tests.training import runs

decode = loader.decode
def slow(data, name):
    time.sleep(0.01)  # so that the training process waits for its workers most of the time
    return decode(data, name)
loader.decode = slow

config = runs.config(steps=25, keep_gb=0.0, workers=2, checkpoint_every=1000)
outcome = runs.train(config, open_manifest(sys.argv[1]), Path(sys.argv[2]))
print(outcome.finished, outcome.steps)
"""


def test_ctrl_c_in_a_terminal_leaves_a_checkpoint_to_resume_from(patterns, tmp_path):
    """The terminal sends the signal to every process of the run, its workers included."""
    config = runs.config(steps=25, checkpoint_every=1000)
    runs.train(config, patterns, tmp_path / "whole")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, patterns.root, tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while len(read(tmp_path / "run/metrics.jsonl")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    finished, steps = out.split()
    assert finished == "False"
    assert 3 <= int(steps) < 25
    assert runs.train(config, patterns, tmp_path / "run", resume=True).finished
    assert_same(tmp_path / "run", tmp_path / "whole")
