"""The study of clustering, on a few synthetic embeddings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from arcwise.evaluation import calibrate
from studies import clustering as study


def some(sets: Path) -> list[study.Embeddings]:
    draw = np.random.default_rng(0)
    ids = np.repeat(np.arange(40), 3)
    vectors = draw.normal(size=(40, 16))[ids] + 0.3 * draw.normal(size=(120, 16))
    return [study.Embeddings(vectors, ids, calibrate(vectors, ids, draws=5))]


def test_from_embeddings_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: study.METHODS[name] for name in ("auto", "auto, calibrated", "components")}
    for name, value in {
        "RESULTS": tmp_path / "clustering.json", "PAGE": tmp_path / "clustering.md",
        "SETS": {"FG-NET": some}, "METHODS": kept,
    }.items():  # fmt: skip
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(sys, "argv", ["clustering.py", str(tmp_path)])
    study.main()
    found = json.loads((tmp_path / "clustering.json").read_text())["FG-NET"]
    assert set(found) == set(kept)
    assert found["auto"]["bcubed_f"] > 0.9
    assert found["auto"]["images"] == 120
    page = (tmp_path / "clustering.md").read_text()
    assert f"FG-NET {found['auto']['bcubed_f']:.4f}" in page
    monkeypatch.setattr(study, "apart", lambda *_: pytest.fail("measured again"))
    study.main()
    assert (tmp_path / "clustering.md").read_text() == page
