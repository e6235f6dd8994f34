from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist

from arcwise import distributed
from tests import distributed_child, pictures
from tests.training import runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two gloo processes have done what `distributed_child` says, and written it here."""
    folder = tmp_path_factory.mktemp("ranks")
    pictures.write(folder / "whole")
    pictures.write(folder / "broken", identities=4, each=4)
    for name in ("id01/2.png", "id02/0.png", "id02/1.png", "id02/2.png", "id03/3.png"):
        (folder / "broken" / name).write_bytes(b"not a picture")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "tests.distributed_child", str(folder),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def ranks(folder):
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


def test_alone_no_process_group_is_made(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.started(torch.device("cpu")):
        assert not dist.is_initialized()
        assert (distributed.rank(), distributed.size()) == (0, 1)


def test_alone_torchrun_makes_no_process_group_either(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with distributed.started(torch.device("cpu")):
        assert not dist.is_initialized()


def test_alone_every_row_is_ours_and_nothing_changes():
    rows = np.arange(7)
    assert distributed.share(rows).tolist() == rows.tolist()
    assert distributed.anywhere(True)
    assert not distributed.anywhere(False)
    layer = torch.nn.Linear(2, 2)
    layer.weight.grad = torch.ones(2, 2)
    before = layer.weight.detach().clone()
    distributed.same_start(layer)
    distributed.average_gradients(layer.parameters())
    distributed.average_statistics(layer)
    assert torch.equal(layer.weight, before)
    assert torch.equal(layer.weight.grad, torch.ones(2, 2))
    assert layer.bias.grad is None


def test_two_ranks_share_out_the_rows_of_a_batch(ranks):
    assert [one["size"] for one in ranks] == [2, 2]
    assert sorted(torch.cat([one["rows"] for one in ranks]).tolist()) == list(range(10))
    assert [len(one["rows"]) for one in ranks] == [5, 5]


def test_two_ranks_start_from_the_first_one_s_weights(ranks):
    encoder, head = distributed_child.network(seed=0)
    expected = [*encoder.parameters(), *head.parameters()]
    for one in ranks:
        for weight, first in zip(one["weights"], expected, strict=True):
            assert torch.equal(weight, first)


def test_the_averaged_gradient_is_that_of_the_whole_batch(ranks):
    encoder, head = distributed_child.network(seed=0)
    alone = distributed_child.step(encoder, head, torch.arange(10))
    for one in ranks:
        found = one["step"]["gradients"]
        for gradient, expected in zip(found, alone["gradients"], strict=True):
            torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)
        assert one["step"]["norm"] == pytest.approx(alone["norm"], rel=1e-5)
    losses = [one["step"]["loss"] for one in ranks]
    assert sum(losses) / 2 == pytest.approx(alone["loss"])


def test_a_margin_s_statistics_are_those_of_the_whole_batch_on_both_ranks(ranks):
    alone = distributed_child.statistics()
    assert len(alone) == 1
    assert alone[0].item() != 0
    for one in ranks:
        torch.testing.assert_close(one["statistics"], alone)
    assert torch.equal(*(one["statistics"][0] for one in ranks))


def test_fused_centres_that_two_ranks_cannot_share_are_refused(ranks):
    for one in ranks:
        assert one["fused"].startswith("--objective.centre-optimiser fused over 2 processes")
        assert one["fused"].endswith("or --objective.centre-optimiser ordinary")


def test_what_is_so_on_one_rank_is_so_anywhere(ranks):
    assert [one["anywhere"] for one in ranks] == [[True, False]] * 2


def test_a_nan_on_one_rank_stops_both(ranks):
    first, second = (one["nan"] for one in ranks)
    assert first == "the loss of another process is not finite"
    assert second == "the loss is nan (the images themselves are not finite)"


def test_a_batch_that_two_ranks_cannot_share_is_refused(ranks):
    for one in ranks:
        assert one["odd batch"].startswith("--batch 9 over 2 processes; expected a multiple")


def test_unreadable_pictures_on_one_rank_do_not_stop_the_other(ranks, folder):
    assert [one["broken"][0] for one in ranks] == [True, True]
    named = {name for one in ranks for name in one["broken"][1]}
    assert named == {"id01/2.png", "id02/0.png", "id02/1.png", "id02/2.png", "id03/3.png"}
    assert len(runs.rows(folder / "broken run")) == 8


def test_ctrl_c_on_one_rank_stops_both_after_the_same_step(ranks):
    assert [one["stopped"] for one in ranks] == [(False, 3)] * 2


def test_two_ranks_resume_as_if_they_had_never_stopped(folder):
    assert runs.differences(folder / "stopped", folder / "uninterrupted") == []
    assert runs.rows(folder / "stopped") == runs.rows(folder / "uninterrupted")
