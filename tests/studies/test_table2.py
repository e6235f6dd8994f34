"""The study of Table 2, with three losses, two seeds and trainings of two steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.split import hold_out
from arcwise.recipes import recipe
from studies import table2

LOSSES = ("arcface@0.5", "softmax", "normsoftmax")


def test_from_the_images_to_the_page(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recipe("products-small").replace(
        encoder={"size": 16, "train_crop": 0, "dim": 8}, data={"batch": 8}
    )
    (tmp_path / "images").mkdir()
    for name, value in {
        "DOCS": tmp_path,
        "RESULTS": tmp_path / "table2.json",
        "PAGE": tmp_path / "table2.md",
        "ORDERINGS": tmp_path / "table2-orderings.md",
        "STEPS": 2,
        "SCALES": (8.0, 16.0),
        "LABELS": {loss: table2.LABELS[loss] for loss in LOSSES},
        "SETS": {"tiny": lambda sets: (hold_out(open_manifest(products), 0.6, 0), config)},
    }.items():
        monkeypatch.setattr(table2, name, value)
    monkeypatch.setattr(sys, "argv", ["table2.py", str(tmp_path), "tiny", "--seeds", "2"])
    table2.main()
    found = json.loads((tmp_path / "table2.json").read_text())["tiny"]
    page = (tmp_path / "table2.md").read_text()
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith("| ")}
    mean = found["table"]["metrics"][0]["mean"]["normsoftmax"]["value"]
    assert f"| {mean:.3f} (" in rows["Norm-Softmax"]
    assert found["losses"]["arcface@0.5"]["label"].partition(" s=")[2] in rows["ArcFace (0.5)"]
    assert "Of the paper's 3 orderings of two rows" in page
    assert "ArcFace (0.5) above Softmax" in page
    gap = table2.paper_gaps(found)["arcface@0.5", "softmax"]
    means = found["table"]["metrics"][0]["mean"]
    assert gap.value == pytest.approx(
        means["arcface@0.5"]["value"] - means["softmax"]["value"], abs=1e-4
    )
    assert f"| ArcFace (0.5) above Softmax | {gap} |" in (
        tmp_path / "table2-orderings.md"
    ).read_text().replace("**", "")
    assert "<svg" in (tmp_path / "images" / "table2_tiny.svg").read_text()
