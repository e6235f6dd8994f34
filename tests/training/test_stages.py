"""A run in stages: each begins from the encoder of the one before, and can be resumed anywhere."""

from __future__ import annotations

import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.training import checkpoint, schedule
from arcwise.training.run import Run
from tests.training import runs
from tests.training.test_loop import with_domains

STAGES = [
    {"steps": 4, "where": {"domain": ["studio"]}, "objective": {"loss": "softmax"}},
    {"steps": 5, "optim": {"lr": 0.05}, "objective": {"loss": "arcface+intra"}},
    {"steps": 3, "objective": {"loss": "triplet"}, "data": {"images_per_identity": 2}},
]
CPU = torch.device("cpu")


def staged(**changes):
    return runs.config(stages=STAGES, **changes)


@pytest.fixture(scope="module")
def mixed(patterns):
    """Six of eight identities have studio images; shelf images are everywhere."""
    return with_domains(patterns, ["studio" if row % 8 < 4 else "shelf" for row in range(48)])


@pytest.fixture(scope="module")
def whole(mixed, others, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = runs.train(staged(), mixed, folder, validation=others)
    assert (result.finished, result.steps) == (True, 12)
    return folder


def test_each_stage_has_its_own_objective_and_schedule(whole):
    rows = [row for row in runs.rows(whole) if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert ["intra/loss" in row for row in rows] == [False] * 4 + [True] * 5 + [False] * 3
    assert ["triplets" in row for row in rows] == [False] * 9 + [True] * 3
    config = staged()
    for number, begins in enumerate((0, 4, 9)):
        stage = config.stage(number)
        expected = [stage.optim.lr * schedule.rate(stage, step) for step in range(stage.run.steps)]
        there = rows[begins : begins + stage.run.steps]
        assert [row["lr"] for row in there] == pytest.approx(expected, rel=1e-5)


def test_the_checkpoint_says_the_stage(whole):
    found = {
        checkpoint.step_of(path): torch.load(path, weights_only=True)["stage"]
        for path in checkpoint.saved(whole / "checkpoints")
    }
    assert found == {9: 1, 12: 2}  # what was saved at the end of a stage is of that stage


@pytest.mark.parametrize("stop", [3, 4, 5, 9, 11])
def test_resuming_anywhere_is_the_uninterrupted_run(stop, whole, mixed, others, tmp_path):
    """4 and 9 are the last steps of a stage."""
    config = staged()
    press = runs.press_ctrl_c_at(stop)
    stopped = runs.train(config, mixed, tmp_path, validation=others, report=press)
    assert (stopped.finished, stopped.steps) == (False, stop)
    assert runs.train(config, mixed, tmp_path, validation=others, resume=True).finished
    assert runs.differences(tmp_path, whole) == []
    assert runs.rows(tmp_path) == runs.rows(whole)


def test_a_stage_begins_from_the_encoder_of_the_one_before(mixed):
    run = Run(staged(), mixed, CPU)
    assert run.rows.tolist() == [row for row in range(48) if row % 8 < 4]
    before = {name: one.clone() for name, one in run.encoder.state_dict().items()}
    objective = run.objective
    run.advance()
    assert all(torch.equal(one, before[name]) for name, one in run.encoder.state_dict().items())
    assert run.objective is not objective
    assert len(run.rows) == 48
    assert (run.begins, run.ends) == (4, 9)


def test_centres_go_on_where_objective_and_identities_are_the_same(patterns):
    """Another optimiser only: the class centres that were learnt are of use."""
    stages = [{"steps": 3}, {"steps": 3, "optim": {"lr": 0.01}}]
    run = Run(runs.config(stages=stages), patterns, CPU)
    objective, optimiser = run.objective, run.optimiser
    run.advance()
    assert run.objective is objective
    assert run.optimiser is not optimiser


def test_one_stage_is_the_config_itself(patterns, tmp_path):
    """Said or not, it is the same run to the byte."""
    runs.train(runs.config(), patterns, tmp_path / "plain")
    runs.train(runs.config(stages=[{"steps": 8}]), patterns, tmp_path / "one")
    assert runs.differences(tmp_path / "plain", tmp_path / "one") == []
    assert runs.rows(tmp_path / "plain") == runs.rows(tmp_path / "one")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"domian": ["studio"]}, "no column 'domian'; it has image, identity, domain"),
        ({"domain": ["street"]}, "no row of patterns0 is left"),
    ],
)
def test_a_selection_of_nothing(where, message, mixed, tmp_path):
    config = runs.config(stages=[{"steps": 2}, {"steps": 2, "where": where}])
    with pytest.raises(ArcwiseError, match=message):
        runs.train(config, mixed, tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()  # it is found before the first step
