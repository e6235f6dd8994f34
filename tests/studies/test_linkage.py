"""The study of linkage clustering, on a few people, with one epoch and one seed."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from arcwise.clustering.linkage.training import LinkageTraining
from studies import linkage
from tests.clustering.linkage.test_training import SHAPE, people


def test_from_the_vectors_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features").mkdir()
    for name, seed in (("lfw", 0), ("fgnet", 1)):
        vectors, person = people(24, seed)
        file = tmp_path / "features" / f"{name}_mobilefacenet.npz"
        np.savez(file, feature=vectors.astype(np.float16), person=person)
    settings = partial(LinkageTraining, training_shape=SHAPE, shape=SHAPE, epochs=1)
    for name, value in {
        "RESULTS": tmp_path / "linkage.json",
        "PAGE": tmp_path / "linkage.md",
        "SEEDS": 1,
        "AGGREGATIONS": ("mean",),
        "LinkageTraining": settings,
    }.items():
        monkeypatch.setattr(linkage, name, value)
    monkeypatch.setenv("ARCWISE_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["linkage.py", "--work", str(tmp_path / "work")])
    linkage.main()
    results = json.loads((tmp_path / "linkage.json").read_text())
    assert results["data"]["training"]["people"] == 12
    assert results["data"]["LFW"]["people"] == 12
    measured = results["mean 0"]["propagation"]["LFW"]
    first = (tmp_path / "linkage.md").read_text()
    assert first.count("\n|") == 2 * (2 + 2 + 3)
    assert f"| {measured['BCubed F'][0]:.4f} [" in first
    results["mean 0"]["propagation"]["LFW"]["clusters"] = 777
    (tmp_path / "linkage.json").write_text(json.dumps(results))
    linkage.main()  # nothing is measured again
    assert "| 777 |" in (tmp_path / "linkage.md").read_text()
