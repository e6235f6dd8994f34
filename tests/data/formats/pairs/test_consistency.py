"""Pairs that name one image twice, that contradict the identities, or spell paths otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise.data.check import check
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pairs import read_pairs
from arcwise.data.formats.pairs.consistency import (
    check_agreement,
    contradictions,
    self_pair_notes,
    self_pairs,
)
from arcwise.data.formats.pairs.row_names import plain_paths, with_row_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_convert import convert

AFolder = Callable[..., Path]


def listed(*rows: tuple[str, str, bool]) -> pa.Table:
    a, b, same = zip(*rows, strict=True)
    return pa.table({"a": list(a), "b": list(b), "same": list(same)})


def manifest(images: list[str], identities: list[str | None]) -> Manifest:
    table = pa.table({"image": images, "identity": pa.array(identities, pa.string())})
    return Manifest(table, Path("/data/set"), "set")


SET = manifest(
    ["Al/1.png", "Al/2.png", "Bo/1.png", "Cy/1.png", "Al/../Al/1.png"], ["Al", "Al", "Bo", "", "Al"]
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.png", "a/b.png"),
        ("./a/b.png", "a/b.png"),
        ("a\\b.png", "a/b.png"),
        ("a//b.png", "a/b.png"),
        ("a/./b.png", "a/b.png"),
        ("c/../a/b.png", "a/b.png"),
        ("../a.png", "../a.png"),
        ("a/..b.png", "a/..b.png"),
    ],
)
def test_plain_paths(path: str, expected: str) -> None:
    assert plain_paths(pa.array([path, "x"])).to_pylist() == [expected, "x"]


@pytest.mark.parametrize(
    "name", ["./Al/1.png", "Al\\1.png", "Al//1.png", "Bo/../Al/1.png", "/data/set/Al/1.png"]
)
def test_names_are_those_of_the_manifest(name: str) -> None:
    pairs = with_row_names(listed((name, "Bo/1.png", False), ("Al/1.png", "none", True)), SET)
    assert pairs["a"].to_pylist() == ["Al/1.png", "Al/1.png"]
    assert pairs["b"].to_pylist() == ["Bo/1.png", "none"]


def test_flags_that_identities_contradict() -> None:
    pairs = listed(
        ("Al/1.png", "Al/2.png", True),
        ("Al/1.png", "Al/2.png", False),
        ("Al/1.png", "Bo/1.png", True),
        ("Al/1.png", "Cy/1.png", True),  # whose this is is not known
        ("Al/1.png", "elsewhere.png", True),
    )
    assert contradictions(pairs, SET).tolist() == [1, 2]
    with pytest.raises(ArcwiseError, match=r"x: row 2: Al/1\.png is Al, .* same is 0; .*\(2 such"):
        check_agreement(pairs, SET, "x")
    without = Manifest(SET.table.drop_columns("identity"), SET.root, "set")
    assert len(contradictions(pairs, without)) == 0


def test_pairs_of_a_image_with_itself() -> None:
    pairs = listed(
        ("Al/1.png", "Al/1.png", True),
        ("Al/1.png", "Al/2.png", True),
        ("Al/1.png", "Al/../Al/1.png", True),
        ("Bo/1.png", "Cy/1.png", False),
    )
    assert self_pairs(pairs, SET).tolist() == [0, 2]
    assert self_pairs(pairs, SET, np.array([0, 1, 2, 2, -1])).tolist() == [0, 2, 3]
    note = self_pair_notes(pairs, self_pairs(pairs, SET))[0]
    assert note.startswith("2 of 4 pairs are of an image")
    assert self_pair_notes(pairs, np.empty(0, np.int64)) == ()


def test_a_list_with_other_slashes(a_folder: AFolder, tmp_path: Path) -> None:
    found = open_manifest(a_folder("Al/1.png", "Al/2.png", "Bo/1.png"))
    (tmp_path / "p.txt").write_text("./Al\\1.png Al/2.png 1\r\nAl//1.png Bo/1.png 0\r\n")
    (tmp_path / "p.csv").write_text("a,b,same\nAl\\1.png,Al/2.png,1\n./Al/1.png,Bo/1.png,0\n")
    rows = [("Al/1.png", "Al/2.png", True), ("Al/1.png", "Bo/1.png", False)]
    for name in ("p.txt", "p.csv"):
        assert read_pairs(tmp_path / name, found).equals(listed(*rows))


FLIPPED = "a,b,same\nAl/1.png,Al/2.png,0\nAl/1.png,Bo/1.png,1\n"
ITSELF = "a,b,same\nAl/1.png,Al/1.png,1\nAl/1.png,Bo/1.png,0\n"


@pytest.mark.parametrize("form", ["new/", "new.zip", "new.rec", "new.tar", "new.bin", "new.csv"])
@pytest.mark.parametrize("own", [True, False])
def test_convert_refuses_flipped_labels(
    a_folder: AFolder, tmp_path: Path, form: str, own: bool
) -> None:
    root = a_folder("Al/1.png", "Al/2.png", "Bo/1.png")
    pairs = (root if own else tmp_path) / "pairs.csv"
    pairs.write_text(FLIPPED)
    with pytest.raises(ArcwiseError, match=r"row 1: Al/1\.png is Al, Al/2\.png is Al, and same"):
        convert(root, f"{tmp_path}/{form}", pairs=None if own else pairs)
    assert not (tmp_path / form).exists()


def test_convert_says_which_pairs_are_of_one_image(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png", "Al/2.png", "Bo/1.png")
    (tmp_path / "pairs.csv").write_text(ITSELF)
    done = convert(root, tmp_path / "new.zip", pairs=tmp_path / "pairs.csv")
    assert any(note.startswith("1 of 2 pairs are of an image with itself") for note in done.notes)


@pytest.mark.parametrize(
    ("text", "copied", "said"),
    [
        (FLIPPED, False, ["row 1: Al/1.png is Al, Al/2.png is Al", "row 2: Al/1.png is Al, Bo/"]),
        (ITSELF, False, ["1 of 2 pairs are of an image with itself"]),
        ("a,b,same\nAl/1.png,Al/2.png,1\n", True, ["1 of 1 pairs are of an image with itself"]),
        ("a,b,same\nAl/1.png,Al/2.png,1\nAl/1.png,Bo/1.png,0\n", False, []),
    ],
)
def test_check_lists_them(a_folder: AFolder, text: str, copied: bool, said: list[str]) -> None:
    root = a_folder("Al/1.png", "Al/2.png", "Bo/1.png")
    (root / "pairs.csv").write_text(text)
    if copied:
        (root / "Al/2.png").write_bytes((root / "Al/1.png").read_bytes())
    report = check(open_manifest(root))
    assert len(report.pairs) == len(said)
    assert all(line.startswith(start) for line, start in zip(report.pairs, said, strict=True))
    assert report.problems == len(said) + copied


def test_a_pack_may_hold_one_image_on_both_sides(
    tmp_path: Path, a_picture: Callable[..., bytes]
) -> None:
    one, two, other = (a_picture(number) for number in range(3))
    (tmp_path / "p.bin").write_bytes(pickle.dumps(([one, one, two, other], [True, False])))
    (line,) = check(open_manifest(tmp_path / "p.bin", identities=False)).pairs
    assert line.startswith("1 of 2 pairs are of an image with itself (row 1: p.bin/0, p.bin/1)")


def test_lfw_lists_may_too(a_folder: AFolder, tmp_path: Path) -> None:
    found = open_manifest(a_folder("Al/Al_1.png", "Bo/Bo_1.png"))
    (tmp_path / "pairs.txt").write_text("Al\t1\t1\nAl\t1\tBo\t1\n")
    assert self_pairs(read_pairs(tmp_path / "pairs.txt", found), found).tolist() == [0]
