"""Images inside a Parquet file: by row, from any thread; damage is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.containers import parquet
from arcwise.data.containers.parquet import ParquetContainer, each
from arcwise.data.image_files import image_exists, read_image_bytes
from arcwise.errors import ArcwiseError, ImageError

Write = Callable[..., str]


@pytest.fixture
def a_table(tmp_path: Path) -> Write:
    """A function: images → a Parquet file with row groups of three."""

    def make(images: Sequence[bytes | None], name: str = "set.parquet") -> str:
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        rows = [{"bytes": one, "path": f"{row}.jpg"} for row, one in enumerate(images)]
        table = pa.table({"image": pa.array(rows, kind), "identity": ["a"] * len(rows)})
        pq.write_table(table, tmp_path / name, row_group_size=3, compression="NONE",
                       use_dictionary=False, write_statistics=False)  # fmt: skip
        return str(tmp_path / name)

    return make


@given(images=st.lists(st.binary(max_size=50), max_size=10))
@settings(max_examples=30, deadline=None)
def test_every_row_s_image_is_read(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("parquet") / "set.parquet"
    pq.write_table(pa.table({"image": pa.array(images, pa.binary())}), path, row_group_size=3)
    container = ParquetContainer(str(path))
    assert [container.read(str(row), "ref") for row in range(len(images))] == images
    assert list(each(path)) == [(str(row), one) for row, one in enumerate(images)]
    assert str(len(images)) not in container


def test_what_follows_the_row_is_only_a_name(a_table, tmp_path):
    a_table([b"one", b"two"])
    for ref in ("set.parquet/1", "set.parquet/1/1.jpg", "set.parquet/1/../../x"):
        assert read_image_bytes(tmp_path, ref) == b"two"
        assert image_exists(tmp_path, ref)


@pytest.mark.parametrize("member", ["2", "-1", "", "x", "1.0", "²", "9" * 30, " 1", "1_0"])
def test_other_rows_are_not_there(a_table, member):
    container = ParquetContainer(a_table([b"one", b"two"]))
    assert member not in container
    with pytest.raises(ImageError, match=r"^ref: set\.parquet has no row .*; it has 2"):
        container.read(member, "ref")


def test_a_row_without_bytes_is_one_bad_image(a_table):
    path = a_table([b"one", None, b"three"])
    container = ParquetContainer(path)
    with pytest.raises(ImageError, match=r"^ref: its row holds no bytes"):
        container.read("1", "ref")
    assert container.read("2", "ref") == b"three"
    assert [type(found) for _, found in each(path)] == [bytes, ImageError, bytes]


def test_several_threads_read_at_once(a_table, monkeypatch):
    monkeypatch.setattr(parquet, "KEPT", 10)
    images = [b"%d" % row for row in range(300)]
    container = ParquetContainer(a_table(images))
    rows = [str(row * 37 % 300) for row in range(2000)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: container.read(row, "ref"), rows))
    assert found == [row.encode() for row in rows]


def test_row_groups_are_kept_up_to_a_size(a_table, monkeypatch):
    monkeypatch.setattr(parquet, "KEPT", 400)
    container = ParquetContainer(a_table([b"x" * 50] * 30))
    for row in range(30):
        container.read(str(row), "ref")
    kept = sum(one.nbytes for one in container._groups.values())
    assert 150 < kept <= 400


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"identity": ["a"]}, "no image in it; expected a column 'image'"),
        ({"image": ["a.jpg"]}, "no image in it"),
        (
            {"left": [{"bytes": b"x"}], "right": [{"bytes": b"x"}]},
            "columns left, right hold images; call one of them image",
        ),
    ],
)
def test_a_table_without_images_is_refused(tmp_path, columns, message):
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(ArcwiseError, match=message) as caught:
        ParquetContainer(str(path))
    assert str(caught.value).startswith(str(path))


def test_the_only_struct_with_bytes_is_the_image(tmp_path):
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"img": [{"bytes": b"x", "path": None}], "label": [3]}), path)
    assert ParquetContainer(str(path)).read("0", "ref") == b"x"


def test_every_truncation_is_refused(a_table):
    path = Path(a_table([b"one", b"two"] * 4))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ArcwiseError, match="not a whole Parquet file"):
            ParquetContainer(str(path))


def test_every_flipped_byte_costs_at_most_its_row_group_and_in_a_image_only_that(a_table):
    images = [b"\xff\xd8" + bytes([row]) * 40 for row in range(9)]
    path = Path(a_table(images))
    whole = path.read_bytes()
    owner = {whole.index(one) + at: row for row, one in enumerate(images) for at in range(42)}
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    framing = [place for place in range(footer) if place not in owner]
    for place in (*framing, *list(owner)[::9], *range(footer, len(whole), 3)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x5A
        path.write_bytes(damaged)
        found = _read(path)
        refused += not found  # the whole file
        wrong = {row for row, one in enumerate(images) if found and found[row] != one}
        silent = {row for row in wrong if isinstance(found[row], bytes)}
        assert silent == ({owner[place]} if place in owner else set())
        assert len({row // 3 for row in wrong}) <= 1 or place >= footer
    assert refused > 100


def _read(path: Path) -> list[bytes | ImageError]:
    """The images; none where the whole file is refused."""
    try:
        return [one for _, one in each(path)]
    except ArcwiseError:
        return []


def test_damage_is_named_with_its_rows(a_table):
    path = Path(a_table([b"x" * 30, b"y" * 30, b"z" * 30] * 2))
    whole = bytearray(path.read_bytes())
    whole[4:12] = b"\xff" * 8  # the first page's header
    path.write_bytes(whole)
    container = ParquetContainer(str(path))
    with pytest.raises(ImageError, match=r"^ref: set\.parquet is damaged in rows 0 to 2"):
        container.read("1", "ref")
    assert container.read("3", "ref") == b"x" * 30
