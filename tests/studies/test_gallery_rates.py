"""The study of decisions in every store counts what a gallery decides."""

from __future__ import annotations

import numpy as np

import gallery_rates as study
from promises import Half, rounded


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_rates_are_those_of_loops(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    people = unit(rng.normal(size=(160, 8)))
    ids = np.repeat(np.arange(160), 4)
    vectors = unit(people[ids] + 0.15 * rng.normal(size=(640, 8)))
    half, rest = ids < 80, ids >= 120
    enrolled = ~half & ~rest & (np.arange(640) % 4 == 0)
    mated = ~half & ~rest & ~enrolled
    trial = study.Trial(
        vectors[enrolled],
        ids[enrolled],
        *(Half(vectors[r], ids[r]) for r in (mated, rest, half, half)),
    )
    monkeypatch.setattr(study, "RATES", (0.1, 0.05))
    makers = {store: lambda name, store=store: str(tmp_path / store) for store in study.STORES}
    model = study.Calibrated(study.evaluation.calibrate(vectors[half], ids[half]), ())
    cells = list(study.measured(trial, model, makers, "a"))
    in_gallery = [one for one in cells if one["promise"] == "gallery"]
    assert [one["rate"] for one in in_gallery] == [0.1, 0.05]
    thresholds = study.in_gallery(trial)
    judged = trial.mated.ids[~study.calibrating(trial)]
    assert 0 < len(judged) < len(trial.mated.ids)
    for cell, promised in zip(in_gallery, thresholds, strict=True):
        answered = found = 0
        for query in trial.unknown.vectors:
            answered += (trial.vectors @ query).max() >= promised.threshold
        for query, own in zip(trial.mated.vectors, trial.mated.ids, strict=True):
            scores = trial.vectors @ query
            right = trial.owners[scores.argmax()] == own and scores.max() >= promised.threshold
            found += right and own in judged
        assert cell["fpir"][:2] == [rounded(promised.fpir_low), rounded(promised.fpir_high)]
        assert np.isclose(cell["fpir"][2], answered / len(trial.unknown.ids), rtol=1e-3)
        assert np.isclose(cell["found"], found / len(judged), atol=1e-4)
        assert cell["dir"] is not None
