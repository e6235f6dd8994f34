"""The recipe for two images an identity, tiny: three stages, stopped and resumed anywhere."""

from __future__ import annotations

import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.heads import Dominant
from arcwise.recipes import recipe
from arcwise.training import build
from arcwise.training.batches import stage_rows
from arcwise.training.run import Run
from arcwise.training.stage_check import check_stages
from tests.settings import changed
from tests.training import runs
from tests.training.test_loop import with_domains

CPU = torch.device("cpu")
TINY = {
    "batch": 8, "size": 32, "train_crop": 0, "dim": 16, "workers": 0, "cache_gb": 0.1,
    "precision": "fp32", "device": "cpu", "validate_every": 6, "checkpoint_every": 3,
    "log_every": 1, "ema_decay": 0.9,
}  # fmt: skip
QUEUES = {"candidates": 4, "dominant_queue": 2, "queue_refresh": 2}


def config(**changes):
    """12 steps: 4 on the deep set, 3 on pairs, 5 on all pairs with a refresh every second."""
    base = changed(recipe("bisample"), **TINY)
    stages = [dict(one) for one in base.as_dict()["stages"]]
    for stage, steps in zip(stages, (4, 3, 5), strict=True):
        stage["steps"] = steps
    stages[2]["objective"] = stages[2]["objective"] | QUEUES
    return base.replace(stages=stages, **changes)


@pytest.fixture(scope="module")
def images(patterns):
    """Eight identities × 6: two are a deep set without a domain, six have two images."""
    rows = [row for row in range(48) if row < 12 or row % 6 < 2]
    domains = ["" if row < 12 else ("id", "spot")[row % 6] for row in rows]
    return with_domains(patterns.select(rows), domains)


@pytest.fixture(scope="module")
def whole(images, others, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = runs.train(config(), images, folder, validation=others)
    assert (result.finished, result.steps) == (True, 12)
    return folder


def test_the_stages_of_the_recipe(images):
    made = config()
    assert [one.objective.loss for one in map(made.stage, range(3))] == [
        "arcface", "triplet", "arcface",
    ]  # fmt: skip
    assert [len(stage_rows(made, number, images)) for number in range(3)] == [12, 12, 12]
    run = Run(made, images, CPU)
    assert run.dominant is None
    run.step = 4
    run.advance()
    run.advance()
    assert isinstance(run.dominant, Dominant)
    assert len(run.dominant.candidates) == 6


def test_what_each_stage_measures(whole):
    rows = [row for row in runs.rows(whole) if "loss" in row]
    assert ["triplets" in row for row in rows] == [False] * 4 + [True] * 3 + [False] * 5
    assert ["dominant_new" in row for row in rows] == [False] * 7 + [True] * 5
    _, content = runs.state(whole)
    assert {"/objective/head.selection.dominant", "/objective/head.selection.steps"} <= set(content)


@pytest.mark.parametrize("stop", [2, 5, 7, 8, 9, 11])
def test_resuming_anywhere_is_the_uninterrupted_run(stop, whole, images, others, tmp_path):
    """7 is the end of a stage, 9 and 11 are between two refreshes of the queues."""
    press = runs.press_ctrl_c_at(stop)
    stopped = runs.train(config(), images, tmp_path, validation=others, report=press)
    assert (stopped.finished, stopped.steps) == (False, stop)
    assert runs.train(config(), images, tmp_path, validation=others, resume=True).finished
    assert runs.differences(tmp_path, whole) == []
    assert runs.rows(tmp_path) == runs.rows(whole)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_read_ahead_are_those_of_the_queues(whole, images, others, tmp_path):
    """Two workers plan batches before the queues of the next round are there."""
    ahead = config(data={"workers": 2})
    assert runs.train(ahead, images, tmp_path, validation=others).finished
    assert runs.differences(tmp_path, whole) == []


def test_semi_siamese_stops_and_goes_on(images, tmp_path):
    made = changed(
        runs.config(ema_decay=0.0), loss="semi-siamese", queue=4, encoder_decay=0.9,
        sampling="bisample",
    )  # fmt: skip
    pairs = images.select(range(12, 24))
    runs.train(made, pairs, tmp_path / "whole")
    runs.train(made, pairs, tmp_path / "parts", report=runs.press_ctrl_c_at(5))
    assert runs.train(made, pairs, tmp_path / "parts", resume=True).finished
    assert runs.differences(tmp_path / "parts", tmp_path / "whole") == []
    assert runs.rows(tmp_path / "parts") == runs.rows(tmp_path / "whole")
    assert {row["queue"] for row in runs.rows(tmp_path / "whole")} <= {0.0, 1.0, 2.0}


def test_without_a_deep_set_everybody_is_classified_first(images):
    pairs = images.select(range(12, 24))
    assert len(stage_rows(config(), 0, pairs)) == len(pairs)


def test_a_lacking_domain_is_found_before_the_first_step(images, tmp_path):
    with pytest.raises(ArcwiseError, match=r"1 identity has images of id or of spot only.*: id07"):
        runs.train(config(), images.select(range(23)), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_one_domain_is_found_before_the_first_step(images, tmp_path):
    table = images.table.set_column(2, "domain", [["id"] * len(images)])
    same = type(images)(table, images.root, images.name)
    with pytest.raises(ArcwiseError, match="one value"):
        runs.train(config(), same, tmp_path)


def test_too_large_a_batch_is_found_before_the_first_step(images, tmp_path):
    large = recipe("bisample").replace(run={"steps": 3}, data={"workers": 0})
    with pytest.raises(ArcwiseError, match=r"stage 2: --batch 64 .* and 6 .* --batch 12 or less"):
        runs.train(large, images, tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_no_column_of_domains_is_found_before_the_first_step(images, tmp_path):
    plain = type(images)(images.table.drop_columns(["domain"]), images.root, images.name)
    with pytest.raises(ArcwiseError, match="no column 'domain'; bisample training needs"):
        runs.train(config(), plain, tmp_path)


def test_who_lacks_a_domain_is_counted_in_the_whole_table(images):
    """Three identities lack one, and two of these are held out."""
    rows = [row for row in range(24) if row not in (13, 15, 17)]
    whole = images.select(rows)
    trained = whole.select([row for row, one in enumerate(whole.identities) if one > "id03"])
    with pytest.raises(ArcwiseError, match="3 identities have images of id or of spot only"):
        check_stages(config(), trained, whole)


def test_the_stages_follow_the_options():
    made = recipe("bisample").replace(
        run={"steps": 100}, data={"batch": 32, "workers": 0}, optim={"lr": 0.05}
    )
    assert [one.steps for one in made.stages] == [50, 20, 30]
    stages = [made.stage(number) for number in range(3)]
    assert {(one.data.batch, one.data.workers) for one in stages} == {(32, 0)}
    assert [one.data.sampling for one in stages] == ["shuffled", "bisample", "bisample"]
    assert [one.optim.lr for one in stages] == [0.05, 0.05, 0.005]
    assert [one.steps for one in recipe("bisample").replace(run={"steps": 3}).stages] == [1, 1, 1]
    with pytest.raises(ArcwiseError, match=r"run\.steps=2; expected at least 3"):
        recipe("bisample").replace(run={"steps": 2})


def test_the_loss_of_the_classes_follows():
    made = recipe("bisample").with_loss("cosface")
    assert [one.objective.loss for one in map(made.stage, range(3))] == [
        "cosface", "triplet", "cosface",
    ]  # fmt: skip
    assert made.stages[2].objective.negatives == "dominant"


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ({"negatives": "dominant"}, "negatives"),
        ({"negatives": "dominant", "centre_optimiser": "fused", "subcentres": 2}, "subcentres"),
        ({"dominant_queue": 301}, "dominant_queue"),
        (
            {
                "negatives": "dominant", "centre_optimiser": "fused", "sample_rate": 0.5,
                "logq_correction": True,
            },
            "logq_correction",
        ),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together(objective, name):
    with pytest.raises(ArcwiseError, match=rf"objective\.{name}="):
        runs.config().replace(objective=objective)


def test_the_config_makes_the_selection():
    made = runs.config().replace(
        objective={
            "negatives": "dominant", "centre_optimiser": "fused", "sample_rate": 0.25,
            "interclass_filter": 0.8, **QUEUES,
        }
    )  # fmt: skip
    selection = build.head(made.objective, 40, 8).selection
    assert (selection.active, selection.ceiling, selection.refresh_every) == (10, 0.8, 2)
    assert selection.dominant.shape == (40, 2)
