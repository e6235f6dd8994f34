from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.split import hold_out
from arcwise.errors import ArcwiseError
from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from arcwise.verbs import compare as module
from arcwise.verbs import compare_training
from arcwise.verbs.compare import compare
from arcwise.verbs.compare_result import LossComparison, as_dict
from arcwise.verbs.compare_training import (
    ALIVE,
    Pace,
    SeedTraining,
    _train,
    prepared_images,
    small_images,
    train_all,
)
from arcwise.verbs.train import train

CONFIG = recipe("products-quick").replace(
    encoder={"size": 16, "train_crop": 0, "dim": 8},
    data={"batch": 8, "holdout": 0.5},
    run={"steps": 3},
)
OPTIONS: dict[str, Any] = {
    "losses": ("softmax", "arcface"), "scales": (8.0, 32.0), "seeds": 2, "budget": None,
    "far": 0.1,
}  # fmt: skip
WORDS = (
    "--losses softmax arcface --scales 8 32 --seeds 2 --far 0.1 --steps 3 --size 16 --dim 8 "
    "--batch 8 --holdout 0.5 --encoder.train-crop 0"
)


@pytest.fixture(scope="module")
def compared(products: Path, tmp_path_factory: pytest.TempPathFactory) -> LossComparison:
    out = tmp_path_factory.mktemp("compared") / "out"
    return compare(products, out, CONFIG, **OPTIONS, processes=1)


@pytest.fixture(scope="module")
def parts(products: Path) -> tuple[Manifest, Manifest, Manifest]:
    return hold_out(open_manifest(products), 0.5, 0)


def without_cost(result: LossComparison) -> dict[str, Any]:
    found = as_dict(result)
    for one in found["losses"].values():
        del one["seconds"], one["memory"]
    return found


def test_a_training_is_that_of_the_original_images(
    compared: LossComparison, parts: tuple[Manifest, Manifest, Manifest], tmp_path: Path
) -> None:
    config = CONFIG.with_loss("softmax").replace(data={"holdout": 0.0}, run={"seed": 1})
    result = train(parts[0], tmp_path / "run", config, page=False)
    model = runtime.load(result.model, runtime="torch")
    held_out = [*parts[1].images, *parts[2].images]
    expected = model.embed([parts[1].root / one for one in held_out])
    found = np.load(compared.folder / "trainings" / "softmax, seed 1" / "embeddings.npy")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_margins_and_scales_are_chosen_on_other_identities(
    compared: LossComparison, parts: tuple[Manifest, Manifest, Manifest]
) -> None:
    assert [one.variant.label for one in compared.tuned] == ["arcface s=8", "arcface s=32"]
    best = max(compared.tuned, key=lambda one: one.tar)
    assert [one.variant for one in compared.tuned if one.chosen] == [best.variant]
    assert compared.losses["arcface"].variant == best.variant
    assert compared.split == tuple(len(one.classes) for one in parts)
    assert compared.table.images == len(parts[2])


def test_the_table_is_that_of_the_embeddings(
    compared: LossComparison, parts: tuple[Manifest, Manifest, Manifest]
) -> None:
    rows = slice(len(parts[1]), None)
    folder = compared.folder / "trainings"
    labels = parts[2].labels
    different = labels[:, None] != labels
    for name, one in compared.losses.items():
        for seed, expected in enumerate(compared.table.recall_at_1.values[name]):
            path = folder / f"{one.variant.label}, seed {seed}" / "embeddings.npy"
            vectors = np.load(path)[rows]
            similarity = vectors @ vectors.T
            np.fill_diagonal(similarity, -2)
            nearest = similarity.argmax(axis=1)
            assert np.mean(~different[np.arange(len(labels)), nearest]) == pytest.approx(expected)


def test_another_number_of_processes_and_a_stop_change_nothing(
    compared: LossComparison, products: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(compared.folder, tmp_path / "out")
    shutil.rmtree(out / "trainings" / "softmax, seed 1")
    (out / "trainings" / "arcface s=8, seed 0" / "result.json").unlink()
    (out / "results.json").unlink()
    again = compare(products, out, CONFIG, **OPTIONS, processes=2)
    assert without_cost(again) == without_cost(compared)


def test_killed_and_gone_on_with(compared: LossComparison, products: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["compare", str(products), "--out", str(out), *WORDS.split(), "--processes", "2"]
    with subprocess.Popen([sys.executable, "-m", "arcwise", *words]) as child:
        until = time.monotonic() + 60
        while not list(out.glob("trainings/*/run/metrics.jsonl")) and time.monotonic() < until:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    done = json.loads((out / "compare.json").read_text())
    assert done["steps"] == 3
    time.sleep(2 * ALIVE)  # the training under way ends when its parent is gone
    again = compare(products, out, CONFIG, **OPTIONS, processes=1)
    assert without_cost(again) == without_cost(compared)


def test_a_stop_between_the_last_step_and_the_embeddings(
    parts: tuple[Manifest, Manifest, Manifest], tmp_path: Path
) -> None:
    """The process that goes on makes no step, and yet knows how long the steps took."""
    config = CONFIG.replace(data={"holdout": 0.0, "workers": 0}, run={"log_every": 1})
    images = small_images(config, parts[0], tmp_path / "images")
    prepared_images(config, (parts[1],), tmp_path / "pixels.npy")
    one = SeedTraining(tmp_path / "one", config, images, tmp_path / "pixels.npy")
    one.folder.mkdir()
    began = time.perf_counter()
    train(images, one.folder / "run", config, page=False)
    whole = time.perf_counter() - began
    train_all([one], 1)
    trained = compare_training.known_result(one.folder)
    assert trained is not None
    assert 0 < trained.seconds < whole


def test_what_cannot_be_read_is_counted(
    parts: tuple[Manifest, Manifest, Manifest], tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    for row in range(4):
        path = pictures / f"p{row // 2}" / f"{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parts[0].read(row))
    (pictures / "p1" / "2.jpg").write_bytes(parts[0].read(0)[:200])
    images = open_manifest(pictures)
    for _ in range(2):  # the second time they are there
        small = small_images(CONFIG, images, tmp_path / "small")
        assert small.identities == ["p0", "p0", "p1"]
        assert small.notes[-1] == "images that cannot be read and are left out: 1, such as p1/2.jpg"
    (held_out,) = prepared_images(CONFIG, [images], tmp_path / "held-out.npy")
    assert held_out.identities == ("p0", "p0", "p1")
    assert held_out.notes == small.notes[-1:]
    assert len(np.load(tmp_path / "held-out.npy")) == 3


def test_a_training_that_diverges_is_left_out(
    compared: LossComparison, parts: tuple[Manifest, Manifest, Manifest], tmp_path: Path
) -> None:
    config = CONFIG.replace(data={"holdout": 0.0}, optim={"lr": 1e30})
    images = small_images(config, parts[0], tmp_path / "images")
    trained = _train(SeedTraining(tmp_path / "t", config, images, compared.folder / "held-out.npy"))
    assert "not finite" in trained.failed or "nan" in trained.failed
    assert os.listdir(tmp_path / "t") == ["result.json"]


def stopped(*arguments: object) -> float:
    raise KeyboardInterrupt


def test_a_process_that_dies_is_an_error_that_says_why(
    parts: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compare_training, "_begin", os._exit)
    training = SeedTraining(tmp_path, CONFIG, parts[0], tmp_path)
    with pytest.raises(ArcwiseError, match=r"out of memory .*__main__"):
        train_all([training], 2)


def test_the_budget_is_turned_into_steps(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pace_of", lambda *arguments: Pace(0.1, 2.0))
    monkeypatch.setattr(module, "train_all", lambda trainings, *others: None)
    options = OPTIONS | {"scales": ()}
    with pytest.raises(ArcwiseError, match=r"4 trainings in 0\.1 minutes.*--budget 2"):
        compare(products, tmp_path / "a", CONFIG, **options | {"budget": 0.1}, processes=1)
    with monkeypatch.context() as patched:
        patched.setattr(module, "pace_of", stopped)
        with pytest.raises(KeyboardInterrupt):
            compare(products, tmp_path / "b", CONFIG, **options | {"budget": 10.0}, processes=2)
    with pytest.raises((AssertionError, FileNotFoundError)):  # nothing was trained
        compare(products, tmp_path / "b", CONFIG, **options | {"budget": 10.0}, processes=2)
    steps = json.loads((tmp_path / "b" / "compare.json").read_text())["steps"]
    assert 2900 <= steps <= 3000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": ("softmax", "arcfase")}, "did you mean 'arcface'"),
        ({"losses": ("softmax", "cosface")}, "baseline arcface"),
        ({"losses": ("softmax", "arcface", "softmax")}, "softmax is named twice"),
        ({"scales": (-1.0,)}, "scale"),
        ({"scales": (8.0, 0.0)}, "got 0, which leaves the scale"),
        ({"seeds": 0}, "0 seeds"),
    ],
)
def test_what_cannot_be_compared(
    change: dict[str, Any], message: str, products: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        compare(products, tmp_path / "out", CONFIG, **OPTIONS | change)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (CONFIG, {"seeds": 3}, "a comparison with seeds 2, got 3"),
        (CONFIG.replace(run={"steps": 4}), {}, "steps 3, got 4"),
        (CONFIG.replace(optim={"lr": 0.2}), {}, r"config\.optim\.lr 0\.1, got 0\.2"),
    ],
)
def test_a_folder_keeps_its_comparison(
    compared: LossComparison, products: Path,
    config: TrainConfig, change: dict[str, Any], message: str,
) -> None:  # fmt: skip
    with pytest.raises(ArcwiseError, match=message):
        compare(products, compared.folder, config, **OPTIONS | change)


def test_a_folder_of_something_else(products: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArcwiseError, match="no comparison"):
        compare(products, tmp_path, CONFIG, **OPTIONS)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]
