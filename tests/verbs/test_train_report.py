"""What the page of a training says of stages, margins, few pairs, lengths and qualities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from arcwise.bundle import LengthReading
from arcwise.evaluation import Threshold
from arcwise.recipes import recipe
from arcwise.report import Numbers, Plot
from arcwise.sets import QualitySpread
from arcwise.training.validation import Validation
from arcwise.verbs.run_folder import TrainResult
from arcwise.verbs.train_report import curves, highlights, kept, of_images, thresholds

ROWS = [{"step": step, "loss": 9.0 - step} for step in range(1, 9)]
MEASURED = [{"step": 4, "recall_at_1": 0.5, "tar": 0.0, "tar_resolved": 0.0}]


def staged():
    """Four steps with a growing margin, two of triplets and two without margin."""
    config = recipe("bisample").replace(run={"steps": 8})
    assert [one.steps for one in config.stages] == [4, 2, 2]
    return config


def test_a_curve_a_stage():
    found = curves(staged(), ROWS)
    assert [one.title for one in found] == [
        "Training, stage 1: arcface, steps 1 to 4",
        "Training, stage 2: triplet, steps 5 to 6",
        "Training, stage 3: arcface, steps 7 to 8",
    ]
    assert ["margin grows" in one.note for one in found if isinstance(one, Plot)] == [
        True, False, False,
    ]  # fmt: skip
    assert "the steps 0 to 2 of" in found[0].note


def test_the_losses_of_all_stages_are_listed(trained: TrainResult):
    pairs = trained.parts.train
    domains = [["id", "spot"][row % 2] for row in range(len(pairs))]
    place = pairs.table.column_names.index("domain") if "domain" in pairs.table.column_names else -1
    table = pairs.table if place < 0 else pairs.table.remove_column(place)
    with_domains = replace(pairs, table=table.append_column("domain", [domains]))
    result = replace(trained, config=staged(), parts=trained.parts._replace(train=with_domains))
    names = [name for name, _ in highlights(result)]
    assert names[:3] == ["loss, stage 1", "loss, stage 2", "loss, stage 3"]
    assert "triplet" in str(dict(highlights(result))["loss, stage 2"])


@pytest.mark.parametrize("resolved", [True, False])
def test_a_rate_that_is_not_resolved_is_not_shown(resolved: bool):
    shown = kept(Validation(0.5, 0.0, resolved), 4, MEASURED)
    assert isinstance(shown, Numbers)
    assert [one.label.split(",")[0] for one in shown.items] == ["recall@1", "TAR at FAR 1 %"][
        : 1 + resolved
    ]
    rows = [{**MEASURED[0], "tar_resolved": float(resolved)}]
    (plot,) = curves(recipe("products-small"), rows)
    assert isinstance(plot, Plot)
    assert ("TAR" in plot.svg) is resolved


def test_one_measurement_is_not_the_best_of_several():
    assert "best of several" not in kept(Validation(0.5, 0.2), 4, MEASURED).note
    assert "best of several" in kept(Validation(0.5, 0.2), 4, MEASURED * 2).note


def test_an_interval_that_is_not_known():
    one = Threshold(0.1, 0.5, -1.0, 1.0, True, 400, 4, 0.0, 1.0, 0.0, 0.9, 0.8, 1.0)
    assert thresholds((one,)).rows[0][2] == "not known"


def test_what_the_model_says_of_an_image(trained: TrainResult):
    assert of_images(trained) == []
    told = replace(
        trained,
        length=LengthReading("age", 1.0, 0.0, 30.0, 9.0, 0.42),
        quality=QualitySpread.of(np.linspace(0.4, 0.6, 50)),
    )
    facts = dict(of_images(told))
    assert "R² 0.42" in str(facts["length"])
    assert "mean 0.500" in str(facts["quality"])
