"""A run on sets learns a quality, resumes, skips unreadable images and is started from weights."""

from __future__ import annotations

import pytest
import torch

from arcwise import encoders, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.images import Preparation
from arcwise.training import build, start_weights
from arcwise.training.batches import planned_rows
from tests import pictures
from tests.settings import changed
from tests.training import runs

LOSS = "arcface+set-triplet"


def config(**changes):
    """Four identities a step, with two sets of two images each."""
    of_sets = runs.config(batch=16).with_loss(LOSS)
    return changed(of_sets, **{"images_per_set": 2, "quality": True, **changes})


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    pictures.write(folder, identities=4, each=6)
    (folder / "id01" / "3.png").write_bytes(b"no image")
    return open_manifest(folder)


def test_the_loss_brings_batches_of_sets():
    settled = runs.config(batch=16).with_loss(LOSS)
    assert (settled.data.sampling, settled.encoder.quality) == ("sets", False)
    alone = runs.config(batch=16).with_loss("set-triplet@0.5")
    assert (alone.objective.set_triplet.margin, alone.data.sampling) == (0.5, "sets")
    assert config().with_loss("arcface").encoder.quality is False


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"objective": {"loss": "arcface"}, "quality": True}, "teaches no quality"),
        ({"sampling": "shuffled"}, "sets with loss"),
        ({"images_per_set": 8}, "two sets of data.images_per_set=8"),
        ({"batch": 18}, "a multiple of 4"),
        ({"domain_balance": 0.5}, "sampling=sets fills"),
        ({"images_per_set": 0}, "at least 1"),
        ({"name": "onnx"}, "imported network"),
    ],
)
def test_what_does_not_go_together(changes, fact):
    with pytest.raises(ArcwiseError, match=fact):
        config(**changes)


def test_it_trains_past_an_unreadable_image_and_resumes(damaged, tmp_path):
    result = runs.train(config(), damaged, tmp_path / "whole")
    assert len(result.failures) == 1
    rows = [row for row in runs.rows(tmp_path / "whole") if "loss" in row]
    assert {"set_triplet/quality", "set_triplet/quality_std", "set_triplet/triplets"} <= set(
        rows[0]
    )
    assert rows[0]["set_triplet/quality_std"] == 0  # at the start all count alike
    assert rows[-1]["set_triplet/quality_std"] > 0
    part = tmp_path / "part"
    runs.train(config(), damaged, part, report=runs.press_ctrl_c_at(5))
    runs.train(config(), damaged, part, resume=True)
    assert runs.differences(tmp_path / "whole", part) == []


def test_sets_of_a_column(damaged):
    templates = [f"t{row % 2}" for row in range(len(damaged))]
    table = damaged.table.append_column("template", [templates])
    manifest = type(damaged)(table, damaged.root, damaged.name)
    rows = next(planned_rows(config(sets_of="template"), manifest, 0))
    assert {len({templates[row] for row in one}) for one in rows.reshape(8, 2)} == {1}
    with pytest.raises(ArcwiseError, match="no column 'media'"):
        next(planned_rows(config(sets_of="media"), manifest, 0))


@pytest.mark.parametrize("name", ["small", "efficientnet_lite0"])
def test_it_starts_from_weights_with_or_without_a_quality(name, tmp_path, few_layers):
    prepared = Preparation(height=32, width=32)
    for quality in (False, True):
        torch.manual_seed(1)
        given = encoders.create(name, dim=16, size=(32, 32), arguments={"quality": quality})
        if quality:
            torch.nn.init.normal_(given.quality.score.weight)
        runtime.save(tmp_path / str(quality), given.eval(), prepared)
        settings = config(name=name).encoder
        torch.manual_seed(2)
        new = build._create(settings)
        report = start_weights.start(new, tmp_path / str(quality))
        assert ("taken too" if quality else "is new") in str(report)
        assert report.left_over == ()
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            embedding, estimated = new.eval()(images)
            if quality:
                torch.testing.assert_close(given(images), (embedding, estimated))
            else:
                torch.testing.assert_close(given(images), embedding)
