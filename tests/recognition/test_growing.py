"""Strangers who come back, against loops, and after a stop."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.gallery import Gallery, open_gallery
from arcwise.recognition.growing import GROWN, SEEN, UNKNOWN, Sightings, free_name
from tests.verbs.conftest import search_threshold

DIM, LINE = 8, 0.8


@pytest.fixture
def thresholds() -> Any:
    """What Sightings asks a model for."""
    searches = [
        search_threshold(0.01, 1000, LINE),
        search_threshold(0.1, 1000, 0.5),
        search_threshold(0.01, 2, 0.7),
    ]
    return SimpleNamespace(path="model", thresholds=(), search_thresholds=searches)


@pytest.fixture
def gallery(tmp_path: Path) -> Any:
    with open_gallery(tmp_path / "g", create=True, dim=DIM) as store:
        yield store


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def slowly(rows: np.ndarray, line: float) -> list[list[int]]:
    """Return the groups that `Sightings` promises to make, by their rows."""
    kept: list[int] = []
    groups = []
    for row, vector in enumerate(rows):
        met = [one for one in kept if float(rows[one] @ vector) >= line]
        together = [
            one for one in met
            if any(other != one and float(rows[one] @ rows[other]) >= line for other in met)
        ]  # fmt: skip
        if together:
            groups.append([*together, row])
            kept = [one for one in kept if one not in together]
        else:
            kept.append(row)
    return groups


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_together(gallery: Gallery, thresholds: Any, seed: int) -> None:
    draw = np.random.default_rng(seed)
    thresholds.search_thresholds = thresholds.search_thresholds[:1]
    rows = unit(draw.normal(size=(12, DIM))[draw.integers(12, size=60)]
                + 0.25 * draw.normal(size=(60, DIM)))  # fmt: skip
    sightings = Sightings(gallery, thresholds, 0.01)
    numbers: dict[int, int] = {}
    found = []
    for row, vector in enumerate(rows):
        numbers[row], name = sightings.add(vector, {"row": row}, None, None)
        if name is not None:
            found.append(name)
    expected = slowly(rows, LINE)
    assert len(expected) >= 3
    assert found == [f"{UNKNOWN}-{one:04}" for one in range(1, len(expected) + 1)]
    for name, group in zip(found, expected, strict=True):
        templates = gallery.templates(name)
        assert {one.template for one in templates} == {numbers[row] for row in group}
        for one in templates:
            assert one.metadata.keys() == {"row", GROWN, "seen"}
            assert (one.metadata[GROWN], one.metadata["seen"]) == (True, len(group))
    assert gallery.identities() == sorted(found)
    assert len(sightings) == len(gallery.quarantined())
    again = Sightings(gallery, thresholds, 0.01)
    assert again._templates == sightings._templates
    np.testing.assert_array_equal(again._vectors, sightings._vectors)


def test_two_that_do_not_meet_each_other_are_no_evidence(gallery: Gallery, thresholds: Any) -> None:
    angle = np.arccos(LINE) * 0.9
    ends = [np.cos(angle), np.sin(angle)], [np.cos(angle), -np.sin(angle)]
    rows = [np.array([*end, *np.zeros(DIM - 2)], np.float32) for end in (*ends, [1.0, 0.0])]
    sightings = Sightings(gallery, thresholds, 0.01)
    assert [sightings.add(row, {}, None, None)[1] for row in rows] == [None, None, None]
    assert {why for _, why in gallery.quarantined()} == {f"{SEEN}1 time", f"{SEEN}2 times"}


def test_the_threshold_follows_the_number_of_sightings(gallery: Gallery, thresholds: Any) -> None:
    sightings = Sightings(gallery, thresholds, 0.01)
    assert sightings.point.threshold == 0.7
    for row in np.eye(DIM, dtype=np.float32)[:3]:
        sightings.add(row, {}, None, None)
    assert sightings.point.threshold == LINE
    assert Sightings(gallery, thresholds, 0.1).point.threshold == 0.5
    thresholds.search_thresholds = []
    with pytest.raises(ArcwiseError, match="calibrate"):
        Sightings(gallery, thresholds, 0.01)


def test_what_others_do_is_seen(gallery: Gallery, thresholds: Any, tmp_path: Path) -> None:
    rows = unit(np.eye(DIM)[0] + 0.1 * np.random.default_rng(0).normal(size=(4, DIM)))
    sightings = Sightings(gallery, thresholds, 0.01)
    first, _ = sightings.add(rows[0], {}, None, None)
    sightings.add(rows[1], {}, None, None)
    with open_gallery(tmp_path / "g") as other:
        other.remove_templates([first])
    assert sightings.add(rows[2], {}, None, None)[1] is None
    assert sightings.add(rows[3], {}, None, None)[1] == f"{UNKNOWN}-0001"


@pytest.mark.parametrize("call", ["quarantine", "assign", "annotate", "release"])
def test_a_stop_on_the_way(
    gallery: Gallery, thresholds: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes part who should not, and the next one is found all the same."""
    rows = unit(np.eye(DIM)[0] + 0.1 * np.random.default_rng(0).normal(size=(5, DIM)))
    sightings = Sightings(gallery, thresholds, 0.01)
    sightings.add(rows[0], {}, None, None)
    sightings.add(rows[1], {}, None, None)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(gallery), call, killed)
        vector = np.eye(DIM, dtype=np.float32)[1] if call == "quarantine" else rows[2]
        with pytest.raises(KeyboardInterrupt):
            sightings.add(vector, {}, None, None)
    after = Sightings(gallery, thresholds, 0.01)
    assert gallery.identities() == []
    _, name = after.add(rows[3], {}, None, None)
    assert name is not None
    assert gallery.counts() == {name: 3}


def test_somebody_who_is_called_so(gallery: Gallery, thresholds: Any) -> None:
    """Templates of an identity `unknown` that a person enrolled are none of ours."""
    gallery.enrol([(UNKNOWN, np.eye(DIM, dtype=np.float32)[0])])
    assert len(Sightings(gallery, thresholds, 0.01)) == 0
    assert gallery.counts() == {UNKNOWN: 1}


def test_names() -> None:
    assert free_name([]) == f"{UNKNOWN}-0001"
    taken = [f"{UNKNOWN}-0002", f"{UNKNOWN}-10000", "unknown-x", "Ann"]
    assert free_name(taken) == f"{UNKNOWN}-10001"
