from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest
import torch

from arcwise import encoders, recipes
from arcwise.errors import ArcwiseError
from arcwise.recipes import RECIPES, best_for_products, recipe
from arcwise.training import build
from arcwise.training.config import TrainConfig
from tests import pictures
from tests.settings import changed
from tests.training import runs


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_complete_config_that_survives_json(name):
    config = recipe(name)
    assert isinstance(config, TrainConfig)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_an_encoder_there_is_and_pictures_that_can_be_prepared(name):
    config = recipe(name)
    assert config.encoder.name in encoders.NAMES
    assert build.preparation(config.encoder).height == config.encoder.size


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_given_twice_is_the_same(name):
    assert recipe(name) == recipe(name)


@pytest.mark.parametrize(
    ("asked", "suggested"), [("product", "'products'"), ("casia-resnet-50", "'casia-resnet50'")]
)
def test_an_unknown_recipe_is_an_error_with_a_suggestion(asked, suggested):
    with pytest.raises(ArcwiseError, match=f"did you mean {suggested}"):
        recipe(asked)


def test_an_unknown_recipe_like_no_other_lists_them_all():
    with pytest.raises(ArcwiseError, match=f"known: {', '.join(RECIPES)}"):
        recipe("qqqq")


@pytest.mark.parametrize(
    ("encoder", "init", "weights", "name"),
    [
        ("", "", True, "products-last-blocks"),
        ("", "", False, "products-small"),
        ("small", "", True, "products-small"),
        ("small", "runs/before", True, "products-small"),
        ("", "runs/before", True, "products-small"),
        ("vit_small_14", "", True, "products-small"),
        ("vit_small_14", "dinov2.pth", False, "products-finetuned"),
        ("timm:convnext_tiny", "pretrained", False, "products-finetuned"),
        ("onnx", "imported", True, "products-frozen"),
    ],
)
def test_products_is_the_recipe_for_the_start(encoder, init, weights, name, monkeypatch):
    monkeypatch.setattr(recipes, "installed", lambda _: weights or None)
    assert best_for_products(encoder, init)[0] == name


def test_products_is_that_recipe_without_a_start_of_its_own(monkeypatch):
    for weights, name in ((True, "products-last-blocks"), (False, "products-small")):
        monkeypatch.setattr(recipes, "installed", lambda _, there=weights: there or None)
        assert recipe("products") == recipe(name)


def test_casia_resnet50_has_the_paper_s_numbers():
    """ArcFace (arXiv 1801.07698), section 3.1, and the mirror image its only augmentation."""
    config = recipe("casia-resnet50")
    encoder, objective, optim = config.encoder, config.objective, config.optim
    assert (encoder.name, encoder.dim, encoder.size) == ("iresnet50", 512, 112)
    assert (objective.loss, objective.scale, objective.margin.m) == ("arcface", 64.0, 0.5)
    assert (objective.margin_from, objective.margin_full) == (0.0, 0.0)
    assert (config.run.steps, config.data.batch) == (32_000, 512)
    assert config.data.sampling == "shuffled"
    assert (optim.name, optim.lr, optim.head_lr, optim.warmup) == ("sgd", 0.1, 1.0, 0.0)
    assert (optim.momentum, optim.nesterov, optim.weight_decay) == (0.9, False, 5e-4)
    assert optim.schedule == "step"
    assert [share * config.run.steps for share in optim.milestones] == [20_000, 28_000]
    assert (optim.max_grad_norm, optim.ema_decay, config.data.cache_size) == (0.0, 0.0, 1.0)
    seen = config.data.augment
    assert (seen.flip, seen.zoom) == (0.5, 1.0)
    others = (
        seen.aspect, seen.rotation, seen.brightness, seen.contrast, seen.saturation, seen.hue,
        seen.cutout, seen.backdrop, seen.perspective, seen.blur, seen.low_resolution, seen.jpeg,
    )  # fmt: skip
    assert others == (0,) * 12


def shrunk(name):
    """A recipe's two first steps, small enough for one core."""
    return changed(
        recipe(name), steps=2, batch=4, images_per_set=1, size=48, workers=0, precision="fp32",
        cache_gb=0.1, log_every=1,
    )  # fmt: skip


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("products", "bisample")])
def test_a_recipe_trains(name, tmp_path):
    manifest = pictures.write(tmp_path / "data", identities=4, each=3)
    ages = manifest.table.append_column("age", pa.array(range(12)))
    manifest = replace(manifest, table=ages)
    result = runs.train(shrunk(name), manifest, tmp_path / "run")
    assert (result.finished, result.steps) == (True, 2)
    assert len(runs.rows(tmp_path / "run")) == 2
