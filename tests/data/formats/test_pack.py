"""A verification pack as a data set: its pairs in ten folds, and nothing about identities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.model_selection import KFold

from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pack import contiguous_folds
from arcwise.errors import ArcwiseError
from arcwise.images import decode
from tests import packs


def a_pack(folder: Path, same: list[bool]) -> Path:
    images = [b"image %d" % number for number in range(2 * len(same))]
    (folder / "lfw.bin").write_bytes(packs.plain(images, same))
    return folder / "lfw.bin"


def test_images_and_pairs(tmp_path: Path) -> None:
    manifest = open_manifest(a_pack(tmp_path, [True, False, True]), identities=False)
    assert manifest.table.column_names == ["image"]
    assert manifest.images == [f"lfw.bin/{row}" for row in range(6)]
    assert [manifest.read(row) for row in range(6)] == [b"image %d" % one for one in range(6)]
    assert manifest.pairs == pa.table(
        {
            "a": ["lfw.bin/0", "lfw.bin/2", "lfw.bin/4"],
            "b": ["lfw.bin/1", "lfw.bin/3", "lfw.bin/5"],
            "same": [True, False, True],
        }
    )
    assert (manifest.name, manifest.notes) == ("lfw", ())
    assert manifest.understood == "a verification pack of 3 pairs"


@pytest.mark.parametrize("count", [20, 27, 6000])
def test_folds_are_those_of_kfold(tmp_path: Path, count: int) -> None:
    expected = np.zeros(count, int)
    for fold, (_, test) in enumerate(KFold(10, shuffle=False).split(np.zeros(count)), start=1):
        expected[test] = fold
    assert contiguous_folds(count).tolist() == expected.tolist()
    manifest = open_manifest(a_pack(tmp_path, [True] + [False] * (count - 1)), identities=False)
    assert manifest.pairs is not None
    assert manifest.pairs["fold"].to_pylist() == expected.tolist()


def test_fewer_than_two_pairs_a_fold_are_in_none(tmp_path: Path) -> None:
    manifest = open_manifest(a_pack(tmp_path, [True] * 9 + [False] * 10), identities=False)
    assert manifest.pairs is not None
    assert manifest.pairs.column_names == ["a", "b", "same"]
    manifest = open_manifest(a_pack(tmp_path, [True] * 10 + [False] * 10), identities=False)
    assert manifest.understood == "a verification pack of 20 pairs in 10 folds"


def test_it_has_no_identities(tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="lists pairs, not identities; 'arcwise evaluate' takes"):
        open_manifest(a_pack(tmp_path, [True]))


@pytest.mark.parametrize(
    ("same", "kind"), [(True, "the same identity"), (False, "different ident")]
)
def test_pairs_of_one_kind_are_noted(tmp_path: Path, same: bool, kind: str) -> None:
    (note,) = open_manifest(a_pack(tmp_path, [same] * 2), identities=False).notes
    assert note.startswith(f"all 2 pairs of lfw.bin are of {kind}")


def test_a_pack_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    open_manifest(a_pack(tmp_path, [True]), identities=False)
    assert len(open_manifest(a_pack(tmp_path, [True, False]), identities=False)) == 4


def test_the_real_one(data_dir: Path) -> None:
    manifest = open_manifest(data_dir / "reference" / "small_lfw.bin", identities=False)
    assert len(manifest) == 20
    shapes = {decode(manifest.read(row), manifest.image(row)).shape for row in range(20)}
    assert shapes == {(112, 112, 3)}
    assert manifest.notes == (
        "all 10 pairs of small_lfw.bin are of the same identity; no error rate follows from it",
    )
