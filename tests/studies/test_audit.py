"""The study of the audit, on a few synthetic embeddings."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from studies import audit as study


def some(settled: bool) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(int(settled))
    ids = np.repeat(np.arange(300), 5)
    rows = draw.normal(size=(300, 48))[ids] + 0.4 * draw.normal(size=(1500, 48))
    rows += 1.5 * np.eye(48)[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), ids


def test_what_is_planted() -> None:
    vectors, ids = some(False)
    planted = study.plant(vectors, ids, 0)
    assert len(planted.vectors) == len(planted.labels) == 1500 + study.HUBS + study.COPIES
    wrong = set(np.flatnonzero(planted.labels[:1500] != ids).tolist())
    split = {code for _, code in planted.split}
    assert {row for row in wrong if planted.labels[row] not in split} == planted.moved
    for first, second in planted.split:
        assert set(ids[planted.labels[:1500] == second].tolist()) == {first}
    for row, copy in planted.copies:
        assert (planted.vectors[row] == planted.vectors[copy]).all()
    other = [planted.labels[a] != planted.labels[b] for a, b in planted.copies]
    assert 5 <= sum(other) <= 10


def test_from_vectors_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "RESULTS", tmp_path / "audit.json")
    monkeypatch.setattr(study, "PAGE", tmp_path / "audit.md")
    monkeypatch.setattr(study, "people", some)
    monkeypatch.setattr(study, "calibrate", partial(study.calibrate, draws=5))
    searches = partial(study.calibrate_searches, galleries=[(200, 5)], draws=5)
    monkeypatch.setattr(study, "calibrate_searches", searches)
    study.main()
    results = json.loads((tmp_path / "audit.json").read_text())
    assert len(results["seeds"]) == study.SEEDS
    for one in results["seeds"]:
        for name in ("duplicates", "one identity", study.ANOTHERS):
            hits, planted, listed, right = one[name]
            assert hits >= 0.9 * planted
            assert right >= 0.8 * listed
    page = (tmp_path / "audit.md").read_text()
    assert "| duplicates | 20 | 20.0 | 1.000" in page
    monkeypatch.setattr(study, "calibrated", lambda: pytest.fail("measured again"))
    study.main()
    assert (tmp_path / "audit.md").read_text() == page
