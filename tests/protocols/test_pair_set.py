"""Pairs as a table lists them, or drawn; wrong ones are refused before anything is embedded."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.protocols.pair_set import PairSet, drawn_pairs, listed_pairs, read_pair_list
from arcwise.protocols.template_set import TemplateSet
from tests.protocols.tables import people, templates, vectors

IDS = people(20, 2)
NAMES = [f"{row}.jpg" for row in range(40)]


@pytest.fixture(scope="module")
def image_set() -> TemplateSet:
    return templates(identity=IDS, image=NAMES)


def line(a: int, b: int, *more: object) -> str:
    return ",".join(map(str, (NAMES[a], NAMES[b], int(IDS[a] == IDS[b]), *more)))


def disjoint() -> list[tuple[int, int]]:
    """Twenty pairs of which every two that follow each other share two people with nobody else."""
    return [pair for one in range(0, 40, 4) for pair in ((one, one + 1), (one, one + 2))]


def read(tmp_path: Path, image_set: TemplateSet, header: str, lines: list[str]) -> PairSet:
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    pairs = read_pair_list(path, image_set.manifest)
    assert pairs is not None
    return listed_pairs(pairs, image_set, [*NAMES, "left.jpg"])


def test_what_the_table_says(image_set: TemplateSet, tmp_path: Path) -> None:
    rows = [(0, 1, "f", 3), (2, 5, "g", 9)]
    found = read(
        tmp_path, image_set, "a,b,same,light,gap", [line(a, b, *more) for a, b, *more in rows]
    )
    assert (found.a.tolist(), found.b.tolist()) == ([0, 2], [1, 5])
    assert found.same.tolist() == [True, False]
    columns = {name: column.to_pylist() for name, column in found.columns.items()}
    assert columns == {"light": ["f", "g"], "gap": ["3", "9"]}
    scores = found.similarities(image_set.pool(vectors(IDS)))
    rows = vectors(IDS)
    np.testing.assert_allclose(scores, [rows[0] @ rows[1], rows[2] @ rows[5]], atol=1e-6)


def test_folds_of_the_table(image_set: TemplateSet, tmp_path: Path) -> None:
    lines = [line(a, b, f"f{row // 4}") for row, (a, b) in enumerate(disjoint())]
    found = read(tmp_path, image_set, "a,b,same,fold", lines)
    assert found.folds is not None
    assert found.folds.tolist() == [f"f{row // 4}" for row in range(20)]
    scores = found.similarities(image_set.pool(vectors(IDS)))
    result = found.verification(scores, image_set.ids, 0)
    direct = evaluation.verification(scores, found.same, np.arange(20) // 4)
    assert float(result.accuracy) == float(direct.accuracy)


def test_ten_folds_where_none_are_named_and_nobody_is_shared(
    image_set: TemplateSet, tmp_path: Path
) -> None:
    lines = [line(a, b) for a, b in disjoint()]
    folds = read(tmp_path, image_set, "a,b,same", lines).folds
    assert folds is not None
    assert folds.tolist() == [row // 2 for row in range(20)]
    assert read(tmp_path, image_set, "a,b,same", [*lines, line(0, 39)]).folds is None


def test_pairs_that_are_not_measured_are_counted(image_set: TemplateSet, tmp_path: Path) -> None:
    found = read(tmp_path, image_set, "a,b,same", [line(0, 1), "left.jpg,1.jpg,0", line(0, 2)])
    assert (len(found.a), found.left_out) == (2, 1)


@pytest.mark.parametrize(
    ("header", "lines", "said"),
    [
        ("a,b,same", ["left.jpg,left.jpg,1"], "in each of the 1 pairs something is not measured"),
        ("a,b,same", [line(0, 1), "9.png,1.jpg,0"], r"row 2: '9\.png' is not one of the 41 imag"),
        ("a,b,same", ["0.jpg,1.jpg,yes"], "row 1: same is 'yes'; expected 1 or 0"),
        ("a,b,same", [line(0, 1)], "1 mated and 0 impostor pairs"),
        ("a,b,same", ["0.jpg,1.jpg,0", line(2, 3)], "expected them to agree"),
        ("a,b,same,fold", [line(0, 1, 1), line(2, 4, 1)], "folds holds one label"),
        (
            "a,b,same,fold",
            [line(a, b, row % 2) for row, (a, b) in enumerate(disjoint())],
            r"pairs\.csv: identity p00 is in folds 0 and 1 .10 such identities",
        ),
    ],
)
def test_pairs_that_make_no_sense(
    image_set: TemplateSet, tmp_path: Path, header: str, lines: list[str], said: str
) -> None:
    with pytest.raises(ArcwiseError, match=said):
        read(tmp_path, image_set, header, lines)


class TestAsColumns:
    """The pairs of a data set itself, and those of millions."""

    def listed(self, pairs: pa.Table, known: list[str], **columns: list[object]) -> PairSet:
        named = templates(**columns)
        found = read_pair_list(None, replace(named.manifest, pairs=pairs))
        assert found is not None
        return listed_pairs(found, named, known)

    def test_a_data_set_that_lists_none(self, image_set: TemplateSet) -> None:
        assert read_pair_list(None, image_set.manifest) is None

    @given(seed=st.integers(0, 10**6), kind=st.sampled_from([pa.string(), pa.large_string()]))
    def test_as_a_slow_reference_has_them(self, seed: int, kind: pa.DataType) -> None:
        """Rows in any order and number, some not measured, in chunks."""
        rng = np.random.default_rng(seed)
        left = rng.permutation(40)[: rng.integers(20, 41)]
        a, b = rng.integers(40, size=(2, 30))
        ids = np.array(IDS)
        same = ids[a] == ids[b]
        rows = [row for row in range(30) if a[row] in left and b[row] in left]
        sides = [
            pa.chunked_array(
                [[NAMES[one] for one in part] for part in np.split(side, [9, 9])], kind
            )
            for side in (a, b)
        ]
        table = pa.table({"a": sides[0], "b": sides[1], "same": pa.array(same)})
        columns = {"identity": ids[left].tolist(), "image": [NAMES[row] for row in left]}
        if len({bool(same[row]) for row in rows}) < 2:
            with pytest.raises(ArcwiseError, match=r"set: (in each of|\d+ mated and \d+ imp)"):
                self.listed(table, NAMES, **columns)
            return
        found = self.listed(table, NAMES, **columns)
        position = {int(row): number for number, row in enumerate(left)}
        assert found.a.tolist() == [position[int(a[row])] for row in rows]
        assert found.b.tolist() == [position[int(b[row])] for row in rows]
        assert found.same.tolist() == same[rows].tolist()
        assert found.left_out == 30 - len(rows)

    def test_without_identities(self) -> None:
        table = pa.table({"a": ["x", "y"], "b": ["y", "z"], "same": [True, False]})
        found = self.listed(table, ["x", "y", "z"], image=list("xyz"))
        assert found.source == "set"
        made = found.verification(np.array([0.5, 0.1]), None, 0)
        direct = evaluation.verification(np.array([0.5, 0.1]), found.same, None)
        assert (made.eer, made.eer.low, made.sample) == (direct.eer, direct.eer.low, None)

    def test_names_that_are_not_there(self) -> None:
        table = pa.table({"a": ["x", "y"], "b": ["y", "q"], "same": [True, False]})
        with pytest.raises(ArcwiseError, match="set: row 2: 'q' is not one of the 3 images of s"):
            self.listed(table, ["x", "y", "z"], image=list("xyz"))

    def test_who_contradicts_is_named(self, image_set: TemplateSet, tmp_path: Path) -> None:
        said = r"pairs.csv: 0\.jpg is p00, 1\.jpg is p00, and same is 0; expected them to agree"
        with pytest.raises(ArcwiseError, match=said):
            read(tmp_path, image_set, "a,b,same", ["0.jpg,1.jpg,0", line(2, 3)])

    def test_half_a_million_are_quick(self) -> None:
        """All pairs are scored at once: lists of Python's own would take seconds."""
        rng = np.random.default_rng(0)
        ids = people(1000, 2)
        a, b = rng.integers(2000, size=(2, 500_000))
        b[::2] = a[::2] ^ 1
        names = np.array([f"{row}.jpg" for row in range(2000)])
        table = pa.table({"a": names[a], "b": names[b], "same": a // 2 == b // 2})
        start = time.process_time()
        found = self.listed(table, names.tolist(), identity=ids, image=names.tolist())
        assert time.process_time() - start < 2
        np.testing.assert_array_equal(found.a, a)


def kinds(ids: np.ndarray) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    pairs = [(a, b) for a in range(len(ids)) for b in range(a + 1, len(ids))]
    mated = {(a, b) for a, b in pairs if ids[a] == ids[b]}
    return mated, set(pairs) - mated


@pytest.mark.parametrize("most", [2, 7, 100, 500, 1000, 1769, 1770])
def test_pairs_of_both_kinds(most: int) -> None:
    ids = np.random.default_rng(0).integers(0, 9, 60).astype(str)
    mated, impostors = kinds(ids)
    found = drawn_pairs(ids, seed=1, most=most)
    assert len(found.a) == most
    rows = list(zip(np.minimum(found.a, found.b), np.maximum(found.a, found.b), strict=True))
    assert len(set(rows)) == len(rows)
    right = {row for row, same in zip(rows, found.same, strict=True) if same}
    assert right <= mated
    assert set(rows) - right <= impostors
    assert len(right) == (len(mated) if most == 1770 else min(len(mated), most // 2))
    assert (found.description == "all 1,770 pairs") == (most == 1770)


def test_the_seed_decides() -> None:
    ids = np.repeat(np.arange(50), 4)
    one, again, other = (drawn_pairs(ids, seed, most=300) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.a, again.a)
    np.testing.assert_array_equal(one.b, again.b)
    assert not np.array_equal(one.b, other.b)


def test_a_sample_is_even() -> None:
    """Every impostor pair, and every mated one, is about as likely as every other."""
    ids = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    counts = np.zeros((8, 8))
    for seed in range(600):
        found = drawn_pairs(ids, seed, most=10)
        counts[np.minimum(found.a, found.b), np.maximum(found.a, found.b)] += 1
    mated, impostors = kinds(ids)
    for pairs, chosen in ((mated, 5 * 600), (impostors, 5 * 600)):
        expected = chosen / len(pairs)
        found = np.array([counts[pair] for pair in pairs])
        np.testing.assert_allclose(found, expected, rtol=0, atol=5 * np.sqrt(expected))
