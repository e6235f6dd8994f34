import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.containers.recordio.frames import MAGIC_BYTES
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing import records as records_module
from arcwise.data.writing.records import RecordWriter
from arcwise.errors import ArcwiseError, ImageError

pieces = st.lists(st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9)), max_size=4)
names = st.sampled_from(["Ada", "Bob", "Éva/2", "", None])
rows = st.lists(st.tuples(names, pieces.map(b"".join), st.booleans()), min_size=1, max_size=12)


def described(identities: list[str | None]) -> Manifest:
    count = len(identities)
    columns = {
        "image": pa.array([f"some/{row}.jpg" for row in range(count)], pa.string()),
        "identity": pa.array(identities, pa.string()),
        "age": pa.array([row / 2 for row in range(count)], pa.float64()),
        "box": pa.array([[row, 1, 2, 3] for row in range(count)], pa.list_(pa.float32(), 4)),
    }
    return Manifest(pa.table(columns), Path(), "source")


def write(folder: Path, manifest: Manifest, images: list[bytes | None]) -> Path:
    """`train.rec` of those images that are there; nothing else is in the folder after it."""
    for old in folder.iterdir():
        old.unlink()
    writer = RecordWriter(folder, "train.rec", manifest)
    assert writer.resume() == 0
    added = [row for row, data in enumerate(images) if data is not None]
    for row in added:
        writer.add(row, images[row])
    names = writer.finish(added)
    writer.close()
    assert sorted(names) == sorted(one.name for one in folder.iterdir())
    assert names[-1] == "train.rec"
    return folder / "train.rec"


def records(path: Path) -> dict[int, tuple[int, object, int, bytes]]:
    """Key → flag, label, id, image; read as mxnet's documentation says, and not by our code."""
    data, found = path.read_bytes(), {}
    for line in path.with_suffix(".idx").read_text().splitlines():
        key, position = map(int, line.split("\t"))
        payload, flag = b"", 1
        while flag in (1, 2):
            magic, word = struct.unpack_from("<II", data, position)
            assert magic == 0xCED7230A
            flag, length = word >> 29, word & (2**29 - 1)
            payload += (MAGIC_BYTES if flag in (2, 3) else b"") + data[position + 8 :][:length]
            position += 8 + (length + 3) // 4 * 4
        labels, label, number, _ = struct.unpack_from("<IfQQ", payload)
        vector = struct.unpack_from(f"<{labels}f", payload, 24)
        found[key] = (labels, vector if labels else label, number, payload[24 + 4 * labels :])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


@settings(deadline=None)
@given(rows, st.booleans())
def test_what_is_written_is_read(folder: Path, found, sort: bool):
    found = sorted(found, key=lambda one: one[0] or "") if sort else found
    found[0] = (*found[0][:2], True)
    identities, images, there = zip(*found, strict=True)
    source = described([*identities])
    added = [one if there else None for _, one, there in found]
    path = write(folder, source, added)
    kept = np.flatnonzero(there).tolist()
    manifest = open_manifest(path, identities=False)
    assert [manifest.read(row) for row in range(len(manifest))] == [images[row] for row in kept]
    columns = source.table.take(kept).drop_columns(["image"])
    assert manifest.table.drop_columns(["image"]).equals(columns)
    assert manifest.understood == "RecordIO, as train.manifest.parquet lists it"
    assert manifest.notes == ()


@settings(deadline=None)
@given(rows, st.booleans())
def test_without_the_table_the_labels_tell_the_identities_apart(folder: Path, found, sort: bool):
    found = sorted(found, key=lambda one: one[0] or "") if sort else found
    identities = [one[0] or None for one in found]
    path = write(folder, described(identities), [b"image"] * len(found))
    path.with_suffix(".manifest.parquet").unlink()
    manifest = open_manifest(path, identities=False)
    order = sorted({one for one in identities if one})
    labels = [str(order.index(one)) if one else "" for one in identities]
    assert manifest.column("identity") == labels
    assert manifest.column("file") == described(identities).images
    assert manifest.notes == ()


def test_insightface_layout(tmp_path: Path):
    drawn = cv2.imencode(".jpg", np.zeros((112, 96, 3), np.uint8))[1].tobytes()
    path = write(
        tmp_path, described(["c", "c", "a", "b", "b", "b"]), [drawn] * 3 + [None, b"", b"x"]
    )
    assert records(path) == {
        1: (0, 2.0, 1, drawn),
        2: (0, 2.0, 2, drawn),
        3: (0, 0.0, 3, drawn),
        4: (0, 1.0, 4, b""),
        5: (0, 1.0, 5, b"x"),
        0: (2, (6.0, 9.0), 0, b""),
        6: (2, (1.0, 3.0), 6, b""),
        7: (2, (3.0, 4.0), 7, b""),
        8: (2, (4.0, 6.0), 8, b""),
    }
    assert (tmp_path / "property").read_text() == "3,112,96\n"
    assert path.with_suffix(".lst").read_text().splitlines()[3] == "4\t1\tsome/4.jpg"
    path.with_suffix(".manifest.parquet").unlink()
    manifest = open_manifest(tmp_path)
    assert manifest.understood == "RecordIO as InsightFace lays it out"
    assert manifest.identities == ["2", "2", "0", "1", "1"]
    assert manifest.notes == ()


def test_im2rec_layout(tmp_path: Path):
    path = write(tmp_path, described(["a", "b", None, "a"]), [b"w", b"x", b"y", b"z"])
    assert records(path) == {
        0: (0, 0.0, 0, b"w"),
        1: (0, 1.0, 1, b"x"),
        2: (0, -1.0, 2, b"y"),
        3: (0, 0.0, 3, b"z"),
    }
    assert not (tmp_path / "property").exists()


def test_without_identities(tmp_path: Path):
    source = described(["a"] * 3)
    source = Manifest(source.table.drop_columns(["identity"]), Path(), "source")
    path = write(tmp_path, source, [b"a", b"b", b"c"])
    assert [label for _, label, _, _ in records(path).values()] == [-1.0] * 3
    assert open_manifest(path, identities=False).table.column_names == ["image", "age", "box"]
    with pytest.raises(ArcwiseError, match="no column 'identity'"):
        open_manifest(path)


def test_numbered_identities_keep_their_numbers(tmp_path: Path):
    numbers = [str(one) for one in (10, *range(10))]
    path = write(tmp_path, described(numbers), [b"x"] * 11)
    path.with_suffix(".manifest.parquet").unlink()
    assert open_manifest(path).identities == numbers


def test_names_of_files_cannot_break_the_list(tmp_path: Path):
    source = described(["a", "b"])
    images = pa.array(["tab\there", 'new\r\nline, "quoted"'], pa.string())
    source = Manifest(source.table.set_column(0, "image", images), Path(), "source")
    path = write(tmp_path, source, [b"x", b"y"])
    path.with_suffix(".manifest.parquet").unlink()
    assert open_manifest(path).column("file") == ["tab_here", 'new__line, "quoted"']


@pytest.mark.parametrize("identities", [["a", "a", None, "b"], ["a", "a", "b", "c"]])
def test_wherever_it_was_cut_off_it_goes_on(tmp_path: Path, identities: list[str | None]):
    source = described(identities)
    images = [b"1", None, b"2nd." + MAGIC_BYTES, b"third"]
    work, plain = tmp_path / "work", tmp_path / "plain"
    work.mkdir()
    plain.mkdir()
    write(plain, source, images)
    expected = {one.name: one.read_bytes() for one in plain.iterdir()}
    resumed = set()
    for length in range(0, len(expected["train.rec"]) + 1, 3):
        (work / "train.rec").write_bytes(expected["train.rec"][:length])
        writer = RecordWriter(work, "train.rec", source)
        start = writer.resume()
        for row, data in enumerate(images):
            if row >= start and data is not None:
                writer.add(row, data)
        writer.finish([0, 2, 3])
        writer.close()
        assert {one.name: one.read_bytes() for one in work.iterdir()} == expected
        resumed.add(start)
    assert resumed == {0, 1, 3, 4}


def test_closed_it_is_on_disk(tmp_path: Path):
    source = described(["a", "a", "b"])
    writer = RecordWriter(tmp_path, "train.rec", source)
    assert writer.resume() == 0
    writer.add(0, b"x")
    writer.add(2, b"y")
    writer.close()
    again = RecordWriter(tmp_path, "train.rec", source)
    assert again.resume() == 3
    again.close()


def test_a_table_of_other_records_is_not_believed(tmp_path: Path):
    path = write(tmp_path, described(["a", "a", "b"]), [b"x", b"y", b"z"])
    other = tmp_path / "other"
    other.mkdir()
    table = path.with_suffix(".manifest.parquet")
    for identities in (["a", "a"], ["a", "a", "b", "b"]):
        write(other, described(identities), [b"x"] * len(identities))
        table.write_bytes((other / table.name).read_bytes())
        manifest = open_manifest(path)
        assert manifest.identities == ["0", "0", "1"]
        (said,) = manifest.notes
        assert said.startswith("train.manifest.parquet lists other records than these")
    table.write_bytes(b"PAR1 no")
    assert open_manifest(path).notes == (said,)


@pytest.mark.parametrize("without_index", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_what_is_left_of_a_file_cut_short_keeps_its_columns(
    tmp_path: Path, sort: bool, without_index: bool
):
    names = ["a", "a", "b", "b"] if sort else ["a", "b", "a", "b"]
    source = described(names)
    path = write(tmp_path, source, [b"x" * 500] * 4)
    os.truncate(path, 1300)  # in the middle of the third image
    if without_index:
        path.with_suffix(".idx").unlink()
    manifest = open_manifest(path)
    assert manifest.identities == names
    assert [manifest.read(row) for row in range(2)] == [b"x" * 500] * 2
    for row in (2, 3):
        with pytest.raises(ImageError):
            manifest.read(row)
    assert manifest.notes


def test_the_layout_is_said(tmp_path: Path):
    for names, layout in ((["a", "a", "b"], "InsightFace's"), (["a", "b", "a"], "im2rec's")):
        work = tmp_path / layout
        work.mkdir()
        writer = RecordWriter(work, "train.rec", described(names))
        assert writer.notes[0].startswith(f"{layout} layout")
        writer.close()


def test_what_a_rec_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records_module, "EXACT", 2)
    with pytest.raises(ArcwiseError, match=r"3 identities; the labels of a \.rec tell 2 apart"):
        RecordWriter(tmp_path, "train.rec", described(["a", "b", "c"]))
    writer = RecordWriter(tmp_path, "train.rec", described(["a", "b"]))
    writer.resume()
    monkeypatch.setattr("arcwise.data.containers.recordio.frames.LONGEST", 40)
    with pytest.raises(ArcwiseError, match=r"some/1\.jpg: 41 bytes; a RecordIO record holds at"):
        writer.add(1, bytes(17))
    writer.close()
