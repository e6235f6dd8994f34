"""Tar shards: what tarfile reads and writes, the same however often the writing was cut off."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.shards import ShardWriter
from arcwise.images.headers.endings import image_ending

ROWS = 30


def source() -> Manifest:
    table = pa.table(
        {
            "image": [f"x/{row}" for row in range(ROWS)],
            "identity": [f"Mü/{row // 3}" for row in range(ROWS)],
            "age": pa.array([None if row % 5 == 0 else float(row) for row in range(ROWS)]),
            "box": pa.array([[row, 1, 2, 3] for row in range(ROWS)], pa.list_(pa.float32(), 4)),
            "shard": ["an older one"] * ROWS,
        }
    )
    return Manifest(table, Path(), "source")


def image(row: int) -> bytes:
    return (b"\x89PNG" if row % 4 == 0 else b"\xff\xd8") + bytes([row]) * (row * 37)


def writer_in(folder: Path) -> ShardWriter:
    folder.mkdir(exist_ok=True)
    return ShardWriter(folder, "train.tar", source(), shard_bytes=20_000)


def written(folder: Path, rows: list[int]) -> dict[str, bytes]:
    writer = writer_in(folder)
    for row in rows:
        writer.add(row, image(row))
    names = writer.finish(rows)
    writer.close()
    assert names[-1] == "train.index.parquet"
    assert sorted(names) == sorted(one.name for one in folder.iterdir())
    return {name: (folder / name).read_bytes() for name in names}


EVERY = list(range(ROWS))
some_rows = st.sets(st.integers(0, ROWS - 1), min_size=1).map(sorted)


@given(rows=some_rows)
@settings(max_examples=15, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("shards")
    written(folder, rows)
    by_table = open_manifest(folder)
    (folder / "train.index.parquet").unlink()
    by_scan = open_manifest(folder)
    expected = source().select(rows).table
    for manifest in (by_table, by_scan):
        assert [manifest.read(place) for place in range(len(rows))] == [*map(image, rows)]
        assert manifest.identities == expected["identity"].to_pylist()
        if any(expected["age"].is_valid().to_pylist()):
            assert manifest.column("age") == expected["age"].to_pylist()
        assert manifest.column("box") == expected["box"].to_pylist()
    assert by_table.table["box"].equals(expected["box"])
    assert by_table.images == by_scan.images


def test_the_real_tarfile_reads_the_webdataset_layout(tmp_path):
    names = [name for name in written(tmp_path, EVERY) if name.endswith(".tar")]
    assert len(names) > 3
    found = {}
    for name in names:
        assert (tmp_path / name).stat().st_size <= 20_000 + 1024
        with tarfile.open(tmp_path / name) as file:
            for member in file:
                read = file.extractfile(member)
                assert read is not None
                key, _, ending = member.name.partition(".")
                found.setdefault(key, {})[ending] = read.read()
    assert list(found) == [f"{row:09d}" for row in EVERY]
    for row, sample in zip(EVERY, found.values(), strict=True):
        values = {"identity": f"Mü/{row // 3}", "box": [row, 1, 2, 3], "shard": "an older one"}
        values |= {"age": float(row)} if row % 5 else {}
        assert json.loads(sample.pop("json")) == values
        assert sample == {image_ending(image(row))[1:]: image(row)}


def test_bytes_are_those_that_tarfile_writes(tmp_path):
    (name, data), *_ = written(tmp_path, [1, 2]).items()
    sink = io.BytesIO()
    with tarfile.open(tmp_path / name) as file:
        for member in file:
            read = file.extractfile(member)
            assert read is not None
            plain = tarfile.TarInfo(member.name)
            plain.size = member.size
            body = read.read()
            sink.write(plain.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512))
    assert sink.getvalue() + bytes(1024) == data


def test_the_table_says_where_every_picture_is(tmp_path):
    written(tmp_path, EVERY)
    table = pq.read_table(tmp_path / "train.index.parquet")
    assert table.column_names == [
        "image", "identity", "age", "box", "shard", "shard_offset", "shard_bytes"
    ]  # fmt: skip
    for one in table.to_pylist():
        with tarfile.open(tmp_path / one["shard"]) as file:
            member = file.getmember(one["image"].partition("/")[2])
            assert (member.offset, member.size) == (one["shard_offset"], one["shard_bytes"])


@pytest.mark.parametrize("last", [0, 1, 7, 12, 29])
def test_after_a_kill_anywhere_the_result_is_the_same(tmp_path, last):
    whole = written(tmp_path / "once", EVERY)
    writer = writer_in(tmp_path / "killed")
    for row in range(last + 1):
        writer.add(row, image(row))
    writer.close()
    shards = sorted((tmp_path / "killed").iterdir())
    size = shards[-1].stat().st_size
    for left in {0, 1, 511, 512, 700, size // 2, size - 1024, size - 1, size}:
        folder = tmp_path / f"cut-{left}"
        shutil.copytree(tmp_path / "killed", folder)
        with open(folder / shards[-1].name, "r+b") as file:
            file.truncate(left)
        again = writer_in(folder)
        start = again.resume()
        assert start <= last + (left == size)
        assert start >= last or left < size - 1024
        for row in range(start, ROWS):
            again.add(row, image(row))
        again.finish(EVERY)
        assert {one.name: one.read_bytes() for one in folder.iterdir()} == whole


def test_a_shard_that_was_ended_goes_on(tmp_path):
    whole = written(tmp_path / "once", EVERY)
    shutil.copytree(tmp_path / "once", tmp_path / "again")
    writer = writer_in(tmp_path / "again")
    assert writer.resume() == ROWS
    writer.finish(EVERY)
    assert {one.name: one.read_bytes() for one in (tmp_path / "again").iterdir()} == whole


def test_rows_that_were_left_out_before_stay_out(tmp_path):
    rows = [2, 3, 5, 8, 20]
    whole = written(tmp_path / "once", rows)
    writer = writer_in(tmp_path / "again")
    for row in rows[:4]:
        writer.add(row, image(row))
    writer.close()
    writer = writer_in(tmp_path / "again")
    assert writer.resume() == 9
    writer.add(20, image(20))
    writer.finish(rows)
    assert {one.name: one.read_bytes() for one in (tmp_path / "again").iterdir()} == whole
