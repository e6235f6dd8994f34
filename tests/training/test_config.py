from __future__ import annotations

import dataclasses
import json
import math

import pytest

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError
from arcwise.training.config import TrainConfig


def test_a_config_survives_json():
    config = TrainConfig(
        encoder="mobilefacenet",
        mean=(1.0, 2.0, 3.0),
        loss="combined",
        margin="published",
        combined=(0.9, 0.4, 0.15),
        milestones=(0.25, 0.75),
        schedule="step",
        augment=Augment(zoom=0.7, cutout=0.1),
        flip_tta=False,
        seed=7,
    )
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_as_dict_has_every_field_and_every_field_of_the_augmentation():
    values = TrainConfig().as_dict()
    assert list(values) == [f.name for f in dataclasses.fields(TrainConfig)]
    assert list(values["augment"]) == [f.name for f in dataclasses.fields(Augment)]


def test_fields_that_are_not_given_keep_their_defaults():
    assert TrainConfig.from_dict({"lr": 0.3}) == TrainConfig(lr=0.3)


def test_a_config_of_before_there_was_an_operation_does_without_it():
    values = TrainConfig(augment=Augment(zoom=0.7)).as_dict()
    for name in ("perspective", "blur", "low_resolution", "jpeg"):
        assert values["augment"].pop(name) == 0
    assert TrainConfig.from_dict(values) == TrainConfig(augment=Augment(zoom=0.7))


def test_from_dict_leaves_its_argument_alone():
    values = TrainConfig().as_dict()
    before = json.dumps(values)
    TrainConfig.from_dict(values)
    assert json.dumps(values) == before


def test_replace_changes_the_named_fields_and_nothing_else():
    config = TrainConfig(seed=3)
    assert config.replace(steps=5) == TrainConfig(seed=3, steps=5)
    assert config == TrainConfig(seed=3)


@pytest.mark.parametrize(
    ("call", "suggestion"),
    [
        (lambda: TrainConfig().replace(leraning_rate=1, stesp=3), "'leraning_rate'"),
        (lambda: TrainConfig().replace(stesp=3), "'stesp'; did you mean 'steps'?"),
        (lambda: TrainConfig.from_dict({"margn": 0.5}), "'margn'; did you mean 'margin'?"),
        (
            lambda: TrainConfig.from_dict({"augment": {"rotaton": 0.5}}),
            "'rotaton'; did you mean 'rotation'?",
        ),
        (lambda: TrainConfig.from_dict({"qqq": 1}), "'qqq'; known: encoder, init"),
    ],
)
def test_an_unknown_field_is_an_error_with_a_suggestion(call, suggestion):
    with pytest.raises(ArcwiseError) as caught:
        call()
    assert suggestion in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "got", "expected"),
    [
        ({"loss": "arcfase"}, "loss='arcfase'", "cosface, arcface"),
        ({"gradient": "straight"}, "gradient='straight'", "exact, detached"),
        ({"resize": "squash"}, "resize='squash'", "stretch, crop, pad"),
        ({"colour": "grb"}, "colour='grb'", "rgb, bgr"),
        ({"sampling": "even"}, "sampling='even'", "shuffled, windowed, balanced"),
        ({"optimiser": "adam"}, "optimiser='adam'", "sgd, adamw"),
        ({"schedule": "linear"}, "schedule='linear'", "cosine, step"),
        ({"precision": "fp16"}, "precision='fp16'", "auto, fp32, bf16"),
        ({"device": "gpu"}, "device='gpu'", "auto, cpu, cuda"),
        ({"steps": 0}, "steps=0", "at least 1"),
        ({"batch": 1}, "batch=1", "at least 2"),
        ({"size": 8}, "size=8", "at least 16"),
        ({"workers": -1}, "workers=-1", "at least 0"),
        ({"canvas": 0.9}, "cache_size=0.9", "at least 1"),
        ({"max_grad_norm": math.nan}, "max_grad_norm=nan", "a finite number"),
        ({"max_grad_norm": -1.0}, "max_grad_norm=-1.0", "at least 0"),
        ({"margin": -0.5}, "margin=-0.5", "at least 0"),
        ({"margin": "paper"}, "margin='paper'", "a finite number or published"),
        ({"margin": math.nan}, "margin=nan", "a finite number or published"),
        ({"combined": (1.0, 0.3)}, "combined=(1.0, 0.3)", "three numbers"),
        ({"combined": (1.0, 0.3, "x")}, "combined=(1.0, 0.3, 'x')", "three numbers"),
        ({"sv_t": 0.9}, "sv_t=0.9", "at least 1"),
        ({"interclass_filter": 1.5}, "interclass_filter=1.5", "from 0 to 1"),
        ({"interclass_filter": -0.1}, "interclass_filter=-0.1", "at least 0"),
        ({"subcentres": 0}, "subcentres=0", "at least 1"),
        ({"sample_rate": 0.0}, "sample_rate=0.0", "over 0, at most 1"),
        ({"sample_rate": 1.1}, "sample_rate=1.1", "over 0, at most 1"),
        ({"softmax": "sparse"}, "softmax='sparse'", "auto, dense, streaming"),
        ({"gradient_products": "fp16"}, "gradient_products='fp16'", "fp32, bf16"),
        ({"centre_step": "swepped"}, "centre_step='swepped'", "ordinary, swept"),
        ({"momentum": 1.0}, "momentum=1.0", "under 1"),
        ({"average": 1.0}, "ema_decay=1.0", "under 1"),
        ({"holdout": 1.0}, "holdout=1.0", "under 1"),
        ({"warmup": -0.1}, "warmup=-0.1", "0 or more"),
        ({"lr": 0.0}, "lr=0.0", "over 0"),
        ({"lr": math.inf}, "lr=inf", "finite"),
        ({"scale": math.inf}, "scale=inf", "finite"),
        ({"head_lr": 0}, "head_lr=0", "over 0"),
        ({"steps": 8.5}, "steps=8.5", "a whole number"),
        ({"steps": "100"}, "steps='100'", "a whole number"),
        ({"lr": "fast"}, "lr='fast'", "a finite number"),
        ({"nesterov": "yes"}, "nesterov='yes'", "true or false"),
        ({"steps": True}, "steps=True", "a whole number"),
        ({"encoder": 18}, "encoder=18", "a text"),
        ({"milestones": (20_000, 28_000)}, "milestones=(20000, 28000)", "shares of the steps"),
        ({"margin_from": 0.5}, "margin_from=0.5", "margin_full=0.0"),
        (
            {"sampling": "balanced", "batch": 10, "images_per_identity": 4},
            "batch=10",
            "a multiple of images_per_identity=4",
        ),
        (
            {"sampling": "balanced", "domain_balance": 0.125},
            "domain_balance=0.125",
            "0 where sampling=balanced",
        ),
    ],
)
def test_a_bad_value_is_refused_with_what_was_got_and_expected(bad, got, expected):
    with pytest.raises(ArcwiseError) as caught:
        TrainConfig.from_dict(bad)
    assert got in str(caught.value)
    assert expected in str(caught.value)


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
        ({"max_grad_norm": 5.0, "centre_optimiser": "fused"}, "max_grad_norm=5.0; expected 0 with .*=ordinary"),
        ({"optim": {"name": "adamw"}, "centre_optimiser": "fused"}, "name='adamw'.* sgd .*=ordinary"),
        ({"softmax": "dense", "centre_optimiser": "fused"}, "softmax='dense'.*=ordinary"),
        ({"loss": "softmax", "centre_optimiser": "fused"}, "centre_step='swept'; expected ordinary"),
        ({"loss": "softmax", "subcentres": 3}, "subcentres=3; expected 1 for loss=softmax"),
        ({"loss": "softmax", "softmax": "dense"}, "softmax='dense'; expected auto for loss"),
        ({"sample_rate": 0.1}, "sample_rate=0.1; .*or centre_step=swept"),
        ({"logq_correction": True}, "logq_correction=True; expected false"),
        ({"softmax": "dense", "gradient_products": "bf16"}, "gradient_products='bf16'.*streaming"),
        ({"loss": "sphereface"}, "m=0.5; expected 1 or more, or margin=published for 1.35"),
        ({"loss": "adaface", "margin": 2}, "AdaFace: m=2; .* or margin=published for 0.4"),
        ({"loss": "magface"}, "margin=0.5; expected margin=published, .*0.45 to 0.8"),
        ({"loss": "combined"}, "margin=0.5; expected margin=published, .*field combined"),
        (
            {"loss": "combined", "margin": "published", "combined": (0, 0.3, 0.2)},
            "Combined: m1=0; expected a factor above 0",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line_that_says_what_does(bad, message):
    with pytest.raises(ArcwiseError, match=message) as caught:
        TrainConfig.from_dict(bad)
    assert str(caught.value).startswith("training config: ")
    assert "\n" not in str(caught.value)


def test_a_whole_number_will_do_where_a_number_is_expected():
    assert TrainConfig.from_dict({"lr": 1, "scale": 64}).lr == 1


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1.0
