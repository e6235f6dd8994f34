"""Any whole number from 0 is a seed, in every command and in Python; others are one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.verbs.seed import check_seed

TRAIN = "--size 16 --dim 8 --steps 2 --batch 8 --data.workers 0 --holdout 0"
COMMANDS = {
    "train": "train {data} --out {out}/run " + TRAIN,
    "evaluate": "evaluate {out}/model {data} --out {out}/e",
    "calibrate": "calibrate {out}/model {data}",
    "data pairs": "data pairs {data} {out}/p.csv --pairs 20 --folds 2",
    "data views": "data views {data} {out}/v.png --size 16",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_in_every_command(
    command: str, served: Path, products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(served, tmp_path / "model")
    words = COMMANDS[command].format(data=products, out=tmp_path).split()
    assert main([*words, "--seed", str(2**64 + 1)]) == 0
    capsys.readouterr()
    assert main([*words, "--seed", "-1"]) == 2
    assert "-1; expected" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [0, 2**63, 2**64, 10**100, np.int64(3), np.uint64(2**64 - 1)])
def test_in_python(seed: int) -> None:
    check_seed(seed)
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    evaluation.calibrate(vectors, np.repeat(np.arange(5), 4), seed=seed)


@pytest.mark.parametrize("seed", [-1, -(2**70), 1.0, True, "1", None])
def test_no_seed(seed: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ArcwiseError, match=f"seed is {seed!r}; expected a whole number from 0"):
        evaluation.calibrate(vectors, np.repeat(np.arange(5), 4), seed=seed)
