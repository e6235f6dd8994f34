"""Every loss by its name: which numbers it trains with, and that it trains."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError
from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    DynamicArcFace,
    ElasticFace,
    Filtered,
    MagFace,
    NormSoftmax,
    SphereFace,
    SupportVector,
)
from arcwise.recipes import recipe
from arcwise.training import build
from arcwise.training.described_loss import described
from arcwise.training.losses import MARGINS
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
    "dynamicarcface": DynamicArcFace(0.05, 0.5, 0.25),
}
SLOPED = {"sphereface", "arcface", "combined", "adaface", "magface", "curricularface"}
SLOPED |= {"elasticface", "dynamicarcface"}


def test_every_name_is_known():
    assert list(MARGINS) == list(PUBLISHED)


@pytest.mark.parametrize("loss", PUBLISHED)
def test_another_loss_has_the_margin_of_its_paper(loss):
    assert runs.config(loss=loss).objective.margin == PUBLISHED[loss]


@pytest.mark.parametrize("loss", sorted(SLOPED))
def test_every_angular_one_has_the_slope_asked_for(loss):
    config = runs.config(loss=loss).replace(objective={"margin": {"gradient": "detached"}})
    assert build.margin(config.objective).gradient == "detached"


@pytest.mark.parametrize(
    "loss", sorted(PUBLISHED.keys() - {"normsoftmax", "combined", "magface", "dynamicarcface"})
)
def test_a_margin_given_is_the_loss_s_m(loss):
    assert build.margin(runs.config(loss=loss, m=1.0).objective).m == 1.0


@pytest.mark.parametrize("loss", PUBLISHED)
def test_every_number_of_every_margin_is_reachable(loss):
    """By the name that its dataclass has, as a mapping such as a file holds."""
    margin = PUBLISHED[loss]
    for name, value in vars(margin).items():
        if isinstance(value, float):
            changes = {"loss": loss, "margin": {name: value * 0.99}}
            found = runs.config().replace(objective=changes).objective.margin
            assert found == replace(margin, **{name: value * 0.99})


def test_the_combined_margin_has_its_three_numbers():
    margin = {"m1": 0.9, "m2": 0.4, "m3": 0.15}
    config = runs.config().replace(objective={"loss": "combined", "margin": margin})
    assert build.margin(config.objective) == Combined(0.9, 0.4, 0.15)


def test_hard_negatives_and_the_filter_go_around_any_margin():
    config = runs.config(loss="cosface", m=0.3, sv_t=1.2, interclass_filter=0.4)
    expected = Filtered(SupportVector(CosFace(0.3), 1.2), 0.4, "exclude")
    assert build.margin(config.objective) == expected
    plain = config.replace(objective={"sv_t": 1.0}).objective
    assert build.margin(plain) == Filtered(CosFace(0.3), 0.4, "exclude")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("products-small", ArcFace(0.35)), ("casia-resnet50", ArcFace(0.5))],
)
def test_a_recipe_s_margin_is_what_it_was(name, expected):
    assert build.margin(recipe(name).objective) == expected


def test_the_loss_of_a_recipe_keeps_its_number_and_another_does_not_take_it():
    """0.35 rad of ArcFace is no 0.35 of SphereFace's factor."""
    config = recipe("products-small")
    assert config.with_loss("arcface").objective.margin == ArcFace(0.35)
    assert config.with_loss("arcface+intra").objective.margin == ArcFace(0.35)
    assert config.with_loss("sphereface").objective.margin == SphereFace(1.35)
    assert config.with_loss("cosface").objective.scale == config.objective.scale == 0.0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("arcface@0.45", ArcFace(0.45)),
        ("combined@0.9,0.4,0.15", Combined(0.9, 0.4, 0.15)),
        ("cm2", Combined(0.9, 0.4, 0.15)),
        ("AdaFace@h=0.5", AdaFace(0.4, 0.5)),
        ("elasticface@0.35,0.05,form=cos", ElasticFace(0.35, 0.05, "cos")),
        ("sv-softmax", SupportVector(NormSoftmax(), 1.2)),
        ("sv-arcface@0.3", SupportVector(ArcFace(0.3), 1.2)),
        ("mv-cosface", SupportVector(CosFace(0.35), 1.2, "fixed")),
    ],
)
def test_a_loss_with_its_numbers(loss, expected):
    assert build.margin(runs.config().with_loss(loss).objective) == expected


def test_numbers_of_terms():
    found = runs.config().with_loss("normsoftmax+intra@2+triplet-euclidean").objective
    assert found.intra.weight == 2.0
    assert (found.triplet.margin, found.triplet.distance) == (0.2, "euclidean")


@pytest.mark.parametrize(
    ("loss", "hint"),
    [
        ("arcface@a", "expected numbers for m"),
        ("arcface@0.5,0.5", "expected numbers for m"),
        ("normsoftmax@1", "expected none"),
        ("arcface@n=1", "expected numbers for m"),
        ("arcface@9", "expected 0 to 3.14"),
        ("sv-triplet", "such as sv-arcface"),
        ("triplet-euclidian", "'triplet-euclidean'"),
        ("arcfase", "'arcface'"),
        ("arcface+itra", "'intra'"),
        ("arcface+cosface", "one loss over classes"),
        ("arcface+intra+intra", "each term once"),
        ("intra", "arcface+intra"),
        ("triplet+inter", "class centres"),
    ],
)
def test_losses_that_cannot_be(loss, hint):
    with pytest.raises(ArcwiseError, match=re.escape(hint)) as caught:
        runs.config().with_loss(loss)
    assert "\n" not in str(caught.value)


def test_a_loss_between_samples_comes_with_balanced_batches():
    config = recipe("products-small")
    for loss in ("triplet", "arcface+circle"):
        data = config.with_loss(loss).data
        assert (data.sampling, data.domain_balance) == ("balanced", 0.0)
    with pytest.raises(ArcwiseError, match=r"data\.sampling='shuffled'; expected balanced"):
        config.replace(objective={"loss": "triplet"}, data={"sampling": "shuffled"})


def test_a_description_has_the_formula_and_all_its_numbers():
    config = runs.config(
        loss="cosface", m=0.3, subcentres=3, sample_rate=0.1, centre_optimiser="fused",
        sv_t=1.2, softmax="streaming",
    )  # fmt: skip
    assert described(config, 100) == (
        "CosFace(m=0.3), scale 16, support vectors times t 1.2, 3 sub-centres a class, "
        "0.1 of the classes a step, streaming softmax, centres moved by the fused optimiser"
    )
    growing = runs.config(margin_full=0.3, gradient_products="bf16")
    assert described(growing, 100).endswith(
        "scale 16, gradient products in bf16, the margin growing to its full size"
    )
    assert described(runs.config(scale=0.0, steps=1000, batch=8), 100).endswith("scale 16.25")
    assert "linear" in described(runs.config(loss="softmax"), 100)
    added = described(runs.config(loss="softmax+centre"), 100)
    assert added.endswith("0.003 × centre (alpha 0.5)")
    alone = described(runs.config(loss="triplet"), 100)
    assert alone.startswith("triplet (margin 0.35, distance angular, mining semi-hard")


EVERY = ("softmax", *PUBLISHED, "triplet", "contrastive", "circle", "supervised-contrastive")
EVERY += ("arcface+intra", "arcface+inter", "softmax+centre", "arcface+triplet", "circle+centre")


@pytest.mark.parametrize("loss", EVERY)
def test_every_loss_trains(loss, patterns, tmp_path):
    """With its whole margin; the same images again and again are learnt."""
    still = Augment(zoom=1, aspect=0, rotation=0, flip=0, brightness=0, contrast=0, saturation=0)
    config = runs.config(
        loss=loss, steps=4, batch=24, lr=0.02, warmup=0.0, ema_decay=0.0, augment=still,
        checkpoint_every=100,
    )  # fmt: skip
    if loss in PUBLISHED:
        config = config.replace(objective={"centre_optimiser": "fused"})
    runs.train(config, patterns, tmp_path)
    found = [row["loss"] for row in runs.rows(tmp_path)]
    assert all(math.isfinite(loss) for loss in found)
    if "circle" not in loss and "triplet" not in loss:  # these mine other pairs as they learn
        assert found[-1] < found[0], found
