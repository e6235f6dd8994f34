from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, Combined
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    StageConfig,
    TrainConfig,
)
from arcwise.training.config_file import read_config
from arcwise.training.loss_terms import IntraConfig
from arcwise.training.losses import CentresConfig
from tests.settings import changed

SECTIONS = (EncoderConfig, CentresConfig, DataConfig, OptimConfig, RunConfig)
MANY = TrainConfig(
    encoder=EncoderConfig(name="mobilefacenet", mean=(1.0, 2.0, 3.0), flip_tta=False),
    objective=CentresConfig(margin=Combined(0.9, 0.4, 0.15), intra=IntraConfig(weight=0.5)),
    data=DataConfig(augment=Augment(zoom=0.7, cutout=0.1)),
    optim=OptimConfig(milestones=(0.25, 0.75), schedule="step"),
    run=RunConfig(seed=7, split_seed=3, steps=30),
    stages=(
        StageConfig(steps=10, where={"domain": ("studio", "shelf")}),
        StageConfig(steps=20, objective=CentresConfig(), optim=OptimConfig(lr=0.01)),
    ),
)


def test_a_config_survives_json():
    assert TrainConfig.from_dict(json.loads(json.dumps(MANY.as_dict()))) == MANY


@pytest.mark.parametrize("ending", [".json", ".yaml"])
def test_a_config_survives_a_file(ending, tmp_path):
    path = tmp_path / f"run{ending}"
    path.write_text(json.dumps(MANY.as_dict()))  # which YAML is too
    assert read_config(path).over(TrainConfig()) == MANY


def test_as_dict_has_every_field_of_every_section():
    values = TrainConfig().as_dict()
    assert list(values) == [f.name for f in dataclasses.fields(TrainConfig)]
    for kind, name in zip(SECTIONS, values, strict=False):
        terms = {"triplet", "contrastive", "circle", "supervised_contrastive", "set_triplet"}
        terms |= {"intra", "inter", "centre", "length"} if kind is CentresConfig else set()
        there = {f.name for f in dataclasses.fields(kind)} - terms
        there -= {
            "colour",
            "mean",
            "std",
            "alignment",
        }  # open, until the weights that a run starts from say
        assert set(values[name]) - {"loss"} == there
    assert list(values["data"]["augment"]) == [f.name for f in dataclasses.fields(Augment)]
    assert values["objective"]["margin"] == {
        "m": 0.5, "gradient": "exact", "beyond": "monotone",
    }  # fmt: skip


def test_fields_that_are_not_given_keep_their_defaults():
    assert TrainConfig.from_dict({"optim": {"lr": 0.3}}) == TrainConfig(optim=OptimConfig(lr=0.3))


def test_a_config_of_before_there_was_an_operation_does_without_it():
    config = TrainConfig(data=DataConfig(augment=Augment(zoom=0.7)))
    values = config.as_dict()
    for name in ("perspective", "blur", "low_resolution", "jpeg"):
        assert values["data"]["augment"].pop(name) == 0
    assert TrainConfig.from_dict(values) == config


def test_from_dict_leaves_its_argument_alone():
    values = MANY.as_dict()
    before = json.dumps(values)
    TrainConfig.from_dict(values)
    assert json.dumps(values) == before


def test_replace_changes_the_named_fields_and_nothing_else():
    config = TrainConfig(run=RunConfig(seed=3))
    assert config.replace(run={"steps": 5}) == TrainConfig(run=RunConfig(seed=3, steps=5))
    assert config == TrainConfig(run=RunConfig(seed=3))


def test_epochs_become_steps_and_either_replaces_the_other():
    config = TrainConfig().replace(run={"epochs": 1.5}, data={"batch": 10})
    assert config.run.steps == 0
    assert config.with_steps(101).run == RunConfig(steps=16)
    assert config.replace(run={"steps": 3}).run == RunConfig(steps=3)
    assert TrainConfig().with_steps(101) == TrainConfig()


def test_a_stage_names_only_what_changes():
    stages = [{"steps": 5}, {"steps": 6, "optim": {"lr": 0.01}, "where": {"domain": ["studio"]}}]
    config = TrainConfig().replace(optim={"momentum": 0.8}, stages=stages)
    assert config.run.steps == 11
    first, second = config.stage(0), config.stage(1)
    assert (first.optim.lr, first.run.steps, first.stages) == (0.1, 5, ())
    assert (second.optim.lr, second.optim.momentum, second.run.steps) == (0.01, 0.8, 6)
    assert config.stages[1].where == {"domain": ("studio",)}


def test_a_stage_may_have_a_loss_between_samples():
    stages = [{"steps": 5}, {"steps": 6, "objective": {"loss": "triplet"}}]
    config = TrainConfig().replace(stages=stages)
    assert [config.stage(number).data.sampling for number in (0, 1)] == ["shuffled", "balanced"]


@pytest.mark.parametrize(
    ("values", "suggestion"),
    [
        ({"leraning_rate": 1, "stesp": 3}, "'leraning_rate'"),
        ({"run": {"stesp": 3}}, "'run.stesp'; did you mean 'steps'?"),
        ({"steps": 3}, "'steps'; did you mean 'run.steps'?"),
        ({"objective": {"margn": 0.5}}, "'objective.margn'; did you mean 'margin'?"),
        ({"objective": {"margin": {"q": 0.5}}}, "'objective.margin.q'; known: m, gradient"),
        ({"data": {"augment": {"rotaton": 0.5}}}, "rotaton'; did you mean 'rotation'?"),
        ({"stages": [{"steps": 1, "optim": {"rl": 1}}]}, "stages[0]: unknown field 'optim.rl'"),
        ({"qqq": 1}, "'qqq'; known: encoder, objective"),
    ],
)
def test_an_unknown_field_is_an_error_with_a_suggestion(values, suggestion, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(values))
    calls = {
        "from_dict": lambda: TrainConfig.from_dict(values),
        "replace": lambda: TrainConfig().replace(**values),
        "file": lambda: read_config(path).over(TrainConfig()),
    }
    for name, call in calls.items():
        with pytest.raises(ArcwiseError, match=re.escape(suggestion)) as caught:
            call()
        assert (str(path) in str(caught.value)) == (name == "file")
    with pytest.raises(ArcwiseError, match=r"'optim\.rl'"):
        OptimConfig(rl=1)


@pytest.mark.parametrize(
    ("bad", "got", "expected"),
    [
        ({"loss": "arcfase"}, "loss='arcfase'", "'arcface'"),
        ({"resize": "squash"}, "encoder.resize='squash'", "stretch, crop, pad"),
        ({"colour": "grb"}, "encoder.colour='grb'", "rgb, bgr"),
        ({"sampling": "even"}, "data.sampling='even'", "shuffled, windowed, balanced"),
        ({"optim": {"name": "adam"}}, "optim.name='adam'", "sgd, adamw"),
        ({"schedule": "linear"}, "optim.schedule='linear'", "cosine, step"),
        ({"precision": "fp16"}, "run.precision='fp16'", "auto, fp32, bf16"),
        ({"device": "gpu"}, "run.device='gpu'", "auto, cpu, cuda"),
        ({"steps": 0}, "run.steps=0", "at least 1"),
        ({"steps": 3, "epochs": 2}, "run.steps=3", "0 with run.epochs=2"),
        ({"batch": 1}, "data.batch=1", "at least 2"),
        ({"size": 8}, "encoder.size=8", "at least 16"),
        ({"workers": -1}, "data.workers=-1", "at least 0"),
        ({"cache_size": 0.9}, "data.cache_size=0.9", "at least 1"),
        ({"max_grad_norm": math.nan}, "optim.max_grad_norm=nan", "a finite number"),
        ({"max_grad_norm": -1.0}, "optim.max_grad_norm=-1.0", "at least 0"),
        ({"m": -0.5}, "m=-0.5", "0 to 3.142"),
        ({"m": "paper"}, "m='paper'", "0 to 3.142"),
        ({"m": math.nan}, "m=nan", "0 to 3.142"),
        ({"margin": {"gradient": "straight"}}, "gradient='straight'", "detached"),
        ({"margin": 0.5}, "objective.margin=0.5", "fields by name"),
        ({"sv_t": 0.9}, "objective.sv_t=0.9", "at least 1"),
        ({"interclass_filter": 1.5}, "objective.interclass_filter=1.5", "at most 1"),
        ({"interclass_filter": -0.1}, "objective.interclass_filter=-0.1", "at least 0"),
        ({"subcentres": 0}, "objective.subcentres=0", "at least 1"),
        ({"sample_rate": 0.0}, "objective.sample_rate=0.0", "over 0"),
        ({"sample_rate": 1.1}, "objective.sample_rate=1.1", "at most 1"),
        ({"softmax": "sparse"}, "objective.softmax='sparse'", "auto, dense, streaming"),
        ({"gradient_products": "fp16"}, "gradient_products='fp16'", "fp32, bf16"),
        ({"centre_optimiser": "fuzed"}, "centre_optimiser='fuzed'", "ordinary, fused"),
        ({"momentum": 1.0}, "optim.momentum=1.0", "under 1"),
        ({"ema_decay": 1.0}, "optim.ema_decay=1.0", "under 1"),
        ({"holdout": 1.0}, "data.holdout=1.0", "under 1"),
        ({"warmup": -0.1}, "optim.warmup=-0.1", "at least 0"),
        ({"lr": 0.0}, "optim.lr=0.0", "over 0"),
        ({"lr": math.inf}, "optim.lr=inf", "finite"),
        ({"scale": math.inf}, "objective.scale=inf", "finite"),
        ({"head_lr": 0}, "optim.head_lr=0", "over 0"),
        ({"steps": 8.5}, "run.steps=8.5", "a whole number"),
        ({"steps": "100"}, "run.steps='100'", "a whole number"),
        ({"lr": "fast"}, "optim.lr='fast'", "a finite number"),
        ({"nesterov": "yes"}, "optim.nesterov='yes'", "true or false"),
        ({"steps": True}, "run.steps=True", "a whole number"),
        ({"encoder": {"name": 18}}, "encoder.name=18", "a text"),
        ({"mean": (1.0, 2.0)}, "encoder.mean[2]", "missing"),
        ({"milestones": (20_000, 28_000)}, "optim.milestones[0]=20000", "under 1"),
        ({"margin_from": 0.5}, "objective.margin_from=0.5", "objective.margin_full=0.0"),
        (
            {"sampling": "balanced", "batch": 10, "images_per_identity": 4},
            "data.batch=10",
            "a multiple of data.images_per_identity=4",
        ),
        (
            {"sampling": "balanced", "domain_balance": 0.125},
            "data.domain_balance=0.125",
            "0 where data.sampling=balanced",
        ),
        ({"stages": [{"steps": 0}]}, "stages[0]: steps=0", "at least 1"),
        ({"stages": [{}]}, "stages[0]: steps", "missing"),
        ({"stages": [{"steps": 3}], "steps": 4}, "run.steps=4", "3, the steps of its stages"),
        (
            {"stages": [{"steps": 3, "data": {"holdout": 0.5}}]},
            "stages[0].data.holdout=0.5",
            "0.2, as of the whole run",
        ),
    ],
)
def test_a_bad_value_is_refused_with_what_was_got_and_expected(bad, got, expected):
    with pytest.raises(ArcwiseError) as caught:
        changed(TrainConfig(), **bad)
    assert got in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "got", "expected"),
    [
        ({"zoom": 0.0}, "zoom=0.0", "over 0, at most 1"),
        ({"zoom": 1.5}, "zoom=1.5", "over 0, at most 1"),
        ({"flip": 1.1}, "flip=1.1", "0 to 1"),
        ({"cutout": -0.1}, "cutout=-0.1", "0 to 1"),
        ({"rotation": -0.1}, "rotation=-0.1", "at least 0"),
        ({"hue": math.nan}, "hue=nan", "at least 0"),
        ({"perspective": 1.0}, "perspective=1.0", "0 or more, under 1"),
        ({"perspective": math.nan}, "perspective=nan", "0 or more, under 1"),
        ({"blur": 1.5}, "blur=1.5", "a probability, 0 to 1"),
        ({"low_resolution": -1.0}, "low_resolution=-1.0", "a probability, 0 to 1"),
        ({"jpeg": math.inf}, "jpeg=inf", "a probability, 0 to 1"),
    ],
)
def test_a_bad_augmentation_is_refused_with_what_was_got_and_expected(bad, got, expected):
    with pytest.raises(ArcwiseError) as caught:
        Augment(**bad)
    assert got in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            {"max_grad_norm": 5.0, "centre_optimiser": "fused"},
            "max_grad_norm=5.0; expected 0 with .*=ordinary",
        ),
        (
            {"optim": {"name": "adamw"}, "centre_optimiser": "fused"},
            "optim.name='adamw'.* sgd .*=ordinary",
        ),
        ({"softmax": "dense", "centre_optimiser": "fused"}, "softmax='dense'.*=ordinary"),
        ({"sample_rate": 0.1}, "sample_rate=0.1; .*or objective.centre_optimiser=fused"),
        ({"logq_correction": True}, "logq_correction=True; expected false"),
        ({"softmax": "dense", "gradient_products": "bf16"}, "gradient_products='bf16'.*streaming"),
        (
            {"loss": "arcface+intra", "centre_optimiser": "fused"},
            "ordinary with loss=arcface.intra",
        ),
        ({"loss": "arcface+inter", "subcentres": 3}, "subcentres=3; expected 1 with"),
        ({"loss": "sphereface", "m": 0.5}, "m=0.5; expected 1 or more"),
        ({"loss": "adaface", "m": 2}, "AdaFace: m=2; "),
        ({"loss": "combined", "margin": {"m1": 0}}, "Combined: m1=0; expected a factor above 0"),
    ],
)
def test_what_does_not_go_together_is_one_line_that_says_what_does(bad, message):
    with pytest.raises(ArcwiseError, match=message) as caught:
        changed(TrainConfig(), **bad)
    assert str(caught.value).startswith("training config: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scale", "subcentres", "centre_optimiser", "margin", "softmax"])
def test_the_plain_softmax_has_no_numbers_of_centres(name):
    with pytest.raises(ArcwiseError, match=f"unknown field 'objective.{name}'"):
        TrainConfig().replace(objective={"loss": "softmax", name: 1})


def test_a_whole_number_will_do_where_a_number_is_expected():
    values = {"optim": {"lr": 1}, "objective": {"scale": 64, "margin": {"m": 1}}}
    assert TrainConfig.from_dict(values).optim.lr == 1


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().optim.lr = 1.0


def test_a_number_with_an_exponent_is_one_in_yaml_too(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("optim: {lr: 1e-3}\nobjective:\n  loss: arcface\n  margin: {m: 0.4}\n")
    config = read_config(path).over(TrainConfig())
    assert (config.optim.lr, config.objective.margin) == (0.001, ArcFace(0.4))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "a: [1", "neither YAML nor JSON"),
        ("a.json", "{", "neither YAML nor JSON"),
        ("a.yaml", "3", "expected fields by name"),
        ("a.json", '{"config": {"encoder": "small", "lr": 0.1}}', "an older Arcwise"),
        ("a.yaml", "optim: {lr: 0}", "optim.lr=0; expected over 0"),
    ],
)
def test_a_file_that_is_no_config(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ArcwiseError, match=message) as caught:
        read_config(tmp_path / name).over(TrainConfig())
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArcwiseError, match="nowhere"):
        read_config(tmp_path / "nowhere.yaml")


def test_the_loss_is_suggested_for_a_mistyped_one() -> None:
    with pytest.raises(ArcwiseError, match="did you mean 'loss'"):
        TrainConfig().replace(objective={"los": "arcface"})
