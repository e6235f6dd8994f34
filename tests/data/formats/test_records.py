from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.containers.recordio.frames import MAGIC_BYTES, frame
from arcwise.data.containers.recordio.image_header import RecordHeader, pack
from arcwise.data.formats import records
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.records.labels import UntrustedContents, identity_runs, table_of_contents
from arcwise.errors import ArcwiseError, ImageError

Label = float | Sequence[float]

PEOPLE = [7.0, 7.0, 7.0, 3.0, 11.0, 11.0]
"""The labels of six images, as InsightFace orders them: an identity after the other."""


def image(number: int) -> bytes:
    return f"image {number}".encode() + MAGIC_BYTES * (number % 2)


def header(key: int, label: Label) -> RecordHeader:
    return RecordHeader(label if isinstance(label, float) else np.float32(label), key)


def save(folder: Path, found: Sequence[tuple[int, Label, bytes]], *, index: bool = True) -> Path:
    """`train.rec` with these (key, label, image), in this order."""
    path = folder / "train.rec"
    lines, position = [], 0
    with open(path, "wb") as file:
        for key, label, data in found:
            lines.append(f"{key}\t{position}\n")
            position += file.write(frame(pack(header(key, label), data)))
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
    return path


def insightface(
    labels: Sequence[Label], ranges: Sequence[tuple[float, float]], bound: float | None = None
) -> list[tuple[int, Label, bytes]]:
    """As face2rec2.py writes it: images, record 0, identities."""
    first = len(labels) + 1
    end = first + len(ranges)
    images = [(key, label, image(key)) for key, label in enumerate(labels, 1)]
    own = [(key, one, b"") for key, one in enumerate(ranges, first)]
    return [*images, (0, (bound or float(first), float(end)), b""), *own]


def plain(labels: Sequence[Label], first: int = 0) -> list[tuple[int, Label, bytes]]:
    """As im2rec and shuffle_rec.py write it."""
    return [(key, label, image(key)) for key, label in enumerate(labels, first)]


RANGES = [(1.0, 4.0), (4.0, 5.0), (5.0, 7.0)]


def assert_people(path: Path, first: int = 1) -> None:
    manifest = open_manifest(path)
    assert manifest.images == [f"train.rec/{key}" for key in range(first, first + 6)]
    assert manifest.identities == ["7", "7", "7", "3", "11", "11"]
    assert [manifest.read(row) for row in range(6)] == [image(first + row) for row in range(6)]


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    "labels",
    [PEOPLE, [(label, 1.0) for label in PEOPLE]],  # a number, or with whether it was aligned
)
def test_insightface(tmp_path: Path, labels: Sequence[Label], index: bool):
    path = save(tmp_path, insightface(labels, RANGES), index=index)
    assert_people(path)
    assert_people(tmp_path)
    manifest = open_manifest(path)
    assert manifest.understood == "RecordIO as InsightFace lays it out"
    missing = ("train.idx is missing; train.rec itself was looked through",)
    assert manifest.notes == (() if index else missing)
    assert manifest.name == "train"
    assert open_manifest(tmp_path).name == tmp_path.name


def test_insightface_reads_two_labels_an_identity(tmp_path: Path):
    """The label of an image in the middle is not looked at: here, it is wrong."""
    path = save(tmp_path, insightface([7.0, 99.0, 7.0, 3.0, 11.0, 11.0], RANGES))
    assert_people(path)


@pytest.mark.parametrize("first", [0, 1, 5])
@pytest.mark.parametrize("index", [True, False])
def test_im2rec(tmp_path: Path, first: int, index: bool):
    path = save(tmp_path, plain(PEOPLE, first), index=index)
    assert_people(path, first)
    assert open_manifest(path).understood == "RecordIO with a label in each record"


def test_im2rec_with_several_labels(tmp_path: Path):
    """Record 0 has two labels as InsightFace's has, and an image."""
    assert_people(save(tmp_path, plain([(label, 5.0) for label in PEOPLE])), 0)


def test_shuffled(tmp_path: Path):
    in_file = [plain(PEOPLE)[key] for key in (3, 1, 0, 5, 2, 4)]
    assert_people(save(tmp_path, in_file), 0)


def test_keys_with_gaps(tmp_path: Path):
    path = save(tmp_path, [(3, 1.0, b"a"), (10, 2.0, b"b"), (4, 3.0, b"c")])
    manifest = open_manifest(path)
    assert manifest.images == ["train.rec/3", "train.rec/4", "train.rec/10"]
    assert manifest.identities == ["1", "3", "2"]


def test_labels_as_text(tmp_path: Path):
    path = save(tmp_path, plain([0.1, 3.0, -2.0, -0.0, 16777216.0, 1e20]))
    manifest = open_manifest(path)
    whole = ["3", "-2", "0", "16777216", "100000002004087734272"]
    assert manifest.identities == ["0.1", *whole]
    assert manifest.notes == ("train.rec: labels beyond 16,777,216, where float32 joins some",)


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ([(1.0, 4.0), (3.0, 5.0), (5.0, 7.0)], "the identities overlap, or leave images out"),
        ([(1.0, 3.0), (4.0, 5.0), (5.0, 7.0)], "the identities overlap, or leave images out"),
        ([(1.0, 4.0), (4.0, 5.0), (5.0, 8.0)], "the identities overlap, or leave images out"),
        ([(0.0, 4.0), (4.0, 5.0), (5.0, 7.0)], "the identities overlap, or leave images out"),
        ([(4.0, 1.0), (4.0, 5.0), (5.0, 7.0)], "an identity's images end before they begin"),
        ([(np.nan, 4.0), (4.0, 5.0), (5.0, 7.0)], "the record of an identity is damaged"),
        ([(1.0, 4.5), (4.5, 5.0), (5.0, 7.0)], "an identity's images begin at no whole number"),
        ([(1.0, 4.0), (4.0, 5.0), (5.0, 1e30)], "or go beyond them"),
        ([(1.0, 3.0), (3.0, 5.0), (5.0, 7.0)], "the first and the last image of an identity"),
        ([], "record 0 states that the identities are records 7 to 7"),
    ],
)
def test_ranges_that_contradict_the_images(tmp_path: Path, ranges, reason: str):
    path = save(tmp_path, insightface(PEOPLE, ranges))
    assert_people(path)
    (note,) = open_manifest(path).notes
    assert reason in note
    assert note.endswith("so the label of every image is read")


def test_rounded_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What float32 makes of 17 million images: record 0 and the ranges are off by one."""
    path = save(tmp_path, insightface(PEOPLE, [(1.0, 4.0), (4.0, 4.0), (4.0, 8.0)], bound=8.0))
    monkeypatch.setattr("arcwise.data.formats.records.labels.EXACT", 8)
    assert_people(path)
    notes = open_manifest(path).notes
    assert "its bounds are beyond 8, where float32 is not exact" in notes[0]


def test_bounds_beyond_float32():
    with pytest.raises(UntrustedContents, match=r"beyond 16,777,216, where float32 is not exact"):
        table_of_contents(2.0**24 + 2, 2.0**24 + 4, range(2**24 + 3))
    last = table_of_contents(2.0**24 - 2, 2.0**24, range(2**24))
    assert last.images == range(1, 2**24 - 2)
    assert last.identities == range(2**24 - 2, 2**24)
    with pytest.raises(UntrustedContents, match="promises the keys 0 to 9, and others are there"):
        table_of_contents(8.0, 10.0, np.delete(np.arange(10), 3))


def test_runs_come_in_the_order_of_the_images():
    first, stop = np.float32([4, 1, 4, 6]), np.float32([6, 4, 4, 7])
    found = identity_runs(range(1, 7), first, stop)
    assert found.first.tolist() == [1, 4, 6]
    assert found.stop.tolist() == [4, 6, 7]


@pytest.mark.parametrize("key", [2, 5])
def test_a_damaged_image_costs_itself_only(tmp_path: Path, key: int):
    path = save(tmp_path, insightface(PEOPLE, RANGES[:2]))
    place = int(path.with_suffix(".idx").read_text().splitlines()[key - 1].split("\t")[1])
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    manifest = open_manifest(path)
    others = [one for one in range(1, 7) if one != key]
    assert manifest.images == [f"train.rec/{one}" for one in others]
    assert manifest.identities == [f"{PEOPLE[one - 1]:.0f}" for one in others]
    assert f"1 damaged records are left out, the first is train.rec/{key}" in manifest.notes[-1]
    every = open_manifest(path, identities=False)
    assert every.column("identity")[key - 1] is None
    assert "1 damaged records have no identity" in every.notes[-1]
    with pytest.raises(ImageError, match=f"record {key}, at byte {place} of train.rec, is dam"):
        every.read(key - 1)
    assert every.read(0 if key > 1 else 1) == image(1 if key > 1 else 2)


@pytest.mark.parametrize("key", [1, 4, 7, 0])
def test_damage_where_the_contents_are_read(tmp_path: Path, key: int):
    """First images, an identity, record 0: then every label is read."""
    path = save(tmp_path, insightface(PEOPLE, RANGES))
    lines = dict(line.split("\t") for line in path.with_suffix(".idx").read_text().splitlines())
    data = bytearray(path.read_bytes())
    data[int(lines[str(key)]) + 1] ^= 8
    path.write_bytes(data)
    manifest = open_manifest(path)
    others = [one for one in range(1, 7) if one != key]
    assert manifest.identities == [f"{PEOPLE[one - 1]:.0f}" for one in others]
    assert f"1 damaged records are left out, the first is train.rec/{key}" in manifest.notes[-1]


@pytest.mark.parametrize("label", [-1.0, np.nan, np.inf])
def test_a_label_of_nobody_is_no_identity(tmp_path: Path, label: float):
    path = save(tmp_path, plain([3.0, label, 4.0]))
    manifest = open_manifest(path, identities=False)
    assert [one or "" for one in manifest.column("identity") or ()] == ["3", "", "4"]
    assert manifest.read(1) == image(1)
    with pytest.raises(ArcwiseError, match=r"train\.rec: row 2: identity is .*\(1 such rows\)"):
        open_manifest(path)


def test_nothing_but_damage_is_an_error(tmp_path: Path):
    path = save(tmp_path, plain([np.nan, np.inf]))
    with pytest.raises(ArcwiseError, match=r"train\.rec: row 1: identity is empty \(2 such"):
        open_manifest(path)


def test_a_list_names_the_files(tmp_path: Path):
    path = save(tmp_path, plain(PEOPLE))
    names = [f'people/{key} "a",b.jpg' for key in range(6)]
    lines = [f"{key}\t{PEOPLE[key]}\t{names[key]}\n" for key in (3, 1, 0, 5, 2, 4)]
    path.with_suffix(".lst").write_text("".join(lines))
    assert open_manifest(path).column("file") == names
    path.with_suffix(".lst").write_text("".join(line.replace("\t", "\t1\t", 1) for line in lines))
    assert open_manifest(path).column("file") == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0\t7\ta\n1\t7\tb\n",  # too few
        "".join("1\t/p.jpg\t0\n" for _ in range(6)),  # InsightFace's own form
        "".join(f"{key}\n" for key in range(6)),
        "".join(f"{key}\t7\n" for key in range(6)),
        "nonsense",
    ],
)
def test_a_list_of_something_else_is_noted(tmp_path: Path, text: str):
    path = save(tmp_path, plain(PEOPLE))
    path.with_suffix(".lst").write_text(text)
    assert_people(path, 0)
    manifest = open_manifest(path)
    assert "file" not in manifest.table.column_names
    (note,) = manifest.notes
    assert note.startswith("train.lst does not list these records, and is not used")


def test_a_list_of_more_images_is_said(tmp_path: Path):
    path = save(tmp_path, plain(PEOPLE))
    lines = [f"{key}\t{label}\t{key}.jpg\n" for key, label in enumerate([*PEOPLE, 1.0, 2.0])]
    path.with_suffix(".lst").write_text("".join(lines))
    manifest = open_manifest(path)
    assert manifest.column("file") == [f"{key}.jpg" for key in range(6)]
    assert manifest.notes == ("train.lst lists 2 images more than train.rec has",)


def test_a_list_with_other_labels_is_not_used(tmp_path: Path):
    path = save(tmp_path, plain(PEOPLE))
    lines = [f"{key}\t{label}\t{key}.jpg\n" for key, label in enumerate([8.0, *PEOPLE[1:]])]
    path.with_suffix(".lst").write_text("".join(lines))
    manifest = open_manifest(path)
    assert "file" not in manifest.table.column_names
    assert "gives 1 of the 6 images" in manifest.notes[0]
    assert manifest.identities[0] == "7"


def without(path: Path, *keys: int) -> None:
    """Takes the lines of these keys out of the `.idx`."""
    index = path.with_suffix(".idx")
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(one for one in lines if int(one.split("\t")[0]) not in keys))


@pytest.mark.parametrize(
    "missing", [(0,), (5,), (2,), (2, 3), (0, 2, 5), (3, 4, 5), (0, 1, 2), (1, 2, 3, 4)]
)
def test_images_that_the_index_does_not_name_are_counted(tmp_path: Path, missing):
    path = save(tmp_path, plain(PEOPLE))
    without(path, *missing)
    manifest = open_manifest(path)
    kept = [key for key in range(6) if key not in missing]
    assert manifest.images == [f"train.rec/{key}" for key in kept]
    (note,) = manifest.notes
    assert note.startswith(f"train.idx names {len(kept)} records of train.rec; {len(missing)} more")


def test_keys_that_skip_records_are_found_out(tmp_path: Path):
    """The keys follow one another; the records they name do not."""
    path = save(tmp_path, plain(PEOPLE))
    index = path.with_suffix(".idx")
    offsets = [line.split("\t")[1] for line in index.read_text().splitlines()]
    index.write_text("".join(f"{key}\t{one}\n" for key, one in enumerate(offsets[::2])))
    assert "; 3 more images" in open_manifest(path).notes[0]


@pytest.mark.parametrize("missing", [(1,), (6,), (1, 2, 3), (8,)])
def test_an_index_that_lacks_what_the_contents_promise(tmp_path: Path, missing):
    path = save(tmp_path, insightface(PEOPLE, RANGES))
    without(path, *missing)
    manifest = open_manifest(path)
    images = [key for key in missing if key < 7]
    assert len(manifest) == 6 - len(images)
    said = [note for note in manifest.notes if f"; {len(images)} more images" in note]
    assert len(said) == bool(images)


def test_more_behind_what_the_contents_promise(tmp_path: Path):
    found = insightface(PEOPLE, RANGES)
    path = save(tmp_path, [*found, (10, 7.0, image(10))])
    without(path, 10)
    assert_people(path)
    assert "; 1 more images" in open_manifest(path).notes[0]


def test_an_index_of_an_older_file_is_said(tmp_path: Path):
    path = save(tmp_path, plain([float(key) for key in range(20)]))
    index = path.with_suffix(".idx").read_text()
    found = plain([float(key) for key in range(20)])
    found[12] = (12, 12.0, image(12) * 3)
    save(tmp_path, found)
    path.with_suffix(".idx").write_text(index)
    assert "of 16 records looked at are not where train.idx says" in open_manifest(path).notes[0]


def test_two_keys_of_one_record_are_said(tmp_path: Path):
    path = save(tmp_path, plain(PEOPLE))
    index = path.with_suffix(".idx")
    index.write_text(index.read_text() + "6\t0\n")
    manifest = open_manifest(path)
    assert manifest.read(6) == manifest.read(0)
    assert "leads 1 keys to the record of another" in manifest.notes[0]


def test_ids_that_come_twice_are_counted_anew_and_said(tmp_path: Path):
    found = [(1, 7.0, image(0)), (1, 3.0, image(1)), (2, 7.0, image(2))]
    path = save(tmp_path, found, index=False)
    manifest = open_manifest(path)
    assert manifest.images == [f"train.rec/{key}" for key in range(3)]
    assert [manifest.read(row) for row in range(3)] == [image(row) for row in range(3)]
    assert "same id, 1 the first" in manifest.notes[1]


def test_a_table_beside_that_lists_more_than_there_is(tmp_path: Path):
    path = save(tmp_path, plain(PEOPLE))
    images = [f"train.rec/{key}" for key in range(6)]
    table = pa.table({"image": images, "identity": list("aabbcc")})
    pq.write_table(table, path.with_suffix(".manifest.parquet"))
    assert open_manifest(path).notes == ()
    without(path, 5)
    manifest = open_manifest(path)
    assert len(manifest) == 6
    assert "; 1 more images" in manifest.notes[0]
    assert manifest.notes[1].endswith("lists 6 images of train.rec, of which 1 are not there")


def test_property_is_compared(tmp_path: Path):
    drawn = cv2.imencode(".png", np.zeros((12, 10, 3), np.uint8))[1].tobytes()
    path = save(tmp_path, [(key, label, drawn) for key, label in enumerate(PEOPLE)])
    (tmp_path / "property").write_text("3,12,10\n6\n")
    assert open_manifest(path).notes == ()
    (tmp_path / "property").write_text("4,112,112\n")
    assert open_manifest(path).notes == (
        "property says 4 classes; found 3",
        "property says 112 x 112 pixels; the first image has 12 x 10",
    )
    for wrong in ("", "3,12", "a,b,c", "3;12;10", "\xff"):
        (tmp_path / "property").write_bytes(wrong.encode("latin-1"))
        assert open_manifest(path).notes == ("property is not used: expected classes,height,width",)
    save(tmp_path, plain(PEOPLE))
    (tmp_path / "property").write_text("3,1,1")
    assert open_manifest(path).notes == ()  # what is no image, 'data check' lists


def test_folders(tmp_path: Path):
    save(tmp_path, plain(PEOPLE))
    (tmp_path / "lfw.bin").write_bytes(b"")
    assert open_manifest(tmp_path).ignored == ("lfw.bin",)
    assert records.recognises(tmp_path)
    (tmp_path / "TEST.REC").write_bytes((tmp_path / "train.rec").read_bytes())
    with pytest.raises(ArcwiseError, match=r"2 \.rec files \(TEST\.REC, train\.rec\); name one"):
        open_manifest(tmp_path)
    assert len(open_manifest(tmp_path / "TEST.REC")) == 6
    (tmp_path / "manifest.csv").write_text("image,identity\ntrain.rec/1,a\n")
    assert open_manifest(tmp_path).identities == ["a"]


def test_what_is_no_recordio_is_one_error(tmp_path: Path):
    path = tmp_path / "some.rec"
    path.write_bytes(b"something else entirely")
    with pytest.raises(ArcwiseError, match=r"some\.rec: no whole record in it; not RecordIO"):
        open_manifest(path)


def test_labels_of_many_records_are_read_in_parts(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("arcwise.data.formats.records.labels._TOGETHER", 4)
    labels = [float(key // 3) for key in range(50)]
    manifest = open_manifest(save(tmp_path, plain(labels)))
    assert manifest.identities == [str(key // 3) for key in range(50)]
    assert manifest.images == [f"train.rec/{key}" for key in range(50)]
    assert manifest.table.schema.field("image").type == pa.string()
