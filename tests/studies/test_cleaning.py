"""The study of cleaning, on a few synthetic embeddings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from studies import cleaning as study


def some(sets: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    ids = np.repeat(np.arange(80), 5)
    return draw.normal(size=(80, 48))[ids] + 0.3 * draw.normal(size=(400, 48)), ids


def test_what_is_planted() -> None:
    vectors, ids = some(Path(), 0)
    planted = study.plant(vectors, ids, 0)
    truth, labels = planted.truth, planted.labels
    assert set(labels) == set(range(labels.max() + 1))
    most = study.majorities(planted)
    wrong = set(np.flatnonzero(truth != most[labels]).tolist())
    assert set(planted.moved.tolist()) <= wrong
    strangers = set(truth[planted.strangers].tolist())
    assert not strangers & set(most.tolist())
    assert all(most[a] == most[b] for a, b in planted.renamed)
    for a, b in planted.joined:
        assert len(set(labels[a]) | set(labels[b])) == 1
        assert not set(truth[a]) & set(truth[b])


def test_from_embeddings_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lfw = {"images": 1, "identities": 1, "errors": {"member": 2}, "sure": {"member": 1},
           "candidates": [{"names": ["A_B", "C"], "similarity": 1.0, "place": 7, "kind": "member",
                           "sure": True}]}  # fmt: skip
    for name, value in {
        "RESULTS": tmp_path / "cleaning.json", "PAGE": tmp_path / "cleaning.md",
        "SETS": {"FG-NET": some}, "of_lfw": lambda: lfw,
    }.items():  # fmt: skip
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(sys, "argv", ["cleaning.py", str(tmp_path)])
    study.main()
    runs = json.loads((tmp_path / "cleaning.json").read_text())["FG-NET"]
    assert len(runs) == study.SEEDS
    for run in runs:
        found, planted = run["recall"]["all"]["all"]
        assert found >= 0.9 * planted
    page = (tmp_path / "cleaning.md").read_text()
    assert "| A B / C | 1.000 | 7 |" in page
    monkeypatch.setattr(study, "label_errors", lambda *_: pytest.fail("measured again"))
    study.main()
    assert (tmp_path / "cleaning.md").read_text() == page
