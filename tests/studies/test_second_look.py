"""The study of a second look: its scores and rates against slow sums, and a small one whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from studies import second_look as study
from studies import second_look_scores as scores


def some(identities: int, images: int, seed: int = 0) -> study.Embeddings:
    draw = np.random.default_rng(seed)
    ids = np.repeat(np.arange(identities), images)
    own = draw.normal(size=(identities, 16))
    return study.Embeddings(scores.unit(own[ids] + draw.normal(size=(len(ids), 16))), ids)


@pytest.fixture
def gallery() -> tuple[scores.Enrolled, np.ndarray]:
    """Five identities with one to three templates, and four queries."""
    vectors = some(20, 1).vectors
    return scores.Enrolled(vectors[:10], np.array([0, 1, 1, 2, 2, 2, 3, 3, 4, 4])), vectors[16:]


def test_scores_are_those_of_slow_sums(gallery: tuple[scores.Enrolled, np.ndarray]) -> None:
    enrolled, queries = gallery
    vectors, owner = enrolled.vectors.astype(np.float64), enrolled.owner.tolist()

    def similar(query: np.ndarray) -> list[float]:
        each = vectors @ query
        return [max(s for s, who in zip(each, owner, strict=True) if who == i) for i in range(5)]

    def above(values: list[float], m: int) -> float:
        return float(np.mean(sorted(values)[::-1][:m]))

    within = []
    for i in range(5):
        rows = [similar(vectors[row]) for row in range(10) if owner[row] == i]
        others = [float(np.mean(one)) for j, one in enumerate(zip(*rows, strict=True)) if j != i]
        within.append(above(others, 2))
    one, both, expansion = (
        way(queries, enrolled)
        for way in (scores.one_sided(2), scores.symmetric(2), scores.expanded(3, 2, True))
    )
    for row, query in enumerate(queries.astype(np.float64)):
        plain = similar(query)
        following = above(sorted(plain)[:-1], 2)
        np.testing.assert_allclose(one[row], np.array(plain) - following, atol=1e-5)
        expected = [s - (following + side) / 2 for s, side in zip(plain, within, strict=True)]
        np.testing.assert_allclose(both[row], expected, atol=1e-5)
        moved = query.copy()
        for at in np.argsort(-(vectors @ query))[:2]:
            moved += max(0.0, float(vectors[at] @ query)) ** 3 * vectors[at]
        moved = similar(moved / np.linalg.norm(moved))
        np.testing.assert_allclose(expansion[row], (np.array(plain) + moved) / 2, atol=1e-5)


def test_a_weight_counts_an_identity_so_many_times() -> None:
    """The rate of images that are there several times, found one by one."""
    several = [some(30, 5)]
    cell = next(study.cells(several))
    times = np.random.default_rng(1).integers(0, 3, size=(2, 30))
    found = study.rates_found(scores.plain, cell, times)
    for draw, weight in enumerate(times):
        for split, search in enumerate(cell.searches):
            best = scores.plain(search.queries, search.gallery)
            count = weight[search.ids]
            mated = len(search.right)
            right = best[:mated].argmax(axis=1) == search.right
            own = np.repeat(np.where(right, best[:mated].max(axis=1), -np.inf), count[:mated])
            other = np.sort(np.repeat(best[mated:].max(axis=1), count[mated:]))[::-1]
            for place, rate in enumerate(study.RATES):
                line = other[int(rate * len(other) * (1 + 1e-9))]
                expected = np.mean(own > line) if len(own) else 0.0
                assert found[place, draw, split] == pytest.approx(expected)


def test_from_embeddings_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RESULTS": tmp_path / "second-look.json", "PAGE": tmp_path / "second-look.md",
        "SETTLING": {"LFW, half": lambda _: [some(30, 4)]},
        "MEASURED": {"FG-NET": lambda _: [some(64, 8, seed=1)]},
        "SPLITS": 3, "DRAWS": 10,
    }.items():  # fmt: skip
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(sys, "argv", ["second_look.py", str(tmp_path)])
    study.main()
    found = json.loads((tmp_path / "second-look.json").read_text())
    kinds = {(row["identities"], row["templates"]) for row in found["measured"]["FG-NET"]["rows"]}
    assert kinds == {(n, k) for n in (10, 32) for k in (1, 3)}
    decided = found["decided"]["FG-NET"]
    assert {(row["identities"], row["rate"]) for row in decided} == {(32, 0.1)}  # what is resolved
    assert all(0 <= row["right_in"] <= row["kept_in"] <= 3 for row in decided)
    page = (tmp_path / "second-look.md").read_text()
    assert "| 32 | 3 | 10% |" in page
    monkeypatch.setattr(study, "rates_found", lambda *_: pytest.fail("measured again"))
    study.main()
    assert (tmp_path / "second-look.md").read_text() == page
