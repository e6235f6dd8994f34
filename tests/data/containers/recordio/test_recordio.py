import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.containers.recordio import open_container
from arcwise.data.containers.recordio.frames import MAGIC_BYTES, frame
from arcwise.data.containers.recordio.image_header import RecordHeader, pack
from arcwise.errors import ArcwiseError, ImageError

pieces = st.lists(st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9)), max_size=6)
images = st.lists(pieces.map(b"".join), min_size=1, max_size=8)


def write(folder: Path, images: dict[int, bytes], *, index: bool = True) -> Path:
    """`some.rec` with these images by key, in this order in the file."""
    path = folder / "some.rec"
    lines, position = [], 0
    with open(path, "wb") as file:
        for key, image in images.items():
            lines.append(f"{key}\t{position}\n")
            position += file.write(frame(pack(RecordHeader(float(key), key), image)))
    path.with_suffix(".idx").unlink(missing_ok=True)
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
    return path


def read_all(path: Path, keys: list[int]) -> dict[int, bytes | ImageError]:
    """What each way of reading says; they must agree."""
    container = open_container(str(path))
    found: dict[int, bytes | ImageError] = {}
    for key, one in zip(keys, container.each(keys), strict=True):
        ref = f"{path.name}/{key}"
        if isinstance(one, ImageError):
            with pytest.raises(ImageError) as caught:
                container.read(str(key), ref)
            assert str(caught.value) == str(one)
            assert one.name == ref
            found[key] = one
        else:
            assert one[0] == key
            found[key] = one[2]
            assert container.read(str(key), ref) == one[2]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordio")


@settings(deadline=None)
@given(images, st.randoms(), st.booleans(), st.integers(0, 3), st.integers(1, 2))
def test_what_is_written_is_read(folder: Path, images, random, index, first, step):
    written = {first + step * row: one for row, one in enumerate(images)}
    mixed = list(written)
    random.shuffle(mixed)
    path = write(folder, {key: written[key] for key in mixed}, index=index)
    assert read_all(path, list(written)) == written
    in_file = [one for one in open_container(str(path)).each() if not isinstance(one, ImageError)]
    assert [(key, data) for key, _, data in in_file] == [(key, written[key]) for key in mixed]
    assert [header.label for _, header, _ in in_file] == mixed


SMALL = {
    1: b"first picture",
    2: b"",
    3: b"in " + b"x" + MAGIC_BYTES + b"parts" + b"abc" + MAGIC_BYTES * 2 + b"!",
    4: b"the fourth: 8 bytes.",
    5: b"the last one",
}


def bounds(data: bytes) -> list[int]:
    """Where the records of SMALL begin, and the last one ends."""
    sizes = [len(frame(pack(RecordHeader(float(k), k), one))) for k, one in SMALL.items()]
    starts = np.cumsum([0, *sizes]).tolist()
    assert starts[-1] == len(data)
    return starts


def frames(data: bytes) -> list[tuple[int, int]]:
    """(record, position) of every byte of every frame."""
    found = []
    starts = bounds(data)
    for key, start, stop in zip(SMALL, starts, starts[1:], strict=False):
        position = start
        while position < stop:
            found += [(key, position + byte) for byte in range(8)]
            length = int.from_bytes(data[position + 4 : position + 8], "little") & (2**29 - 1)
            position += 8 + length + -length % 4
    return found


@pytest.mark.parametrize("flip", [0xFF, *(1 << bit for bit in range(8))])
@pytest.mark.parametrize("index", [True, False])
def test_a_flipped_byte_of_a_frame_costs_this_record_only(tmp_path: Path, index: bool, flip: int):
    path = write(tmp_path, SMALL, index=index)
    whole = path.read_bytes()
    for key, position in frames(whole):
        data = bytearray(whole)
        data[position] ^= flip
        path.write_bytes(data)
        found = read_all(path, list(SMALL))
        others = {one: SMALL[one] for one in SMALL if one != key}
        assert {one: found[one] for one in others} == others, (key, position)
        damaged = found[key]
        if isinstance(damaged, ImageError):
            assert f"record {key}, at byte" in str(damaged) or "no such record" in str(damaged)
        else:  # a length within its own padding: zeros, which no image minds
            assert len(damaged) - len(SMALL[key]) in (1, 2, 3)
            assert damaged.replace(b"\0", b"") == SMALL[key].replace(b"\0", b"")


@pytest.mark.parametrize("index", [True, False])
def test_every_truncation_costs_only_what_was_cut_off(tmp_path: Path, index: bool):
    path = write(tmp_path, SMALL, index=index)
    whole = path.read_bytes()
    starts = bounds(whole)
    for length in range(starts[1], len(whole)):
        path.write_bytes(whole[:length])
        found = read_all(path, list(SMALL))
        left = sum(start <= length for start in starts[1:])
        assert list(found.values())[:left] == list(SMALL.values())[:left]
        lost = list(found.values())[left:]
        assert all(isinstance(one, ImageError) for one in lost)
        assert len(lost) == len(SMALL) - left > 0


@pytest.mark.parametrize("block", [1, 30, 100])
@pytest.mark.parametrize("index", [True, False])
def test_records_may_lie_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, index: bool
):
    monkeypatch.setattr("arcwise.data.containers.recordio.BLOCK", block)
    path = write(tmp_path, SMALL, index=index)
    for keys in ([1, 2, 3, 4, 5], [5, 1, 4, 2, 3], [1, 5, 1, 5]):
        assert read_all(path, keys) == {key: SMALL[key] for key in keys}


def test_the_largest_id_there_is(tmp_path: Path):
    path = tmp_path / "some.rec"
    last = RecordHeader(0.0, 2**64 - 1)
    path.write_bytes(frame(pack(last, b"a")) + frame(pack(last, b"b"))[:10])
    assert open_container(str(path)).record(0)[1] == b"a"


@pytest.mark.parametrize("length", range(8))
@pytest.mark.parametrize("index", [True, False])
def test_nothing_left_is_one_error(tmp_path: Path, length: int, index: bool):
    path = write(tmp_path, SMALL, index=index)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ArcwiseError, match=r"line 1: record 1 at byte 0|no whole record in it"):
        open_container(str(path))


def test_a_wiped_record_does_not_take_its_neighbours_with_it(tmp_path: Path):
    path = write(tmp_path, SMALL)
    data = bytearray(path.read_bytes())
    start, stop = bounds(bytes(data))[3:5]
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    found = read_all(path, list(SMALL))
    assert isinstance(found.pop(4), ImageError)
    assert found == {key: SMALL[key] for key in (1, 2, 3, 5)}


def test_what_is_missing_is_said(tmp_path: Path):
    path = write(tmp_path, SMALL)
    container = open_container(str(path))
    assert container.notes == ()
    assert "5" in container
    for member in ("6", "-1", "", "a", "1.jpg", "²", "9" * 5000):
        assert member not in container
        with pytest.raises(ImageError, match=r"some.rec has no such record; its keys are 1 to 5"):
            container.read(member, "some.rec/x")
    path.write_bytes(path.read_bytes()[: bounds(path.read_bytes())[3]])
    said = "cut short at 152 bytes: 2 records that some.idx names are missing"
    assert said in "".join(open_container(str(path)).notes)
    with pytest.raises(ImageError, match=r"record 5, at byte .* the file ends before it, at 152"):
        open_container(str(path)).record(5)


def test_without_an_index_the_file_itself_is_looked_through(tmp_path: Path):
    path = write(tmp_path, SMALL, index=False)
    assert open_container(str(path)).notes == (
        "some.idx is missing; some.rec itself was looked through",
    )
    data = bytearray(path.read_bytes())
    data[bounds(bytes(data))[1]] ^= 1
    path.write_bytes(data)
    assert "1 damaged places, the first at byte 48" in open_container(str(path)).notes[1]


def test_records_with_one_id_are_counted(tmp_path: Path):
    path = tmp_path / "some.rec"
    path.write_bytes(b"".join(frame(pack(RecordHeader(1.0), one)) for one in (b"a", b"b", b"c")))
    assert [open_container(str(path)).record(key)[1] for key in range(3)] == [b"a", b"b", b"c"]


def test_the_index_of_another_file_is_refused(tmp_path: Path):
    path = write(tmp_path, SMALL)
    path.with_suffix(".idx").write_text("8\t4\n7\t8\n")
    with pytest.raises(ArcwiseError, match=r"some.idx: line 2: record 7 at byte 8 of some.rec beg"):
        open_container(str(path))


def test_an_absurd_header_costs_its_record_only(tmp_path: Path):
    path = write(tmp_path, SMALL)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, bounds(bytes(data))[3] + 8, 2**31)
    path.write_bytes(data)
    found = read_all(path, list(SMALL))
    with pytest.raises(
        ImageError, match=r"record 4, at byte 152 .* announces 2,147,483,648 labels"
    ):
        raise found.pop(4)
    assert found == {key: SMALL[key] for key in (1, 2, 3, 5)}


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_anything_else_is_one_clear_error(folder: Path, data: bytes, index: bool):
    path = write(folder, SMALL, index=index)
    path.write_bytes(data)
    with pytest.raises(ArcwiseError, match=r"line 1: record 1 at byte 0|no whole record in it"):
        open_container(str(path))


@pytest.mark.parametrize("index", [True, False])
def test_labels_without_images(tmp_path: Path, index: bool):
    records = [
        pack(RecordHeader(3.0, 0), b"picture"),
        pack(RecordHeader(np.float32([4, 5]), 1), b""),
        pack(RecordHeader(np.float32([6]), 2), b"abcd" + MAGIC_BYTES + b"efgh"),
        pack(RecordHeader(np.frombuffer(MAGIC_BYTES * 2, "f4"), 3), b"in the header itself"),
        pack(RecordHeader(7.0, 4), b"x" * 9000),
    ]
    path = tmp_path / "some.rec"
    path.write_bytes(b"".join(map(frame, records)))
    if index:
        starts = np.cumsum([0, *(len(frame(one)) for one in records)]).tolist()
        lines = [f"{key}\t{start}\n" for key, start in enumerate(starts)]  # one too many
        path.with_suffix(".idx").write_text("".join(lines))
    container = open_container(str(path))
    first, second, image, _ = container.labels(np.arange(len(container.index)))
    magic = np.frombuffer(MAGIC_BYTES, "f4")[0]
    np.testing.assert_array_equal(first[:5], [3, 4, 6, magic, 7])
    np.testing.assert_array_equal(second[:5], [np.nan, 5, np.nan, magic, np.nan])
    assert image.tolist() == [7, 0, 12, 20, 9000, *([-1] if index else [])]
