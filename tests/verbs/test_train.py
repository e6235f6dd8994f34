"""A run folder holds everything about its run, and a model that knows its own error rates."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import arcwise
from arcwise.bundle import read_bundle
from arcwise.data.digests import identity_digest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.training.config import TrainConfig
from arcwise.training.metrics import read
from arcwise.verbs.enrol import enrol
from arcwise.verbs.search import search
from arcwise.verbs.train import TrainResult, train
from tests.settings import changed


def quick(config: TrainConfig, **changes: Any) -> TrainConfig:
    return changed(config, steps=2, batch=8, holdout=0.0, **changes)


def with_split(manifest: Manifest, splits: list[str]) -> Manifest:
    table = manifest.table.append_column("split", pa.array(splits, pa.string()))
    return Manifest(table, manifest.root, manifest.name)


def test_the_folder(trained: TrainResult) -> None:
    found = sorted(path.name for path in trained.folder.iterdir())
    wanted = ["checkpoints", "config.json", "last", "metrics.jsonl", "model", "report.html"]
    assert found == wanted
    assert trained.loop.finished
    assert trained.failures == ()
    assert trained.model == trained.folder / "model"
    steps = [row["step"] for row in read(trained.folder / "metrics.jsonl") if "loss" in row]
    assert steps == [5, 10, 15, 20, 25, 30]


def test_config_json_is_the_whole_run(trained: TrainResult, known: Manifest) -> None:
    saved = json.loads((trained.folder / "config.json").read_text())
    assert TrainConfig.from_dict(saved["config"]) == trained.config
    assert saved["config"]["run"]["precision"] in ("fp32", "bf16")  # resolved, not "auto"
    assert saved["config"]["run"]["seed"] == 0
    assert saved["versions"]["arcwise"] == arcwise.__version__
    assert {"python", "torch", "numpy"} <= saved["versions"].keys()
    assert saved["data"]["fingerprint"] == known.fingerprint()
    assert (saved["data"]["images"], saved["data"]["identities"]) == (144, 24)


def test_every_identity_has_one_use(trained: TrainResult, known: Manifest) -> None:
    for folder in (trained.model, trained.folder / "last"):
        digests = read_bundle(folder).digests
        assert [len(digests[use]) for use in ("train", "choose", "calibrate")] == [14, 5, 5]
        every = {digest for use in digests.values() for digest in use}
        assert every == {identity_digest(identity) for identity in known.classes}


def test_thresholds_are_in_the_model(trained: TrainResult) -> None:
    bundle = read_bundle(trained.model)
    assert bundle.thresholds == trained.thresholds
    assert [one.far for one in bundle.thresholds] == [0.1, 0.01, 0.001, 0.0001]
    assert {one.identities for one in bundle.thresholds} == {5}
    assert bundle.search_thresholds == ()  # 30 pictures resolve no rate
    assert read_bundle(trained.folder / "last").thresholds == ()


def test_the_kept_model_is_the_best_by_validation(trained: TrainResult) -> None:
    rows = [row for row in read(trained.folder / "metrics.jsonl") if "tar" in row]
    best = max(rows, key=lambda row: (row["recall_at_1"] + row["tar"], -row["step"]))
    made = read_bundle(trained.model).training
    assert made["step"] == best["step"] == trained.loop.best_step
    assert made["validation"]["recall_at_1"] == pytest.approx(best["recall_at_1"], rel=1e-5)
    assert read_bundle(trained.folder / "last").training["step"] == 30


def test_the_report(trained: TrainResult) -> None:
    assert trained.report == trained.folder / "report.html"
    page = trained.report.read_text()
    for title in ("The model kept", "Training", "Held-out identities", "The run", "Config"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<svg") == 2
    sure = [one for one in trained.thresholds if one.resolved]
    assert 0 < page.count("not resolved") == len(trained.thresholds) - len(sure)
    assert f"{sure[0].threshold:.4f}" in page
    assert "14 identities, 84 images" in page
    assert "Training on products" in page


def test_no_second_run_into_the_same_folder(trained: TrainResult, known: Manifest) -> None:
    before = (trained.folder / "config.json").read_bytes()
    with pytest.raises(ArcwiseError, match=r"there is a run already.*--resume"):
        train(known, trained.folder, quick(trained.config))
    assert (trained.folder / "config.json").read_bytes() == before


def test_a_folder_that_holds_something_else_is_no_run_folder(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(ArcwiseError, match="holds something that is no run"):
        train(known, tmp_path, quick(trained.config))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_mistake_before_the_first_step_does_not_block_the_folder(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match="nosuch"):
        train(known, tmp_path / "run", quick(trained.config, encoder={"name": "nosuch"}))
    result = train(known, tmp_path / "run", quick(trained.config))
    assert result.loop.finished


def test_resuming_wants_the_same_data(trained: TrainResult, known: Manifest, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match=r"not the data that .* was trained on \(products, 144"):
        train(new, trained.folder, trained.config, resume=True)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"data": {}, "config": {}}'])
def test_resuming_wants_a_run(
    trained: TrainResult, known: Manifest, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    said = "no run to resume" if content is None else "damaged"
    with pytest.raises(ArcwiseError, match=said):
        train(known, tmp_path, trained.config, resume=True)


def test_a_stopped_run_goes_on(trained: TrainResult, known: Manifest, tmp_path: Path) -> None:
    def press_ctrl_c(step: int, values: dict[str, float]) -> None:
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    config = changed(trained.config, steps=4, batch=8, log_every=1)
    stopped = train(known, tmp_path / "run", config, report=press_ctrl_c)
    assert (stopped.loop.finished, stopped.loop.steps) == (False, 1)
    assert (stopped.thresholds, stopped.report) == ((), None)
    rest = train(known, tmp_path / "run", config, resume=True)
    assert (rest.loop.finished, rest.loop.steps, rest.config) == (True, 4, stopped.config)
    assert read_bundle(rest.model).thresholds == rest.thresholds != ()
    assert [row["step"] for row in read(rest.folder / "metrics.jsonl") if "loss" in row] == [
        1, 2, 3, 4,
    ]  # fmt: skip


def test_without_held_out_identities_there_is_no_decision(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    result = train(known, tmp_path / "run", quick(trained.config))
    assert result.parts[1:] == (None, None)
    assert result.thresholds == read_bundle(result.model).thresholds == ()
    assert "set the thresholds</dt><dd>nobody" in (tmp_path / "run/report.html").read_text()
    enrol(tmp_path / "g", known.select(range(12)), model=result.model)
    found = search(tmp_path / "g", [known.select([0])])
    assert found.point is None
    assert found.answers[0].decision is None
    assert found.answers[0].hits[0].identity == known.identities[0]
    with pytest.raises(ArcwiseError, match=r"no threshold for FAR 0\.01; the model has none"):
        search(tmp_path / "g", [known.select([0])], far=0.01)


def test_rows_of_other_splits_are_left_alone(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    splits = np.where(known.labels < 10, "train", "test").tolist()
    announced: list[Any] = []
    result = train(
        with_split(known, splits),
        tmp_path / "run",
        quick(trained.config),
        announce=lambda *told: announced.append(told),
    )
    assert len(result.parts.train) == 60
    assert result.parts.train.notes == ("84 images of split 'test' are left alone",)
    assert announced == [(result.parts, result.config, ())]
    assert len(read_bundle(result.model).digests["train"]) == 10


def test_a_split_without_train_is_refused_and_an_empty_one_says_nothing(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match="split has test, val and no train"):
        train(with_split(known, ["test", "val"] * 72), tmp_path / "run", quick(trained.config))
    result = train(with_split(known, [""] * 144), tmp_path / "run", quick(trained.config))
    assert len(result.parts.train) == 144


def test_unreadable_pictures_are_counted_wherever_they_are(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    """One trained on, one that chooses, one that calibrates: none is skipped in silence."""
    parts = trained.parts
    lost = [part.images[0] for part in (parts.train, parts.validation, parts.calibration) if part]
    images = [image + ".gone" if image in lost else image for image in known.images]
    table = known.table.set_column(
        known.table.column_names.index("image"), "image", pa.array(images)
    )
    config = changed(trained.config, steps=12, batch=8)  # an epoch: every picture is met
    result = train(Manifest(table, known.root, "products"), tmp_path / "run", config)
    assert sorted(error.name for error in result.failures) == sorted(f"{one}.gone" for one in lost)
    page = (tmp_path / "run/report.html").read_text()
    assert "Images that could not be read" in page
    assert f"{lost[2]}.gone" in page


def test_what_cannot_be_trained_on(trained: TrainResult, known: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArcwiseError, match="a file; --out is the folder"):
        train(known, tmp_path / "file", quick(trained.config))
    with pytest.raises(ArcwiseError, match="got 1 identity"):
        train(known.select(range(6)), tmp_path / "run", quick(trained.config))
    vectors = Manifest(pa.table({"vector": [[1.0]], "identity": ["a"]}), tmp_path, "vectors")
    with pytest.raises(ArcwiseError, match="holds vectors"):
        train(vectors, tmp_path / "run", quick(trained.config))
    with pytest.raises(ArcwiseError, match="no such file or folder"):
        train(tmp_path / "none", tmp_path / "run", quick(trained.config))
    assert not (tmp_path / "run").exists()


def test_without_the_drawing_library_there_is_no_report(
    trained: TrainResult, known: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = train(known, tmp_path / "run", quick(trained.config))
    assert result.report is None
    assert not (tmp_path / "run/report.html").exists()
    assert read_bundle(result.model).training["step"] == 2


def test_the_same_seed_gives_the_same_model(
    trained: TrainResult, known: Manifest, tmp_path: Path
) -> None:
    runs = [train(known, tmp_path / name, quick(trained.config)) for name in "ab"]
    prints = {read_bundle(run.model).fingerprint for run in runs}
    assert len(prints) == 1
    shutil.rmtree(tmp_path / "a")
    other = train(known, tmp_path / "a", quick(trained.config, seed=1))
    assert read_bundle(other.model).fingerprint not in prints
