from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from arcwise import distributed, encoders
from arcwise.data.augment import Augment, augment, view_keys
from arcwise.data.formats.opening import open_manifest
from arcwise.data.loader import LoadedBatch
from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.softmax import Streaming
from arcwise.training import batches, build, checkpoint, loop
from arcwise.training.metrics import read
from arcwise.training.run import Run
from tests import pictures
from tests.training import runs
from tests.training.test_step import Spoil

STILL = Augment(zoom=1, aspect=0, rotation=0, flip=0, brightness=0, contrast=0, saturation=0, hue=0)


class Kept:
    """Remembers what a run gave away to keep."""

    def __init__(self):
        self.calls = []

    def __call__(self, encoder, step, result, last):
        weight = next(encoder.parameters()).detach().clone()
        self.calls.append((step, result, last, weight))


def test_a_run_learns_its_identities(patterns, tmp_path):
    config = runs.config(
        steps=40, batch=16, size=32, m=0.2, augment=STILL, lr=0.05, checkpoint_every=100
    )
    result = runs.train(config, patterns, tmp_path)
    losses = [row["loss"] for row in runs.rows(tmp_path)]
    assert (result.finished, result.steps, len(losses)) == (True, 40, 40)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2


def test_every_row_says_what_was_measured_at_its_step(patterns, tmp_path):
    told = []
    config = runs.config(warmup=0.25, margin_full=0.5)
    runs.train(config, patterns, tmp_path, report=lambda *row: told.append(row))
    every = read(tmp_path / "metrics.jsonl")
    rows = [row for row in every if "epoch" not in row]
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert all(
        row.keys() == {"step", "loss", "gradient", "lr", "margin_scale", *runs.TIMINGS}
        for row in rows
    )
    assert [row["lr"] for row in rows[:3]] == pytest.approx([0.05, 0.1, 0.1])
    assert [row["margin_scale"] for row in rows] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert all(0 <= row["waiting"] <= 1 for row in rows)
    assert [step for step, _ in told] == [row["step"] for row in every]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch": 8}, {3: 1, 5: 2, 8: 3}),  # 20 pictures: 2.5 steps an epoch
        ({"batch": 8, "log_every": 5}, {5: 2}),
        ({"batch": 20, "steps": 3}, {1: 1, 2: 2, 3: 3}),
        ({"batch": 40, "steps": 3}, {1: 2, 2: 4, 3: 6}),
        ({"batch": 4, "steps": 4}, {}),
    ],
)
def test_an_epoch_has_a_row_where_epochs_are_no_shorter_than_the_log_s(changes, expected, tmp_path):
    manifest = pictures.write(tmp_path / "data", identities=5, each=4)
    runs.train(runs.config(**changes), manifest, tmp_path / "run")
    rows = [row for row in read(tmp_path / "run/metrics.jsonl") if "epoch" in row]
    assert {row["step"]: row["epoch"] for row in rows} == expected
    assert all(row.keys() == {"step", "epoch", *runs.TIMINGS} for row in rows)
    assert all(0 <= row["waiting"] <= 1 for row in rows)


def test_metrics_of_the_softmax_are_in_every_row(patterns, tmp_path, monkeypatch):
    class WithMetrics(Streaming):
        def first_pass(self, *args, **fields):
            passes = super().first_pass(*args, **fields)
            passes.metrics = {"dropped": 0.25}
            return passes

    monkeypatch.setattr(build, "softmax", lambda config: WithMetrics())
    runs.train(runs.config(steps=2), patterns, tmp_path)
    assert [row["dropped"] for row in runs.rows(tmp_path)] == [0.25, 0.25]


def test_rows_come_every_so_many_steps_and_at_the_end(patterns, tmp_path):
    runs.train(runs.config(log_every=3), patterns, tmp_path)
    assert [row["step"] for row in runs.rows(tmp_path)] == [3, 6, 8]


def test_the_rate_reaches_the_optimiser_and_the_head_has_its_own(patterns, tmp_path):
    config = runs.config(steps=1, warmup=0.0, head_lr=3.0)
    runs.train(config, patterns, tmp_path)
    groups = {k: v for k, v in runs.state(tmp_path)[1].items() if "/param_groups/" in k}
    rates = [groups[f"/optimiser/param_groups/{n}/lr"] for n in range(3)]
    assert rates == pytest.approx([0.1, 0.1, 0.3])


def test_the_best_by_the_others_is_kept_and_the_last(patterns, others, tmp_path):
    kept = Kept()
    result = runs.train(runs.config(), patterns, tmp_path, validation=others, on_best=kept)
    validated = {row["step"]: row for row in runs.rows(tmp_path) if "recall_at_1" in row}
    assert list(validated) == [4, 8]
    *bests, last = kept.calls
    assert bests[0][:3] == (4, bests[0][1], False)  # the first is the best so far
    assert last[0] == 8
    assert last[2]
    for step, measured, _, _ in bests:
        assert measured.recall_at_1 == pytest.approx(validated[step]["recall_at_1"], abs=1e-5)
        assert measured.tar == pytest.approx(validated[step]["tar"], abs=1e-5)
    assert (result.best_step, result.best) == bests[-1][:2]
    assert last[1] == (result.best if result.best_step == 8 else None)


def test_without_others_only_the_last_is_kept(patterns, tmp_path):
    kept = Kept()
    result = runs.train(runs.config(), patterns, tmp_path, on_best=kept)
    assert [(step, result, last) for step, result, last, _ in kept.calls] == [(8, None, True)]
    assert result.best is None


def test_an_interrupted_run_keeps_no_last(patterns, tmp_path):
    kept = Kept()
    runs.train(runs.config(), patterns, tmp_path, on_best=kept, report=runs.press_ctrl_c_at(3))
    assert kept.calls == []


@pytest.mark.parametrize(
    "changes",
    [{}, {"subcentres": 2, "momentum": 0.8, "nesterov": False}],
    ids=["as it comes", "sub-centres, heavy ball"],
)
def test_fused_centres_make_the_same_run_as_ordinary_ones(changes, patterns, tmp_path):
    """To the rounding of float32 over four steps: within 1e-4 of how far they went."""
    found = {}
    for mode in ("ordinary", "fused"):
        config = runs.config(steps=4, head_lr=2.0, warmup=0.5, centre_optimiser=mode, **changes)
        runs.train(config, patterns, tmp_path / mode)
        found[mode] = checkpoint.load(tmp_path / mode / "checkpoints")[1]
    start = Run(config, patterns, torch.device("cpu")).state()
    for part, name in (("objective", "head.centres"), ("encoder", "stages.0.0.weight")):
        ordinary, fused = (found[mode][part][name] for mode in ("ordinary", "fused"))
        moved = (ordinary - start[part][name]).norm()
        assert (fused - ordinary).norm() < 1e-4 * moved
    assert found["ordinary"]["centres"] is None
    momentum = found["fused"]["centres"]["state"][0]["momentum_buffer"]
    *_, last = found["ordinary"]["optimiser"]["state"].values()
    expected = last["momentum_buffer"]
    assert (momentum - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize(("decay", "source"), [(0.9, "ema"), (0.0, "encoder")])
def test_what_is_kept_is_the_average_where_there_is_one(decay, source, patterns, tmp_path):
    kept = Kept()
    runs.train(runs.config(ema_decay=decay), patterns, tmp_path, on_best=kept)
    _, _, _, weight = kept.calls[-1]
    saved = loop.checkpoint.load(tmp_path / "checkpoints")[1][source]
    assert torch.equal(weight, saved["stages.0.0.weight"])


def spoilt_at(monkeypatch, step, **factors):
    """The encoder has a layer that goes wrong from this step of training on, whoever makes it."""
    plain, make = encoders.create, loop._step
    made = []

    class Spoiling(Spoil):
        def forward(self, x):
            return super().forward(x) if self.training and made[-1] >= step else x

    def watched(run, *rest, **more):
        made.append(run.step)
        return make(run, *rest, **more)

    monkeypatch.setattr(loop, "_step", watched)

    def create(name, **fields):
        encoder = plain(name, **fields)
        encoder.stages[2].append(Spoiling(**factors))
        return encoder

    monkeypatch.setattr(encoders, "create", create)
    return made


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"forward": math.nan}, r"step 5: the loss is nan \(first in layer stages\.2\.\d+\)"),
        ({"backward": math.inf}, r"step 5: the gradient is not finite \(first at layer encoder\.s"),
    ],
)
def test_a_nan_stops_the_run_at_the_last_good_step(
    factors, message, patterns, others, tmp_path, monkeypatch
):
    config = runs.config()
    good = tmp_path / "good"
    runs.train(config, patterns, good, validation=others, report=runs.press_ctrl_c_at(5))
    with monkeypatch.context() as patched:
        spoilt_at(patched, 5, **factors)
        with pytest.raises(NonFiniteError, match=message) as caught:
            runs.train(config, patterns, tmp_path / "spoilt", validation=others)
    batch = str(caught.value).split("batch: ")[1].split(" … ")[0].split(", ")
    assert len(batch) == 4
    assert set(batch) <= set(patterns.images)
    found = runs.differences(tmp_path / "spoilt", good)
    assert [name for name in found if not name.endswith("/lr")] == []  # the schedule sets it anew
    assert runs.rows(tmp_path / "spoilt") == runs.rows(good)


def test_a_step_that_is_not_finite_is_repeated_carefully(patterns, tmp_path, monkeypatch):
    """The usual way copies no statistics; so the steps since the last checkpoint are made again."""
    told = []
    made = spoilt_at(monkeypatch, 5, forward=math.nan)
    with pytest.raises(NonFiniteError):
        runs.train(runs.config(), patterns, tmp_path, report=lambda *row: told.append(row))
    assert made == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert (3, {"repeated from": 3}) in told
    made.clear()
    config = runs.config(checkpoint_every=100)
    with pytest.raises(NonFiniteError):
        runs.train(config, patterns, tmp_path / "none")
    assert made == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_a_fault_that_does_not_come_again_stops_nothing(patterns, tmp_path, monkeypatch):
    """Such as one of a GPU whose sums have another order each time."""
    runs.train(runs.config(), patterns, tmp_path / "whole")
    seen = []
    make = loop.update

    def fails_once(*args, **fields):
        seen.append(fields["careful"])
        if len(seen) == 6:
            raise NonFiniteError("once")
        return make(*args, **fields)

    monkeypatch.setattr(loop, "update", fails_once)
    result = runs.train(runs.config(), patterns, tmp_path / "run")
    assert result.finished
    assert seen == [False] * 6 + [True] * 3 + [False] * 2
    assert runs.differences(tmp_path / "run", tmp_path / "whole") == []


def test_a_run_stopped_by_a_nan_can_be_resumed(patterns, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        spoilt_at(patched, 5, forward=math.inf)
        with pytest.raises(NonFiniteError):
            runs.train(runs.config(), patterns, tmp_path / "spoilt")
    runs.train(runs.config(), patterns, tmp_path / "spoilt", resume=True)
    runs.train(runs.config(), patterns, tmp_path / "whole")
    assert runs.differences(tmp_path / "spoilt", tmp_path / "whole") == []


def test_unreadable_pictures_are_left_out_and_listed(tmp_path, others):
    manifest = pictures.write(tmp_path / "data")
    for name in ("id03/1.png", "id05/2.png"):
        (tmp_path / "data" / name).write_bytes(b"not a picture")
    result = runs.train(runs.config(steps=12), manifest, tmp_path / "run")
    assert result.finished
    assert sorted(error.name for error in result.failures) == ["id03/1.png", "id05/2.png"]


def test_unreadable_pictures_of_the_others_are_listed_too(tmp_path, patterns):
    others = pictures.write(tmp_path / "others", identities=3, each=4)
    (tmp_path / "others/id01/0.png").write_bytes(b"not a picture")
    result = runs.train(runs.config(), patterns, tmp_path / "run", validation=others)
    assert [error.name for error in result.failures] == ["id01/0.png"]


def test_others_that_cannot_be_read_at_all_are_one_clear_error(tmp_path, patterns):
    others = pictures.write(tmp_path / "others", identities=3, each=2)
    for path in (tmp_path / "others").rglob("*.png"):
        path.write_bytes(b"not a picture")
    with pytest.raises(ArcwiseError, match=r"6 of 6 images cannot be read.*id00/0\.png"):
        runs.train(runs.config(), patterns, tmp_path / "run", validation=others)


@pytest.mark.parametrize("readable", [0, 1])
def test_a_run_without_two_readable_pictures_stops(readable, tmp_path):
    pictures.write(tmp_path / "data", identities=2, each=3)
    paths = sorted((tmp_path / "data").rglob("*.png"))
    for path in paths[readable:]:
        path.write_bytes(b"not a picture")
    message = rf"data: {6 - readable} of 6 images cannot be read.*not an image|{paths[-1].name}"
    with pytest.raises(ArcwiseError, match=message):
        runs.train(runs.config(), open_manifest(tmp_path / "data"), tmp_path / "run")


def test_a_batch_of_one_readable_picture_is_passed_over(tmp_path):
    """Batch statistics need two; the run goes on."""
    pictures.write(tmp_path / "data", identities=2, each=2)
    (tmp_path / "data/id00/0.png").write_bytes(b"not a picture")
    manifest = open_manifest(tmp_path / "data")
    result = runs.train(runs.config(batch=2, steps=6), manifest, tmp_path / "run")
    with_loss = ["loss" in row for row in runs.rows(tmp_path / "run")]
    assert result.finished
    assert with_loss.count(False) == 3  # once in each of three epochs


def with_domains(manifest, domains):
    table = manifest.table.append_column("domain", [domains])
    return type(manifest)(table, manifest.root, manifest.name)


def test_domain_balance_have_their_share_of_every_batch(patterns):
    rare = set(range(0, 48, 8))
    domains = ["studio" if row in rare else "shelf" for row in range(48)]
    sampler = batches._sampler(runs.config(domain_balance=0.25), with_domains(patterns, domains))
    for step in range(10):
        kept, reserved = np.split(sampler.batch(step), [6])
        assert len(kept) == 6
        assert set(reserved.tolist()) <= rare
        assert len(reserved) == 2


def test_without_domain_balance_every_picture_comes_once_an_epoch(patterns):
    one_domain = with_domains(patterns, ["shelf"] * 48)
    for manifest in (patterns, one_domain):
        sampler = batches._sampler(runs.config(domain_balance=0.25), manifest)
        drawn = np.concatenate([sampler.batch(step) for step in range(6)])
        assert sorted(drawn.tolist()) == list(range(48))


def test_windowed_sampling_sees_every_picture_once_an_epoch(patterns):
    sampler = batches._sampler(runs.config(sampling="windowed"), patterns)
    drawn = np.concatenate([sampler.batch(step) for step in range(6)])
    assert sorted(drawn.tolist()) == list(range(48))
    mixed = with_domains(patterns, ["shelf"] * 40 + ["studio"] * 8)
    sampler = batches._sampler(runs.config(sampling="windowed", domain_balance=0.25), mixed)
    assert (sampler.batch(0)[6:] >= 40).all()


def test_balanced_sampling_gives_k_pictures_of_each_identity(patterns):
    config = runs.config(sampling="balanced", images_per_identity=4)
    rows = batches._sampler(config, patterns).batch(0)
    labels = patterns.labels[rows].reshape(2, 4)
    assert (labels == labels[:, :1]).all()


def test_bf16_is_the_encoder_s_arithmetic_only(patterns, tmp_path):
    result = runs.train(runs.config(precision="bf16", steps=2), patterns, tmp_path)
    assert result.finished
    saved = loop.checkpoint.load(tmp_path / "checkpoints")[1]
    kinds = {v.dtype for v in saved["encoder"].values() if v.is_floating_point()}
    assert kinds == {torch.float32}


def test_the_network_trains_in_training_mode_after_a_validation(
    patterns, others, tmp_path, monkeypatch
):
    modes = []
    real = loop.update

    def watch(encoder, *args, **fields):
        modes.append(encoder.training)
        assert isinstance(encoder, nn.Module)
        return real(encoder, *args, **fields)

    monkeypatch.setattr(loop, "update", watch)
    runs.train(runs.config(ema_decay=0.0, validate_every=2), patterns, tmp_path, validation=others)
    assert modes == [True] * 8


@pytest.mark.parametrize("seed", [0, 1])
def test_every_place_of_every_step_of_every_seed_has_its_own_view(
    seed, patterns, tmp_path, monkeypatch
):
    seen = []

    def watch(pixels, settings, size, keys):
        seen.append(keys.tolist())
        return augment(pixels, settings, size, keys)

    monkeypatch.setattr(batches, "augment", watch)
    runs.train(runs.config(seed=seed), patterns, tmp_path)
    assert seen == [view_keys(seed, step, range(8)).tolist() for step in range(8)]
    assert len({key for step in seen for key in step}) == 64


def test_a_picture_that_cannot_be_read_changes_no_other_s_view(tmp_path, monkeypatch):
    manifest = pictures.write(tmp_path / "data", identities=4, each=2)
    seen = []

    def watch(pixels, settings, size, keys):
        seen.append(set(keys.tolist()))
        return augment(pixels, settings, size, keys)

    monkeypatch.setattr(batches, "augment", watch)
    config = runs.config(steps=1, batch=8)
    runs.train(config, manifest, tmp_path / "all")
    (tmp_path / "data/id00/0.png").write_bytes(b"not a picture")
    runs.train(config, open_manifest(tmp_path / "data"), tmp_path / "damaged")
    assert len(seen[1]) == 7
    assert seen[1] < seen[0]


@pytest.mark.parametrize("processes", [2, 4])
def test_a_view_is_the_same_whatever_the_number_of_processes(processes, monkeypatch):
    config = runs.config(batch=8)
    pixels = torch.randint(0, 256, (8, 40, 40, 3), dtype=torch.uint8)
    cpu, places = torch.device("cpu"), torch.arange(8 // processes)

    def batch(pixels, places):
        return LoadedBatch(places, places, pixels, places, ())

    alone = batches.crops(config, batch(pixels, torch.arange(8)), 3, cpu)
    monkeypatch.setattr(distributed, "size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        found = batches.crops(config, batch(pixels[rank::processes], places), 3, cpu)
        torch.testing.assert_close(found, alone[rank::processes], rtol=0, atol=1e-2)
