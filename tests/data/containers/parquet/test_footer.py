"""A Parquet footer that names fewer rows than lie in the file is found out."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.containers.parquet.footer import Footer
from arcwise.data.containers.parquet.thrift import Malformed, read_struct
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError

TABLE = pa.table({"image": [b"%d" % row for row in range(10)], "identity": list("aabbccddee")})
OPTIONS = [
    {},
    {"write_page_index": True},
    {"data_page_version": "2.0"},
    {"compression": "NONE", "use_dictionary": False, "write_statistics": False},
    {"data_page_size": 4},
]


def written(*rows: int, **options: object) -> bytes:
    """A file with row groups of so many rows."""
    sink, start = io.BytesIO(), 0
    with pq.ParquetWriter(sink, TABLE.schema, **options) as file:
        for count in rows:
            file.write_table(TABLE.slice(start, count))
            start += count
    return sink.getvalue()


def parted(data: bytes) -> tuple[bytes, bytes]:
    """What lies before the footer, and the footer."""
    length = int.from_bytes(data[-8:-4], "little") + 8
    return data[:-length], data[-length:]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_whole_file_names_all_its_rows(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(written(4, 3, 3, **options))
    footer = Footer(path)
    assert (footer.rows, footer.unnamed, footer.contradiction()) == (10, 0, None)
    assert open_manifest(path).notes == ()


@pytest.mark.parametrize("options", [OPTIONS[0], *OPTIONS[2:]])
def test_a_footer_of_a_shorter_file_is_said(tmp_path: Path, options: dict[str, object]) -> None:
    body, _ = parted(written(4, 3, 3, **options))
    _, footer = parted(written(4, **options))
    path = tmp_path / "x.parquet"
    path.write_bytes(body + footer)
    manifest = open_manifest(path)
    assert len(manifest) == 4
    assert manifest.notes == (
        "x.parquet: its footer names 4 rows; about 6 more lie in the file and are not read: write "
        "it anew",
    )


@pytest.mark.parametrize("options", OPTIONS)
def test_fewer_rows_than_the_pages_hold_are_refused(
    tmp_path: Path, options: dict[str, object]
) -> None:
    """Only the numbers in the footer are changed: 9 rows become 7."""
    body, footer = parted(written(9, **options))
    number, smaller = b"\x16\x12", b"\x16\x0e"  # a number of 64 bits, zigzag
    assert footer.count(number) >= 4  # file, row group, two columns
    path = tmp_path / "x.parquet"
    path.write_bytes(body + footer.replace(number, smaller))
    with pytest.raises(ArcwiseError, match="7 rows of row group 0, where 9 lie"):
        open_manifest(path)
    path.write_bytes(body + footer.replace(number, smaller, 1))
    with pytest.raises(ArcwiseError, match="names 7 rows, and its row groups 9"):
        open_manifest(path)


def test_a_column_of_nulls(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"a": pa.array([None, None], pa.binary()), "b": [None, b"x"], "c": [1, 2]})
    pq.write_table(table, path)
    footer = Footer(path)
    assert [footer.without(one) for one in "abcd"] == [True, False, False, False]


def test_damaged_footers_are_malformed_or_read(tmp_path: Path) -> None:
    body, footer = parted(written(4, 3, write_page_index=True))
    path = tmp_path / "x.parquet"
    refused = 0
    for place in range(0, len(footer) - 8, 5):
        damaged = bytearray(footer)
        damaged[place] ^= 0x5A
        path.write_bytes(body + damaged)
        try:
            found = Footer(path)
            assert found.unnamed >= 0
            found.contradiction()
        except Malformed:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    "data", [b"", b"\x16", b"\x19\xff", b"\x1d\0", b"\x1c" * 99, b"\x16" + b"\xff" * 20]
)
def test_what_is_no_struct(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_struct(data)
