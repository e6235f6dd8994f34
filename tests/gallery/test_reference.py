"""The gallery against a dictionary and loops: whatever is done to both, they answer the same."""

from __future__ import annotations

import math
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.gallery import open_gallery, sql
from arcwise.gallery.matrix import TemplateMatrix

# The 24 vertices of a regular polytope: unit vectors whose cosines, 0, ±1/2 and ±1, are exact in
# floating point, so that ties abound and the order of the answers has no excuse.
POINTS = [
    *(tuple(sign * float(i == axis) for i in range(4)) for axis in range(4) for sign in (1, -1)),
    *product((0.5, -0.5), repeat=4),
]
NAMES = ["ann", "bob", "cid", "dee", "eve"]

point = st.integers(0, 23)
name = st.sampled_from(NAMES)
step = st.one_of(
    st.tuples(st.just("enrol"), st.lists(st.tuples(name, point), max_size=6), st.booleans()),
    st.tuples(st.just("remove"), name, st.none()),
    st.tuples(st.just("reopen"), st.none(), st.none()),
)


class Reference:
    """Templates by identity, and nothing clever."""

    def __init__(self) -> None:
        self.templates: dict[str, list[tuple[int, tuple[float, ...], dict]]] = {}
        self.last = 0

    def enrol(self, items, replace):
        if replace:
            for identity, _ in items:
                self.templates.pop(identity, None)
        for identity, vector in items:
            self.last += 1
            metadata = {"n": self.last}
            self.templates.setdefault(identity, []).append((self.last, vector, metadata))

    def search(self, query, k):
        best = []
        for identity, templates in self.templates.items():
            scored = [
                (-math.fsum(a * b for a, b in zip(query, vector, strict=True)), template, metadata)
                for template, vector, metadata in templates
            ]
            similarity, template, metadata = min(scored, key=lambda one: one[:2])
            best.append((similarity, identity, template, metadata))
        best.sort(key=lambda one: one[:2])
        return [(identity, -s, template, metadata) for s, identity, template, metadata in best[:k]]


def as_tuples(hits):
    return [(hit.identity, hit.similarity, hit.template, hit.metadata) for hit in hits]


@settings(max_examples=40, deadline=None)
@given(st.lists(step, max_size=9), st.integers(1, 7), st.booleans())
def test_any_sequence_of_changes(steps, k, compacting):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if compacting:
            patch.setattr(sql, "_COMPACT_FROM", 1)
            patch.setattr(sql, "_KEPT_REMOVALS", 2)
        path = Path(folder) / "g"
        reference = Reference()
        gallery = open_gallery(path, create=True, dim=4)
        watcher = open_gallery(path, mode="r")
        for what, subject, replace in steps:
            if what == "enrol":
                items = [(identity, POINTS[i]) for identity, i in subject]
                first = reference.last + 1
                reference.enrol(items, replace)
                gallery.enrol(
                    [(*item, {"n": first + n}) for n, item in enumerate(items)], replace=replace
                )
            elif what == "remove" and subject in reference.templates:
                removed = gallery.remove(subject)
                assert removed == len(reference.templates.pop(subject))
            elif what == "reopen":
                gallery.close()
                gallery = open_gallery(path)
        expected = [reference.search(query, k) for query in POINTS]
        assert [as_tuples(hits) for hits in gallery.search(POINTS, k)] == expected
        assert as_tuples(gallery.search(POINTS[7], k)[0]) == expected[7]
        assert [as_tuples(hits) for hits in watcher.search(POINTS, k)] == expected
        assert gallery.identities() == sorted(reference.templates)
        count = sum(map(len, reference.templates.values()))
        assert len(gallery) == len(watcher) == gallery.check().templates == count
        watcher.close()
        gallery.close()


def scan_of(identities, vectors):
    scan = TemplateMatrix(vectors.shape[1])
    scan.append(np.arange(len(vectors)), identities, vectors, ["{}"] * len(vectors))
    return scan


def slow(identities, vectors, query, k):
    best: dict[str, tuple[float, int]] = {}
    for row, identity in enumerate(identities):
        vector = vectors[row].astype(np.float64)
        similarity = float(np.dot(vector, query)) / math.hypot(*vector)
        if identity not in best or similarity > best[identity][0]:
            best[identity] = (similarity, row)
    return sorted(best.items(), key=lambda one: (-one[1][0], one[0]))[:k]


@pytest.mark.parametrize("queries", [1, 40])
@pytest.mark.parametrize("k", [1, 5, 700, 2000])
@pytest.mark.parametrize("crowd", [0, 1000])
def test_large_galleries_whatever_the_share_of_one_identity(unit, queries, k, crowd):
    vectors = unit(3000, 32)
    vectors[:crowd] = vectors[0] + 1e-3 * vectors[:crowd]  # a crowd around one point
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    identities = ["one"] * crowd + [f"p{row % 1000}" for row in range(3000 - crowd)]
    probes = np.concatenate([vectors[:1], unit(queries - 1, 32, seed=1)]).astype(np.float64)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    answers = scan_of(identities, vectors).search(probes, k)
    for number in {0, len(probes) - 1}:
        expected = slow(identities, vectors, probes[number], k)
        assert [row for _, row in answers[number]] == [row for _, (_, row) in expected]
        assert np.allclose([s for s, _ in answers[number]], [s for _, (s, _) in expected], 0, 1e-12)
        assert len(answers[number]) == min(k, len(set(identities)))


def test_a_gallery_of_equal_vectors_is_one_long_tie(unit):
    vectors = np.repeat(unit(1, 8), 3000, axis=0)
    identities = [f"p{row:04}" for row in reversed(range(3000))]
    scan = scan_of(identities, vectors)
    for queries in (1, 25):
        probes = np.repeat(unit(1, 8, seed=1).astype(np.float64), queries, axis=0)
        for found in scan.search(probes, 3):
            assert [scan.identity(row) for _, row in found] == ["p0000", "p0001", "p0002"]


def test_removing_from_the_middle_leaves_every_other_row_whole(unit):
    vectors = unit(500, 8)
    scan = scan_of([f"p{row % 50}" for row in range(500)], vectors)
    rng = np.random.default_rng(3)
    live = set(range(500))
    for size in (1, 7, 100, 300, 92):
        gone = rng.choice(sorted(live), size, replace=False).tolist()
        live -= set(gone)
        scan.remove([*gone, 10_000])
        assert sorted(t for p in scan.identities() for t in scan.templates(p)) == sorted(live)
        for template in sorted(live)[:20]:
            assert scan.similarities(f"p{template % 50}", vectors[template].astype(float)).max() > (
                1 - 1e-6
            )
    assert not live
    assert scan.identities() == []
