"""A column told by the length: from the recipe to a model that says it of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import arcwise
from arcwise.bundle import read_bundle
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from arcwise.training.metrics import read
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluate_files import as_dict
from arcwise.verbs.train import TrainResult, train
from tests.settings import changed


def config(column: str = "age", holdout: float = 0.4) -> TrainConfig:
    tiny = changed(
        recipe("age"), size=32, dim=16, steps=6, batch=16, workers=0, holdout=holdout, log_every=2
    )
    return tiny.replace(objective={"length": {"column": column}})


def with_ages(manifest: Manifest, ages: list[float | None] | list[str]) -> Manifest:
    return Manifest(
        manifest.table.append_column("age", pa.array(ages)), manifest.root, manifest.name
    )


@pytest.fixture(scope="module")
def told(known: Manifest, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A short run whose lengths are to tell how a product was turned."""
    return train(known, tmp_path_factory.mktemp("told") / "run", config("yaw"), page=False)


def test_the_term_is_in_the_log(told: TrainResult) -> None:
    rows = [row for row in read(told.folder / "metrics.jsonl") if "loss" in row]
    assert {"length/loss", "length/length", "length/correlation"} <= rows[-1].keys()
    assert told.config.objective.loss == "arcface+length"


def test_the_model_says_what_its_lengths_tell(told: TrainResult) -> None:
    bundle = read_bundle(told.model)
    line = bundle.length
    assert line is not None
    assert line == told.length
    assert line.column == "yaw"
    trained = np.array(told.parts.train.column("yaw"), float)  # a table of text
    assert (line.mean, line.std) == pytest.approx((trained.mean(), trained.std()), rel=1e-5)
    model = arcwise.load(told.model)
    assert told.parts.calibration is not None
    held_out = told.parts.calibration
    images = [held_out.read(row) for row in range(len(held_out))]
    estimates = model.estimate(images, batch_size=7)
    truth = np.array(held_out.column("yaw"), float)
    r2 = 1 - np.square(estimates - truth).sum() / np.square(truth - truth.mean()).sum()
    assert r2 >= line.r2
    assert model.estimate([]).shape == (0,)


def test_a_model_of_another_loss_says_nothing(trained: TrainResult, known: Manifest) -> None:
    with pytest.raises(ArcwiseError, match=r"arcface\+length"):
        arcwise.load(trained.model).estimate([known.read(0)])


@pytest.mark.parametrize(
    ("ages", "fact"),
    [
        (None, "no column 'age'"),
        (["old"] * 144, "holds text"),
        ([30.0] * 144, "30 in every row"),
        ([-1.0, 20.0] * 72, "such as -1"),
        ([1950.0, 20.0] * 72, "such as 1950"),
    ],
)
def test_what_is_wrong_is_said_before_there_is_a_folder(
    ages: list[float] | None, fact: str, known: Manifest, tmp_path: Path
) -> None:
    images = known if ages is None else with_ages(known, ages)
    with pytest.raises(ArcwiseError, match=fact) as caught:
        train(images, tmp_path / "run", config())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_with_nobody_held_out_there_is_no_line(known: Manifest, tmp_path: Path) -> None:
    result = train(known, tmp_path / "run", config("blur", holdout=0.0), page=False)
    assert read_bundle(result.model).length is None
    assert result.length is None
    with pytest.raises(ArcwiseError, match="--holdout"):
        arcwise.load(result.model).estimate([known.read(0)])


def test_one_image_is_no_list(told: TrainResult) -> None:
    with pytest.raises(ArcwiseError, match=r"estimate got one str.* estimate\(\[image\]\)"):
        arcwise.load(told.model).estimate("a.jpg")


def test_new_images_are_told_with_an_error(told: TrainResult, new: Manifest) -> None:
    result = evaluate(told.model, new, cached=False)
    found = result.estimate
    assert found is not None
    estimates = arcwise.load(told.model).estimate([new.read(row) for row in range(len(new))])
    truth = np.array(new.column("yaw"), float)
    assert (found.column, found.images) == ("yaw", len(new))
    assert found.error == pytest.approx(np.abs(estimates - truth).mean(), rel=1e-4)
    r2 = 1 - np.square(estimates - truth).sum() / np.square(truth - truth.mean()).sum()
    assert found.r2 == pytest.approx(r2, abs=1e-4)
    assert as_dict(result)["models"][0]["estimate"]["images"] == len(new)
    plain = Manifest(new.table.drop_columns(["yaw"]), new.root, new.name)
    assert evaluate(told.model, plain, cached=False).estimate is None
