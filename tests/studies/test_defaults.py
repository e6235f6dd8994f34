"""The study of defaults, with two variants, two seeds and trainings of two steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.split import Split, hold_out
from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from studies import defaults


def test_from_the_images_to_the_page(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recipe("products-small").replace(
        encoder={"size": 16, "train_crop": 0, "dim": 8}, data={"batch": 8}
    )

    def tiny(sets: Path) -> tuple[Split, TrainConfig]:
        return hold_out(open_manifest(products), 0.6, 0), config

    names = (defaults.DEFAULT, "normsoftmax, s")
    for name, value in {
        "RESULTS": tmp_path / "defaults.json",
        "PAGE": tmp_path / "defaults.md",
        "FINDINGS": tmp_path / "default_loss.json",
        "SEEDS": 2,
        "VARIANTS": {one: defaults.VARIANTS[one] for one in names},
        "SETTINGS": {"tiny": defaults.Setting(tiny, 4, 2, steps=2, labels=names)},
    }.items():
        monkeypatch.setattr(defaults, name, value)
    monkeypatch.setattr(sys, "argv", ["defaults.py", str(tmp_path)])
    defaults.main()
    found = json.loads((tmp_path / "defaults.json").read_text())["tiny"]
    assert (found["identities"], found["images"]) == (4, 8)
    page = (tmp_path / "defaults.md").read_text()
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith("| ")}
    mean = found["table"]["metrics"][0]["mean"][names[1]]["value"]
    assert f"| {found['chosen'][names[1]]:.3f} | {mean:.3f} (" in rows[names[1]]
    best = max(names, key=lambda name: found["chosen"][name])
    assert f"| {best} |" in rows["tiny"]
    (written,) = json.loads((tmp_path / "default_loss.json").read_text())
    assert (written["data"], written["identities"], written["measured"]) == (
        "tiny",
        4,
        found["measured"],
    )
