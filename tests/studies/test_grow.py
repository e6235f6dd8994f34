"""The study of growing, on a few synthetic embeddings."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from studies import grow as study


def some(settled: bool) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(int(settled))
    sizes = np.repeat([1, 2, 5], [40, 20, 12])
    ids = np.repeat(np.arange(72), sizes)
    rows = draw.normal(size=(72, 64))[ids] + 0.5 * draw.normal(size=(len(ids), 64))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), ids


def test_from_vectors_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "RESULTS", tmp_path / "grow.json")
    monkeypatch.setattr(study, "PAGE", tmp_path / "grow.md")
    monkeypatch.setattr(study, "people", some)
    monkeypatch.setattr(study, "embedded", lambda name, out: some(settled=False))
    monkeypatch.setattr(study, "SEEDS", 1)
    monkeypatch.setattr(study, "calibrate", partial(study.calibrate, draws=5))
    searches = partial(study.calibrate_searches, galleries=[(30, 1)], draws=5)
    monkeypatch.setattr(study, "calibrate_searches", searches)
    study.main()
    results = json.loads((tmp_path / "grow.json").read_text())
    assert len(results["seeds"]) == study.SEEDS
    for one in results["seeds"]:
        assert (one["back"], one["once"], one["enrolled"]) == (12, 40, 20)
        assert one["one"] + one["split"] + one["none"] == 12
        assert one["one"] >= 11
        assert one["mixed"] <= 1
        kept = one["sightings left"] + one["answered"] + one["answered as enrolled"]
        assert kept < one["images"] == 100
    page = (tmp_path / "grow.md").read_text()
    assert "| people who come back | 12 |" in page
    for one in results["others"].values():
        assert one[0]["enrolled"] == one[0]["once"] == 12
        assert one[0]["back"] >= one[0]["one"] > 0
    monkeypatch.setattr(study, "calibrated", lambda *_: pytest.fail("measured again"))
    study.main()
    assert (tmp_path / "grow.md").read_text() == page
