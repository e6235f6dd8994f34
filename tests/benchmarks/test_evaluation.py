"""The benchmark at tiny sizes: both ways find the same, the table shows what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.protocols import lines, measure, peers, problems, table

TINY = 0.004
FACTS = {
    "machine": "CPU, 2 cores", "numpy": "2", "scikit-learn": "1", "date": "2026-01-02",
    "scale": 1, "threads": 2, "repetitions": 1, "about": "plain",
}  # fmt: skip


@pytest.mark.parametrize("name", ["ijbc", "all_pairs", "search"])
def test_both_ways_find_the_same(name: str) -> None:
    task = lines.TASKS[name]
    problem, peer = task.make(TINY), task.peer()
    ours, theirs = task.ours.figures(task.ours.run(problem)), peer.figures(peer.run(problem))
    assert ours.keys() == theirs.keys()
    for key in ours.keys() - {"EER"}:
        assert ours[key] == pytest.approx(theirs[key], abs=1e-9), key
    # The one joins the corners of the ROC, the other takes the nearest.
    assert ours.get("EER", 0) == pytest.approx(theirs.get("EER", 0), abs=0.02)


def test_400_thresholds_find_nearly_the_best_accuracy() -> None:
    problem = problems.lfw(0.1)
    ours, theirs = lines.folds(problem), peers.folds(problem)
    assert ours["accuracy"] == pytest.approx(theirs["accuracy"], abs=0.01)


def test_other_draws_are_other_intervals_but_not_wider() -> None:
    problem = problems.lfw(0.1)
    ours = lines.widths(lines.bootstrap(problem, draws=100))
    theirs = peers.bootstrap(problem, draws=100)
    assert ours.keys() == theirs.keys()
    for name in ("AUC", "EER"):
        assert theirs[name] > 0
        assert ours[name] == pytest.approx(theirs[name], rel=0.5)


def test_problems_are_what_they_say() -> None:
    pairs = problems.ijbc(0.01)
    same = pairs.ids[pairs.first] == pairs.ids[pairs.second]
    assert same.sum() == problems.count(19_557, 0.01)
    assert len(same) - same.sum() == problems.count(15_638_932, 0.01)
    assert (pairs.first != pairs.second).all()
    scored = problems.lfw(0.05)
    assert scored.same.tolist() == [True, False] * 150
    assert ((scored.first == scored.second) == scored.same).all()
    search = problems.watchlist(TINY)
    known = np.isin(search.probes.ids, search.gallery.ids)
    assert known.tolist() == [True] * 50 + [False] * 50
    again = problems.ijbc(0.01)
    assert (again.embeddings == pairs.embeddings).all()
    assert (again.first == pairs.first).all()


def test_difficulty_is_that_of_real_faces() -> None:
    found = lines.values(lines.all_pairs(problems.everyone(0.1)))
    assert 0.9 < found["TAR@0.0001"] < 0.999


def test_a_line_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "limit", lambda: 2**30)
    monkeypatch.setattr(measure, "REHEARSAL", TINY)
    found = measure.run("folds", True, TINY)
    assert found["seconds"] > 0
    assert found["repetitions"] == measure.REPETITIONS
    assert found["figures"].keys() == {"accuracy", "deviation"}
    if sys.platform == "linux":
        assert found["peak"] > found["growth"] >= 0


def test_what_does_not_fit_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(scale: float) -> None:
        if scale > measure.REHEARSAL:
            raise MemoryError

    way = lines.Way("full", full, dict)
    task = lines.Task("too large", lambda scale: scale, way, lambda: way, 1)
    monkeypatch.setattr(measure, "limit", lambda: 5 * 2**30)
    monkeypatch.setitem(measure.TASKS, "large", task)
    with pytest.raises(measure.Absent, match="more than 5 GiB"):
        measure.run("large", True, TINY)


def record(task: str, way: str, **values: Any) -> dict[str, Any]:
    return {**FACTS, "task": task, "way": way, "figures": {"AUC": 0.5}, **values}


def test_the_page_puts_goals_beside_what_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Speed\n\nBefore.\n\n" + table.BEGIN + "\nold\n" + table.END + "\n\nAfter.\n")
    gib = 2**30
    records = [
        record("ijbc", "arcwise", seconds=12.0, peak=2 * gib, growth=gib),
        record("ijbc", "peer", seconds=30.0, peak=4 * gib, growth=gib, figures={"AUC": 0.75}),
        record("all_pairs", "arcwise", seconds=18.0, peak=gib, growth=gib),
        record("all_pairs", "peer", absent="needs more than 5 GiB"),
    ]
    table.write(page, records)
    once = page.read_text()
    assert once.startswith("# Speed\n\nBefore.\n")
    assert once.endswith("\nAfter.\n")
    assert "old" not in once
    assert "| 12 | ≤ 20 ✓ | 2,048 | 1,024 | ≤ 3,072 in all ✓ | 1 |" in once
    assert "| 30 |  | 4,096 | 1,024 |  | 1 |" in once
    assert "| 18 | ≤ 15 ✗ | 1,024 | 1,024 | ≤ 322 its own ✗ | 1 |" in once
    assert "needs more than 5 GiB" in once
    assert "farthest apart: AUC, 0.5 and 0.75" in once
    table.write(page, records)
    assert page.read_text() == once
