"""One command starts a run and goes on with it; what may be another then, and what may not."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.bundle import read_bundle
from arcwise.cli import main
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import locked
from arcwise.training import checkpoint, schedule
from arcwise.training.config import TrainConfig
from arcwise.training.metrics import read
from arcwise.verbs.train import TrainResult, train
from tests.settings import changed

WORDS = (
    "--encoder small --size 16 --dim 8 --steps 8 --batch 8 --data.workers 0 --holdout 0.3 "
    "--run.log-every 1 --run.validate-every 4 --run.checkpoint-every 3 --data.augment.zoom 0.6"
)


@pytest.fixture(scope="module")
def stopped(products: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after 5 of 8 steps."""
    from arcwise.recipes import recipe

    def press(step: int, values: dict[str, float]) -> None:
        if step == 5 and "loss" in values:
            signal.raise_signal(signal.SIGTERM)

    config = changed(
        recipe("products-small"), size=16, dim=8, steps=8, batch=8, workers=0, holdout=0.3,
        log_every=1, validate_every=4, checkpoint_every=3,
    )  # fmt: skip
    config = config.replace(data={"augment": {"zoom": 0.6}})
    folder = tmp_path_factory.mktemp("stopped") / "run"
    result = train(products, folder, config, recipe="products-small", report=press)
    assert (result.loop.steps, result.loop.stopped_by) == (5, signal.SIGTERM)
    return folder


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return shutil.copytree(stopped, tmp_path / "run")


Tried = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tried(products: Path, capsys: pytest.CaptureFixture[str]) -> Tried:
    def tried(run: Path, *words: str, data: Path = products) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["train", str(data), "--out", str(run), *words])
        return status, *capsys.readouterr()

    return tried


def losses(run: Path) -> list[int]:
    return [row["step"] for row in read(run / "metrics.jsonl") if "loss" in row]


def test_auto_begins_goes_on_and_says_that_it_is_finished(run: Path, tried: Tried) -> None:
    words = [*WORDS.split(), "--resume", "auto"]
    status, out, _ = tried(run.with_name("new"), *words)
    assert (status, losses(run.with_name("new"))) == (0, list(range(1, 9)))
    assert "no checkpoint to go on from, so the run begins" in out
    status, out, _ = tried(run, *words)
    assert status == 0
    assert "going on after step 5" in out
    assert "from here on" not in out
    for name in ("model", "last"):
        same = (run / name / "encoder.safetensors").read_bytes()
        assert same == (run.with_name("new") / name / "encoder.safetensors").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.*")}
    del before[run / "metrics.jsonl"]
    status, out, _ = tried(run, *words)
    assert status == 0
    assert "finished before: all 8 steps are done" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    "words",
    [
        "--resume",
        "--resume --lr 1e-1 --data.augment.zoom .6 --recipe products-small --dim 08",
        "--resume=auto --seed 0 --run.precision auto --steps 8",
        "--resume auto --data.workers 1 --run.log-every 2 --run.checkpoint-every 1",
    ],
)
def test_equal_options_are_no_conflict(words: str, run: Path, tried: Tried) -> None:
    status, _, err = tried(run, *words.split())
    assert (status, err) == (0, "")
    assert losses(run)[-1] == 8


def test_the_same_data_by_another_path(run: Path, products: Path, tried: Tried) -> None:
    status, _, err = tried(run, "--resume", data=Path(os.path.relpath(products)))
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--dim 16", "began with encoder.dim 8, got 16"),
        ("--data.augment.zoom 0.5", "began with data.augment.zoom 0.6, got 0.5"),
        ("--seed 1", "began with run.seed 0, got 1"),
        ("--recipe faces", "began with the recipe products-small, got --recipe faces"),
        ("--steps 7", "a run of 8 steps, got --steps 7"),
        ("--loss cosface", "began with objective.loss arcface, got cosface"),
        ("--split-seed 1", "began with run.split_seed 0, got 1"),
        ("--init elsewhere.pth", "began with encoder.init , got elsewhere.pth"),
    ],
)
@pytest.mark.parametrize("how", ["--resume", "--resume auto"])
def test_other_options_are(words: str, said: str, how: str, run: Path, tried: Tried) -> None:
    status, _, err = tried(run, *how.split(), *words.split())
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert losses(run) == [1, 2, 3, 4, 5]


def test_more_steps_have_the_schedule_of_the_longer_run(run: Path, tried: Tried) -> None:
    before, *_ = checkpoint.saved(run / "checkpoints")[-1:]
    assert checkpoint.step_of(before) == 5
    status, out, err = tried(run, "--resume", "--steps", "12", "--lr", "0.05")
    assert (status, err) == (0, "")
    assert "from here on run.steps 12 instead of 8" in out
    assert "from here on optim.lr 0.05 instead of 0.1" in out
    saved = json.loads((run / "config.json").read_text())
    assert saved["changes"] == [{"step": 5, "optim.lr": [0.1, 0.05], "run.steps": [8, 12]}]
    config = TrainConfig.from_dict(saved["config"])
    assert (config.run.steps, config.optim.lr) == (12, 0.05)
    rates = {row["step"]: row["lr"] for row in read(run / "metrics.jsonl") if "loss" in row}
    for step in range(6, 13):
        expected = config.optim.lr * schedule.rate(config, step - 1)
        assert rates[step] == pytest.approx(expected, rel=1e-5)
    first = changed(config, steps=8, lr=0.1)
    assert rates[5] == pytest.approx(0.1 * schedule.rate(first, 4), rel=1e-5)
    status, _, _ = tried(run, "--resume", "auto", "--steps", "13")  # a finished one, too
    assert (status, losses(run)[-1]) == (0, 13)


def test_in_python_the_config_counts_as_well(run: Path, products: Path) -> None:
    config = TrainConfig.from_dict(json.loads((run / "config.json").read_text())["config"])
    with pytest.raises(ArcwiseError, match=r"began with encoder\.dim 8, got 9"):
        train(products, run, changed(config, dim=9), resume=True)
    with pytest.raises(ArcwiseError, match="resume is 'yes'; expected"):
        train(products, run, config, resume="yes")  # type: ignore[arg-type]
    result = train(products, run, changed(config, lr=0.01), resume="auto")
    assert (result.loop.began, result.loop.steps, result.config.optim.lr) == (5, 8, 0.01)


def test_a_finished_run_keeps_thresholds_of_the_users_own(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    from arcwise.bundle import add_thresholds, read_bundle

    run = shutil.copytree(trained.folder, tmp_path / "run")
    own = read_bundle(run / "model").thresholds[:1]
    add_thresholds(run / "model", own, measured_on="my shop", digests=[])
    again = train(known, run, trained.config, resume="auto")
    assert again.thresholds == own
    assert read_bundle(run / "model").measured_on == "my shop"
    assert again.loop.began == again.loop.steps == 30


def test_stopped_while_thresholds_were_measured(
    run: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr("arcwise.evaluation.calibrate", stop)
        patched.setattr("arcwise.training.validation.validate", None)
        patched.setattr("arcwise.training.run_logger.RunLogger.validate", lambda self: None)
        status, out, _ = tried(run, "--resume")
    assert (status, "stopped after the last step" in out) == (143, True)
    status, out, _ = tried(run, *shlex.split(out.splitlines()[-1].partition("train ")[2])[1:])
    assert (status, "the thresholds rest on" in out) == (0, True)


def test_a_run_whose_checkpoints_are_gone_is_not_begun_again(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.folder, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    model = (run / "model" / "model.json").read_bytes()
    with pytest.raises(ArcwiseError, match="has ended, without a checkpoint"):
        train(known, run, trained.config, resume="auto")
    assert (run / "model" / "model.json").read_bytes() == model


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    run: Path, tried: Tried
) -> None:
    shutil.rmtree(run / "checkpoints")
    status, _, _ = tried(run, "--resume", "auto")  # with the fields of the run that was
    assert (status, losses(run)) == (0, list(range(1, 9)))
    assert json.loads((run / "config.json").read_text())["config"]["encoder"]["dim"] == 8


@pytest.mark.parametrize("how", ["", "--resume", "--resume auto"])
def test_two_runs_into_one_folder(how: str, run: Path, tried: Tried) -> None:
    before = (run / "config.json").read_bytes()
    with locked(run, "a training"):
        status, _, err = tried(run, *how.split())
    assert (status, err.count("\n")) == (2, 1)
    assert "a training is under way there already" in err
    assert (run / "config.json").read_bytes() == before
    assert losses(run) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("more", ["", "--run.checkpoint-every 2", "--optim.name adamw"])
def test_the_advice_after_a_nan_works_as_printed(
    more: str, tmp_path: Path, tried: Tried, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a run"
    status, _, err = tried(run, *WORDS.split(), "--lr", "1e7", "--optim.warmup", "0", *more.split())
    assert (status, err.count("\n")) == (2, 1)
    assert " finite" in err or " is nan" in err
    assert "lower --lr to" in err
    advised = shlex.split(err.partition("For example: ")[2])
    assert advised[:2] == ["arcwise", "train"]
    assert main(advised[1:]) == 0
    assert losses(run) == list(range(1, 9))


def test_a_nan_before_any_update_is_not_the_learning_rates(tmp_path: Path, tried: Tried) -> None:
    words = [*WORDS.split(), "--scale", "1e38"]
    words += ["--objective.margin-from", "0", "--objective.margin-full", "0"]
    status, _, err = tried(tmp_path / "run", *words)
    assert status == 2
    assert "not --lr" in err


@pytest.mark.parametrize("how", ["--resume", "--resume auto"])
def test_a_run_of_before_there_were_sections(how: str, run: Path, tried: Tried) -> None:
    saved = json.loads((run / "config.json").read_text())
    saved["data"]["pictures"] = saved["data"].pop("images")
    saved["config"] = {"encoder": "small", "dim": 8, "steps": 8, "loss": "arcface", "margin": 0.35}
    (run / "config.json").write_text(json.dumps(saved))
    status, _, err = tried(run, *how.split())
    assert (status, err.count("\n")) == (2, 1)
    assert "an older Arcwise" in err


def test_stopped_after_the_last_step(
    products: Path, tmp_path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is there, and it is said; the same words make the thresholds and the report."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as pressed:
        pressed.setattr("arcwise.verbs.train.set_thresholds", press)
        status, out, _ = tried(run, *WORDS.split())
    last = out.splitlines()[-1]
    assert (status, "go on with" in last) == (130, False)
    assert f"{run / 'model'} is there" in last
    again = shlex.split(last.rpartition("made by: ")[2])
    assert again[:2] == ["arcwise", "train"]
    assert main(again[1:]) == 0
    assert read_bundle(run / "model").thresholds
