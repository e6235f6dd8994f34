"""The study of limits and names of clusters, on a few synthetic embeddings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from arcwise.evaluation import calibrate
from studies import cluster_limits as study


def made(products: int, seed: int = 0) -> study.Embeddings:
    draw = np.random.default_rng(seed)
    ids = np.repeat(np.arange(products), 12)
    vectors = draw.normal(size=(products, 16))[ids] + 0.4 * draw.normal(size=(len(ids), 16))
    return study.Embeddings(vectors, ids, calibrate(vectors, ids, draws=2))


def test_from_embeddings_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(13)
    parts = {
        "calibrated on": lambda _: study.rows_of(iter([study.Case("LFW", 13, [one])])),
        "in the heap": lambda _: study.rows_of(iter([study.Case("LFW", 13, [one, one])])),
        "names": study.names,
        "rounds": study.rounds,
    }
    for name, value in {
        "RESULTS": tmp_path / "l.json", "PAGE": tmp_path / "l.md", "PARTS": parts, "SEEDS": 2,
        "ROUNDS": 1, "products": lambda _: [one],
    }.items():  # fmt: skip
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(sys, "argv", ["cluster_limits.py", str(tmp_path)])
    study.main()
    found = json.loads((tmp_path / "l.json").read_text())
    (row,) = found["calibrated on"]
    assert row["usable"] == 1
    assert row["own"][0] > 0.9
    rules = {(one["enrolled"], one["rule"]): one for one in found["names"]}
    assert len(rules) == 6
    for one in rules.values():
        assert one["right"] <= one["of_enrolled"]
    before, after = found["rounds"]
    assert (before["judged"], after["judged"] > 0) == (0, True)
    page = (tmp_path / "l.md").read_text()
    assert f"{row['own'][0]:.3f}" in page
    study.main()
    assert (tmp_path / "l.md").read_text() == page
