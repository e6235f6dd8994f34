"""What the names of files say, in any case: tables and pairs of ours in capitals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import make_archive

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.formats.file_kinds import OWN_TABLES, spelled_in_any_case
from arcwise.data.formats.opening import open_manifest

AFolder = Callable[..., Path]


def test_spellings() -> None:
    assert spelled_in_any_case("a.csv", "b.txt")[:2] == ("a.csv", "A.csv")
    assert OWN_TABLES.index("MANIFEST.CSV") < OWN_TABLES.index("manifest.parquet")


@pytest.mark.parametrize("name", ["MANIFEST.CSV", "Manifest.csv", "manifest.PARQUET"])
def test_a_table_in_capitals_is_believed(a_folder: AFolder, tmp_path: Path, name: str) -> None:
    root = a_folder("Al/1.png", "Al/2.png")
    if name.lower().endswith(".csv"):
        (root / name).write_text("image,identity\nAl/1.png,one\nAl/2.png,two\n")
    else:
        pq.write_table(
            pa.table({"image": ["Al/1.png", "Al/2.png"], "identity": ["one", "two"]}), root / name
        )
    make_archive(str(tmp_path / "all"), "zip", root)
    for path in (root, tmp_path / "all.zip"):
        assert open_manifest(path).identities == ["one", "two"]


@pytest.mark.parametrize("name", ["PAIRS.CSV", "Pairs.csv"])
def test_pairs_in_capitals_are_read(a_folder: AFolder, tmp_path: Path, name: str) -> None:
    root = a_folder("Al/1.png", "Al/2.png")
    (root / name).write_text("a,b,same\nAl/1.png,Al/2.png,1\n")
    make_archive(str(tmp_path / "all"), "zip", root)
    for path in (root, tmp_path / "all.zip"):
        pairs = open_manifest(path).pairs
        assert pairs is not None
        assert pairs["same"].to_pylist() == [True]
