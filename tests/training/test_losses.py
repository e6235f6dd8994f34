"""Every loss by its name: which numbers it trains with, and that it trains."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from arcwise.data.augment import Augment
from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    NormSoftmax,
    SphereFace,
    SupportVector,
)
from arcwise.recipes import recipe
from arcwise.training import losses
from arcwise.training.losses import Loss, described
from tests.training import runs

PUBLISHED = {
    "normsoftmax": NormSoftmax(),
    "sphereface": SphereFace(1.35),
    "cosface": CosFace(0.35),
    "arcface": ArcFace(0.5),
    "combined": Combined(1.0, 0.3, 0.2),
    "adaface": AdaFace(0.4, 0.333),
    "magface": MagFace(10, 110, 0.45, 0.8, 35),
    "curricularface": CurricularFace(0.5),
    "elasticface": ElasticFace(0.5, 0.0125),
}
SLOPED = {"sphereface", "arcface", "combined", "adaface", "magface", "curricularface"}
SLOPED |= {"elasticface"}


def test_every_name_is_known():
    assert get_args(Loss) == ("softmax", *PUBLISHED)


@pytest.mark.parametrize("loss", PUBLISHED)
def test_published_is_the_paper_s_margin(loss):
    assert losses.margin(runs.config(loss=loss, margin="published")) == PUBLISHED[loss]


@pytest.mark.parametrize("loss", sorted(SLOPED))
def test_every_angular_one_has_the_slope_asked_for(loss):
    found = losses.margin(runs.config(loss=loss, margin="published", gradient="detached"))
    assert found.gradient == "detached"


@pytest.mark.parametrize("loss", sorted(PUBLISHED.keys() - {"normsoftmax", "combined", "magface"}))
def test_a_margin_given_is_the_loss_s_m(loss):
    assert losses.margin(runs.config(loss=loss, margin=1.2)).m == 1.2


def test_the_combined_margin_has_its_three_numbers():
    config = runs.config(loss="combined", margin="published", combined=(0.9, 0.4, 0.15))
    assert losses.margin(config) == Combined(0.9, 0.4, 0.15)


def test_sv_t_and_the_filter_go_around_any_margin():
    config = runs.config(loss="cosface", margin=0.3, sv_t=1.2, interclass_filter=0.4)
    expected = Filtered(SupportVector(CosFace(0.3), 1.2), 0.4, "exclude")
    assert losses.margin(config) == expected
    assert losses.margin(config.replace(sv_t=1.0)) == Filtered(
        CosFace(0.3), 0.4, "exclude"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("products", ArcFace(0.35)), ("casia-resnet50", ArcFace(0.5))],
)
def test_a_recipe_s_margin_is_what_it_was(name, expected):
    assert losses.margin(recipe(name)) == expected


def test_a_description_has_the_formula_and_all_its_numbers():
    config = runs.config(
        loss="cosface", margin=0.3, subcentres=3, sample_rate=0.1, centre_optimiser="fused",
        sv_t=1.2, softmax="streaming",
    )  # fmt: skip
    assert described(config, 100) == (
        "SupportVector(margin=CosFace(m=0.3), t=1.2), scale 16, 3 sub-centres a class, "
        "0.1 of the classes a step, streaming softmax, centres moved in the sweep"
    )
    growing = runs.config(margin_full=0.3, gradient_products="bf16")
    assert described(growing, 100).endswith(
        "scale 16, gradient products in bf16, the margin growing to full strength"
    )
    assert described(runs.config(scale=0.0), 100).endswith("scale 16.25")
    assert "linear" in described(runs.config(loss="softmax"), 100)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_trains(loss, patterns, tmp_path):
    """With its whole margin and swept centres; the same pictures again and again are learnt."""
    still = Augment(zoom=1, aspect=0, rotation=0, flip=0, brightness=0, contrast=0, saturation=0)
    config = runs.config(
        loss=loss, margin="published", steps=4, batch=24, lr=0.02, warmup=0.0, ema_decay=0.0,
        augment=still, centre_step="ordinary" if loss == "softmax" else "swept",
        checkpoint_every=100,
    )  # fmt: skip
    runs.train(config, patterns, tmp_path)
    found = [row["loss"] for row in runs.rows(tmp_path)]
    assert all(math.isfinite(loss) for loss in found)
    assert found[-1] < found[0], found
