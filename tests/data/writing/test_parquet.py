"""Parquet files with the images in them: the same however often the writing was interrupted."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing import parquet
from arcwise.data.writing.parquet import ParquetWriter


def source(rows: int) -> Manifest:
    table = pa.table(
        {
            "identity": [f"Mü {row // 3}" for row in range(rows)],
            "image": [f"a/{row}.png" if row % 2 else f"x.rec/{row}" for row in range(rows)],
            "age": pa.array([None if row % 5 == 0 else float(row) for row in range(rows)]),
            "box": pa.array([[row, 1, 2, 3] for row in range(rows)], pa.list_(pa.float32(), 4)),
            "fold": pa.array(range(rows), pa.int8()),
        }
    )
    return Manifest(table, Path(), "source")


def image(row: int) -> bytes:
    return b"\xff\xd8" + bytes([row]) * (row % 7) * 10


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 100)


def written(folder: Path, rows: list[int], closed: list[int] = []) -> bytes:  # noqa: B006
    """The file of these rows; the writing is closed before some of them, and resumed."""
    folder.mkdir()
    writer = ParquetWriter(folder, "set.parquet", source(40))
    for row in rows:
        if row in closed:
            writer.close()
            writer = ParquetWriter(folder, "set.parquet", source(40))
            before = [one for one in rows if one < row]
            assert writer.resume() == (before[-1] + 1 if before else 0)
        writer.add(row, image(row))
    assert writer.finish(rows) == ["set.parquet"]
    writer.close()
    assert [one.name for one in folder.iterdir()] == ["set.parquet"]
    return (folder / "set.parquet").read_bytes()


rows_of_40 = st.sets(st.integers(0, 39), min_size=1).map(sorted)


@given(rows=rows_of_40, closed=st.lists(st.integers(0, 39), max_size=3))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read_and_the_same_after_interruptions(tmp_path_factory, rows, closed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "GROUP_BYTES", 100)
        folder = tmp_path_factory.mktemp("writing")
        data = written(folder / "once", rows)
        assert written(folder / "again", rows, closed) == data
    manifest = open_manifest(folder / "once" / "set.parquet")
    assert [manifest.read(place) for place in range(len(rows))] == [image(row) for row in rows]
    expected = source(40).select(rows).table
    for name in ("identity", "age", "box", "fold"):
        assert manifest.table[name].equals(expected[name]), name
    assert manifest.images[0].startswith("set.parquet/0/")


def test_names_keep_their_base_and_get_an_ending(tmp_path, small_groups):
    written(tmp_path / "x", [0, 1])
    manifest = open_manifest(tmp_path / "x" / "set.parquet")
    assert manifest.images == ["set.parquet/0/0.jpg", "set.parquet/1/1.png"]


def test_row_groups_are_as_large_as_said_and_pictures_uncompressed(tmp_path, small_groups):
    written(tmp_path / "x", list(range(40)))
    file = pq.ParquetFile(tmp_path / "x" / "set.parquet")
    counts = [file.metadata.row_group(one).num_rows for one in range(file.num_row_groups)]
    assert sum(counts) == 40
    assert max(counts) <= 7
    assert file.metadata.row_group(0).column(1).compression == "UNCOMPRESSED"
    assert file.schema_arrow.field("image").type == parquet._IMAGE


def test_after_a_kill_it_starts_over_or_from_the_piece_before(tmp_path, small_groups):
    writer = ParquetWriter(tmp_path, "set.parquet", source(40))
    for row in range(10):
        writer.add(row, image(row))
    again = ParquetWriter(tmp_path, "set.parquet", source(40))  # the first one was killed
    assert again.resume() == 0
    for row in range(6):
        again.add(row, image(row))
    again.close()
    third = ParquetWriter(tmp_path, "set.parquet", source(40))
    assert third.resume() == 6
    third.add(6, image(6))
    fourth = ParquetWriter(tmp_path, "set.parquet", source(40))  # the third one was killed
    assert fourth.resume() == 6
    for row in range(6, 40):
        fourth.add(row, image(row))
    fourth.finish(list(range(40)))
    assert (tmp_path / "set.parquet").read_bytes() == written(tmp_path / "x", list(range(40)))
    writer.close()
    third.close()


def test_memory_holds_one_row_group(tmp_path):
    writer = ParquetWriter(tmp_path, "set.parquet", source(40))
    for row in range(40):
        writer.add(row, bytes(2**18))
        assert sum(map(len, writer._waiting)) < parquet.GROUP_BYTES
    writer.finish(list(range(40)))
