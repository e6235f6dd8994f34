"""The audit of templates, against loops, and on faults that were planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from arcwise.gallery import audit as module
from arcwise.gallery.audit import DUPLICATE, HUB_RATE, NEIGHBOURHOOD, Limits, audit

LIMITS = Limits(pair=0.3, search=0.5)


def people(count: int = 30, each: int = 4, dim: int = 64, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return unit vectors of people, in no order, and their codes."""
    draw = np.random.default_rng(seed)
    owner = draw.permutation(np.repeat(np.arange(count), each))
    rows = draw.normal(size=(count, dim))[owner] + 0.5 * draw.normal(size=(count * each, dim))
    return unit(rows), owner


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slowly(vectors: np.ndarray, owner: np.ndarray, limits: Limits) -> tuple[object, ...]:
    """What `audit` says it finds, in float64 and one pair after the other."""
    rows = vectors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    count = len(rows)
    cosine = np.array([[float(a @ b) for b in rows] for a in rows])
    groups = [{row} for row in range(count)]
    for a, b in itertools.combinations(range(count), 2):
        if cosine[a, b] >= DUPLICATE and groups[a] is not groups[b]:
            joined = groups[a] | groups[b]
            for row in joined:
                groups[row] = joined
    duplicates = sorted({tuple(sorted(group)) for group in groups if len(group) > 1})
    near = min(count, max(10, round(NEIGHBOURHOOD * count)))
    reached = np.zeros(count, int)
    for code in set(owner.tolist()):
        found = set()
        for row in np.flatnonzero(owner == code):
            others = [other for other in range(count) if owner[other] != code]
            found |= set(sorted(others, key=lambda other: -cosine[row, other])[:near])
        reached[list(found)] += 1
    mean, variance = reached.mean(), reached.var()
    size = mean**2 / (variance - mean) if variance > mean else np.inf
    limit = (
        stats.nbinom.isf(HUB_RATE, size, size / (size + mean))
        if variance > mean
        else stats.poisson.isf(HUB_RATE, mean)
    )
    hubs = {row for row in range(count) if reached[row] > limit}
    dropped = hubs | {row for group in duplicates for row in group[1:]}
    own = {
        code: [row for row in np.flatnonzero(owner == code).tolist() if row not in dropped]
        for code in set(owner.tolist())
    }
    one = {}
    for a, b in itertools.combinations(sorted(own), 2):
        if own[a] and own[b]:
            sides = [
                np.mean([max(cosine[row, other] for other in own[j]) for row in own[i]])
                for i, j in ((a, b), (b, a))
            ]
            if min(sides) >= limits.search:
                one[a, b] = min(sides)
    misfits = set()
    for code, those in own.items():
        for row in those:
            mates = [other for other in those if other != row]
            others = [o for o in range(count) if owner[o] != code and o not in dropped]
            if not mates or not others:
                continue
            fit = np.mean([cosine[row, other] for other in mates])
            nearest = max(others, key=lambda other: cosine[row, other])
            explained = tuple(sorted((code, int(owner[nearest])))) in one
            if fit < limits.pair and cosine[row, nearest] > fit and not explained:
                misfits.add((row, nearest, bool(cosine[row, nearest] >= limits.search)))
    return duplicates, {row: int(reached[row]) for row in hubs}, one, misfits


def found(vectors: np.ndarray, owner: np.ndarray, limits: Limits) -> tuple[object, ...]:
    result = audit(vectors, owner, limits=limits)
    assert result.one_identity is not None
    assert result.misfits is not None
    return (
        list(result.duplicates),
        {one.row: one.identities for one in result.hubs},
        {
            tuple(sorted(one.codes)): pytest.approx(one.similarity, abs=1e-5)
            for one in result.one_identity
        },
        {(one.row, one.nearest, one.anothers) for one in result.misfits},
    )


@pytest.mark.parametrize("block", [2**22, 500])
@pytest.mark.parametrize("seed", range(4))
def test_it_finds_what_loops_find(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    vectors, owner = people(seed=seed)
    draw = np.random.default_rng(seed)
    owner[draw.integers(len(owner), size=6)] = draw.integers(30, size=6)  # moved
    owner[owner == 1] = np.where(np.arange((owner == 1).sum()) % 2, 1, 30)  # split in two
    vectors[5], vectors[9] = vectors[50], vectors[51]
    hub = unit(vectors.mean(axis=0, keepdims=True))
    vectors, owner = np.concatenate([vectors, hub]), np.append(owner, 2)
    expected = slowly(vectors, owner, LIMITS)
    assert found(vectors, owner, LIMITS) == expected
    assert all(len(part) for part in expected[:1] + expected[2:])  # type: ignore[arg-type]


def test_hubs_of_many_people() -> None:
    """Means of many people are found, and about as many others as the rate says.

    All people have something in common, as in the embeddings of a real network.
    """
    vectors, owner = people(400, 3)
    vectors = unit(vectors + 0.5 * np.eye(64)[0])
    hubs = unit(np.stack([vectors[seed::7].mean(axis=0) for seed in range(5)]))
    result = audit(np.concatenate([vectors, hubs]), np.append(owner, np.arange(5)))
    rows = [one.row for one in result.hubs]
    assert set(rows[:5]) == set(range(1200, 1205))
    assert len(rows) <= 5 + 4 * HUB_RATE * 1200
    assert (result.one_identity, result.misfits) == (None, None)


def test_what_is_known_of_the_images() -> None:
    vectors, owner = people()
    images = [[("file", row), ("thumbnail", row)] for row in range(len(owner))]
    images[3] = [("file", 3), ("thumbnail", 7)]
    images[8] = [("file", 3)]
    images[11] = []
    result = audit(vectors, owner, images=images)
    assert result.duplicates == ((3, 7, 8),)


def test_the_order_of_the_rows_is_of_no_matter() -> None:
    vectors, owner = people()
    owner[:3] = owner[3:6]
    vectors[40] = vectors[20]
    shuffled = np.random.default_rng(1).permutation(len(owner))
    one, two = (
        audit(vectors, owner, limits=LIMITS),
        audit(vectors[shuffled], owner[shuffled], limits=LIMITS),
    )
    assert one.misfits
    assert {m.row for m in one.misfits} == {int(shuffled[m.row]) for m in two.misfits or ()}
    (pair,) = two.duplicates
    assert sorted(shuffled[list(pair)].tolist()) == list(one.duplicates[0])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_templates(count: int) -> None:
    vectors, owner = people(2, 1)
    result = audit(vectors[:count], owner[:count], limits=LIMITS)
    assert (result.duplicates, result.hubs, result.misfits) == ((), (), ())
    many = audit(vectors[[0, 0, 0]], np.array([0, 1, 1]), limits=LIMITS)
    assert many.duplicates == ((0, 1, 2),)
