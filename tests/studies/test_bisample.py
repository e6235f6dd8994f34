"""The study of two images an identity, with two seeds and trainings of a few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from arcwise.data.domain_pairs import domain_pairs
from arcwise.recipes import recipe
from arcwise.training.losses import CentresConfig, SemiSiameseConfig
from studies import bisample
from tests import pictures


@pytest.fixture
def tiny(tmp_path):
    """Twelve identities of which four are a deep set, and eight others that are measured."""
    images = pictures.write(tmp_path / "train", identities=20, each=4)
    parts = [np.flatnonzero(images.labels < 12), np.flatnonzero(images.labels >= 12)]
    train, test = (images.select(rows) for rows in parts)
    pairs = bisample.bisampled(train, set(train.classes[:4]), 3, bisample.in_order(train))
    config = recipe("bisample").replace(
        encoder={"size": 16, "train_crop": 0, "dim": 8}, data={"batch": 8}, run={"steps": 6}
    )
    return lambda sets: (pairs, test, config, 0.5)


def test_a_deep_set_and_pairs(tiny):
    pairs, *_ = tiny(Path())
    found = domain_pairs(pairs)
    assert len(pairs) == 4 * 3 + 8 * 2
    assert (len(found.deep), len(found.paired), found.exact) == (4, 8, 8)
    assert found.domains == ("first", "second")


def test_the_ways_of_training_are_equally_long(tiny):
    *_, config, share = tiny(Path())
    made = {name: bisample.method(name, config, share) for name in bisample.METHODS}
    assert {sum(one.steps for one in each.stages) for each in made.values()} == {6}
    last = {name: one.stage(len(one.stages) - 1).objective for name, one in made.items()}
    taken = {
        name: (one.negatives, one.sample_rate)
        for name, one in last.items()
        if isinstance(one, CentresConfig)
    }
    assert taken[bisample.FULL] == ("random", 1.0)
    assert taken[bisample.RANDOM] == ("random", 0.5)
    assert taken[bisample.DOMINANT] == ("dominant", 0.5)
    assert isinstance(last[bisample.SST], SemiSiameseConfig)
    assert last[bisample.CV].loss == "triplet"


def test_from_the_images_to_the_page(tiny, tmp_path, monkeypatch):
    for name, value in {
        "DOCS": tmp_path,
        "RESULTS": tmp_path / "bisample.json",
        "PAGE": tmp_path / "bisample.md",
        "SEEDS": 2,
        "SETS": {"tiny": tiny},
        "METHODS": (bisample.PLAIN, bisample.RANDOM, bisample.DOMINANT, bisample.SST),
    }.items():
        monkeypatch.setattr(bisample, name, value)
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(sys, "argv", ["bisample.py", str(tmp_path), "tiny"])
    bisample.main()
    found = json.loads((tmp_path / "bisample.json").read_text())["tiny"]
    text = (tmp_path / "bisample.md").read_text()
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| ")}
    mean = found["table"]["metrics"][0]["mean"][bisample.DOMINANT]["value"]
    assert f"| {mean:.3f} (" in rows[bisample.DOMINANT]
    means = found["table"]["metrics"][0]["mean"]
    gap = means[bisample.DOMINANT]["value"] - means[bisample.RANDOM]["value"]
    shown = rows[f"{bisample.DOMINANT} minus {bisample.RANDOM}"].split("|")[2].strip(" *")
    assert float(shown.split()[0]) == pytest.approx(gap, abs=1e-3)
    assert (found["active"], found["paired"], found["measured"]) == (4, 8, 8)
    assert "<svg" in (tmp_path / "images" / "bisample.svg").read_text()
