"""Tar shards as the field writes them: the webdataset layout, and tars of folders."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.containers.tarred import offset_table as tar_index
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.shards import ShardWriter
from arcwise.errors import ArcwiseError, ImageError

Members = Sequence[tuple[str, bytes | str | dict[str, object]]]
Write = Callable[..., Path]


@pytest.fixture
def a_tar(tmp_path: Path) -> Write:
    """A function: members → a tar file; text and JSON are encoded."""

    def make(members: Members, name: str = "set.tar") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as file:
            for member, data in members:
                text = json.dumps(data) if isinstance(data, dict) else data
                body = text.encode() if isinstance(text, str) else text
                info = tarfile.TarInfo(member)
                info.size = len(body)
                file.addfile(info, io.BytesIO(body))
        return path

    return make


def test_class_numbers_and_columns(a_tar):
    path = a_tar(
        [
            ("a/0001.jpg", b"one"), ("a/0001.cls", "7\n"), ("a/0001.json", {"age": 3, "w": "x"}),
            ("a/0002.json", {"label": "Zoë", "age": 4.5}), ("a/0002.cls", "8"),
            ("a/0002.png", b"two"), ("a/0003.jpg", b"three"), ("a/0003.txt", " nine "),
        ]
    )  # fmt: skip
    manifest = open_manifest(path)
    assert manifest.images == ["set.tar/a/0001.jpg", "set.tar/a/0002.png", "set.tar/a/0003.jpg"]
    assert manifest.identities == ["7", "Zoë", "nine"]  # .json before .cls before .txt
    assert manifest.column("age") == [3.0, 4.5, None]
    assert manifest.column("text") == [None, None, "nine"]
    assert [manifest.read(row) for row in range(3)] == [b"one", b"two", b"three"]
    assert manifest.understood == "1 tar shard, identities from .json, .cls or .txt"
    assert manifest.name == "set"
    assert not manifest.notes


@pytest.mark.parametrize("name", ["identity", "label", "class", "cls", "person", "subject"])
@pytest.mark.parametrize("value", ["x", 3])
def test_names_that_identities_go_by(a_tar, name, value):
    path = a_tar([("1.jpg", b"1"), ("1.json", {name: value, "quality": 0.5})])
    assert open_manifest(path).table.to_pylist() == [
        {"image": "set.tar/1.jpg", "identity": str(value), "quality": 0.5}
    ]


def test_folders_are_identities_where_nothing_else_is_said(a_tar):
    path = a_tar(
        [
            ("./lfw/Ann/Ann.B.1.jpg", b"1"), ("./lfw/Ann/Ann.B.2.jpg", b"2"),
            ("./lfw/Bob/1.jpg", b"3"), ("./lfw/.DS_Store", b""), ("./lfw/README", b"hello"),
        ]
    )  # fmt: skip
    manifest = open_manifest(path)
    assert manifest.identities == ["Ann", "Ann", "Bob"]
    assert manifest.images[0] == "set.tar/lfw/Ann/Ann.B.1.jpg"
    assert manifest.read(1) == b"2"
    assert "a folder per identity, all inside lfw" in manifest.understood
    assert manifest.ignored == ("set.tar/lfw/.DS_Store", "set.tar/lfw/README")


def test_top_folders_may_be_splits(a_tar):
    manifest = open_manifest(a_tar([("train/a/1.jpg", b"1"), ("test/b/1.jpg", b"2")]))
    assert manifest.column("split") == ["train", "test"]
    assert manifest.identities == ["a", "b"]


def test_another_image_of_a_sample_is_no_row(a_tar):
    path = a_tar([("1.jpg", b"1"), ("1.mask.png", b"2"), ("1.cls", "0")])
    manifest = open_manifest(path)
    assert manifest.images == ["set.tar/1.jpg"]
    assert manifest.ignored == ("set.tar/1.mask.png",)
    assert "1 images lie beside" in manifest.notes[0]


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("a.b.jpg a.b.cls a.c.jpg a.c.cls", {"a.b.jpg": "a.b.cls", "a.c.jpg": "a.c.cls"}),
        ("v1.0_x.jpg v1.0_x.cls v1.0_y.jpg v1.0_y.cls",
         {"v1.0_x.jpg": "v1.0_x.cls", "v1.0_y.jpg": "v1.0_y.cls"}),
        ("d.v2/a.jpg d.v2/a.cls d.v1/a.jpg d.v1/a.cls",
         {"d.v2/a.jpg": "d.v2/a.cls", "d.v1/a.jpg": "d.v1/a.cls"}),
        ("7.left.jpg 7.right.jpg 7.cls", {"7.left.jpg": "7.cls", "7.right.jpg": "7.cls"}),
        ("7.jpg 7.of.the.day.cls", {"7.jpg": "7.of.the.day.cls"}),
        ("7.jpg 7.mask.png 7.cls", {"7.jpg": "7.cls"}),
        ("7.jpg 7.png 7.cls", {"7.jpg": "7.cls"}),
        ("1.a.b.jpg 1.a.jpg 1.a.cls 1.a.b.cls", {"1.a.b.jpg": "1.a.b.cls", "1.a.jpg": "1.a.cls"}),
    ],
)  # fmt: skip
def test_a_dot_in_a_name_joins_and_parts_no_others(a_tar, members, expected, far):
    """Beside their images or behind all of them."""
    names = members.split()
    if far:
        names.sort(key=lambda one: one.endswith(".cls"))
        names.insert(0, "between.jpg")
        names.append("between.cls")
        expected = expected | {"between.jpg": "between.cls"}
    manifest = open_manifest(a_tar([(one, one) for one in names]))
    found = dict(zip(manifest.images, manifest.identities, strict=True))
    assert found == {f"set.tar/{image}": label for image, label in expected.items()}


@pytest.mark.parametrize("image", ["Jose\u0301.1.jpg", "./Jos\u00e9.1.jpg"])
@pytest.mark.parametrize("between", [[], [("0.jpg", b"0"), ("0.cls", "0")]])
def test_how_a_name_is_written_does_not_count(a_tar, image, between):
    manifest = open_manifest(a_tar([(image, b"1"), *between, ("Jos\u00e9.1.cls", "7")]))
    assert manifest.identities[0] == "7"


def test_a_class_of_another_name_is_no_images(a_tar):
    path = a_tar([("v1.0.jpg", b"1"), ("v1.0.cls", "0"), ("v1.1.cls", "1"), ("v1.2.jpg", b"2")])
    manifest = open_manifest(path, identities=False)
    assert manifest.column("identity") == ["0", None]
    assert [note[:1] for note in manifest.notes] == ["1", "1"]
    assert "the first is set.tar/v1.2.jpg" in manifest.notes[0]
    assert "belong to no image, the first is set.tar/v1.1.cls" in manifest.notes[1]


@pytest.mark.parametrize("order", ["images first", "labels first", "mixed"])
def test_labels_may_lie_anywhere_in_a_shard(a_tar, order):
    members = [(f"{n}.jpg", f"p{n}") for n in range(9)]
    members += [(f"{n}.json", {"label": f"id{n}", "age": n}) for n in range(8)]
    if order != "images first":
        members.reverse()
    if order == "mixed":
        members = members[::2] + members[1::2]
    manifest = open_manifest(a_tar(members), identities=False)
    rows = {row["image"]: row for row in manifest.table.to_pylist()}
    for n in range(8):
        image = f"set.tar/{n}.jpg"
        assert rows[image] == {"image": image, "identity": f"id{n}", "age": n}
    assert rows["set.tar/8.jpg"]["identity"] is None
    assert ["1 images have no" in note for note in manifest.notes] == [True]


def test_the_nearest_name_has_the_last_word(a_tar):
    for far in (False, True):
        members = [("7.jpg", b"1"), ("7.cls", "own"), ("7.meta.cls", "meta")]
        path = a_tar([*members, ("8.jpg", b"2"), ("8.cls", "8")] if far else members)
        assert open_manifest(path).identities[0] == "own"


def test_a_far_label_is_of_its_own_shard(a_tar, tmp_path):
    for name, label in (("a", "x"), ("b", "y")):
        members = [("1.jpg", name), ("2.jpg", name), ("1.cls", label), ("2.cls", label)]
        a_tar(members, name=f"many/{name}.tar")
    manifest = open_manifest(tmp_path / "many")
    assert manifest.identities == ["x", "x", "y", "y"]


def test_what_is_said_twice_is_said(a_tar):
    manifest = open_manifest(a_tar([("1.jpg", b"1"), ("1.cls", "0"), ("1.cls", "1")]))
    assert manifest.identities == ["1"]
    assert "1 members" in manifest.notes[0]
    assert manifest.notes[0].endswith("set.tar/1.cls")


def test_a_flat_tar_has_no_identities(a_tar):
    path = a_tar([("1.jpg", b"1"), ("2.jpg", b"2")])
    with pytest.raises(ArcwiseError, match=r"lie in no folder and have no \.json, \.cls or \.txt"):
        open_manifest(path)
    manifest = open_manifest(path, identities=False)
    assert manifest.images == ["set.tar/1.jpg", "set.tar/2.jpg"]
    assert manifest.column("identity") is None


def test_some_without_an_identity_are_named(a_tar):
    path = a_tar([("1.jpg", b"1"), ("1.cls", "0"), ("2.jpg", b"2")])
    with pytest.raises(ArcwiseError, match="row 2: identity is empty"):
        open_manifest(path)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("2.json", b"{"), "Expecting property name"),
        (("2.json", b"[1]"), r"holds '\[1\]'; expected names and values"),
        (("2.json", b'{"a":' * 5000), "recursion|Expecting"),
        (("2.cls", b"\xff\xfe"), "invalid start byte"),
        (("2.cls", bytes(2**20 + 1)), "has 1,048,577 bytes; expected a few words"),
    ],
)
def test_what_cannot_be_read_of_a_sample_costs_only_that(a_tar, member, reason):
    path = a_tar([("1.jpg", b"1"), ("1.cls", "0"), ("2.jpg", b"2"), member,
                  ("3.jpg", b"3"), ("3.cls", "5")])  # fmt: skip
    manifest = open_manifest(path)
    assert manifest.identities == ["0", "5"]
    assert manifest.ignored == ("set.tar/2.jpg",)
    (note,) = manifest.notes
    assert note.startswith("set.tar: 1 images are left out")
    assert re.search(f"the first: set.tar/{member[0]}: .*({reason})", note)


def test_half_a_character_becomes_a_question_mark(a_tar):
    path = a_tar([("1.jpg", b"1"), ("1.json", b'{"label": "a\\ud800", "x\\udfff": 1}')])
    manifest = open_manifest(path)
    assert manifest.identities == ["a?"]
    assert manifest.column("x?") == [1]


def test_mixed_values_are_text(a_tar):
    path = a_tar([("1.jpg", b"1"), ("1.json", {"label": 1, "v": 3, "n": 2**70}),
                  ("2.jpg", b"2"), ("2.json", {"label": 1, "v": "x", "n": 1})])  # fmt: skip
    manifest = open_manifest(path)
    assert manifest.column("v") == ["3", "x"]
    assert manifest.column("n") == [str(2**70), "1"]


def test_a_different_name_in_every_json_is_refused(a_tar):
    members = [(f"{n}.{end}", b"1" if end == "jpg" else {f"k{n}": 1})
               for n in range(300) for end in ("jpg", "json")]  # fmt: skip
    with pytest.raises(ArcwiseError, match=r"30\d different names"):
        open_manifest(a_tar(members))


def test_a_folder_of_shards_and_a_pattern(a_tar, tmp_path):
    for number in range(4):
        a_tar([(f"id{number}/1.jpg", b"%d" % number)], name=f"many/train-00{number}.tar")
    manifest = open_manifest(tmp_path / "many")
    assert manifest.images == [f"train-00{n}.tar/id{n}/1.jpg" for n in range(4)]
    assert manifest.read(3) == b"3"
    assert manifest.name == "many"
    manifest = open_manifest(tmp_path / "many" / "train-{001..002}.tar")
    assert manifest.identities == ["id1", "id2"]
    assert manifest.name == "train"
    with pytest.raises(ArcwiseError, match=r"2 of 3 shards are not there: train-004\.tar"):
        open_manifest(tmp_path / "many" / "train-{003..005}.tar")
    with pytest.raises(ArcwiseError, match="names 0 shards"):
        open_manifest(tmp_path / "many" / "train-{005..003}.tar")
    with pytest.raises(ArcwiseError, match="names 10,000,000,000 shards"):
        open_manifest(tmp_path / "many" / "train-{0..9999999999}.tar")
    with pytest.raises(ArcwiseError, match="no such file or folder"):
        open_manifest(tmp_path / "many" / "val.tar")


def test_shards_that_say_how_many_they_are(a_tar, tmp_path):
    for name in ("train-00000-of-00003", "train-00002-of-00003", "val-00000-of-00001"):
        a_tar([("ann/1.jpg", b"1")], name=f"many/{name}.tar")
    manifest = open_manifest(tmp_path / "many")
    assert manifest.column("split") == ["train", "train", "val"]
    (note,) = manifest.notes
    assert "2 are there, and 1 are missing, the first is number 1" in note
    assert len(open_manifest(tmp_path / "many" / "train-*.tar")) == 2
    with pytest.raises(ArcwiseError, match="no shard has a name like this"):
        open_manifest(tmp_path / "many" / "x*.tar")


def test_names_of_sets_may_be_splits(a_tar, tmp_path):
    for name in ("x-train-000.tar", "x-train-001.tar", "x-val-000.tar"):
        a_tar([(f"{name[:5]}/{name}.jpg", b"1")], name=f"many/{name}")
    assert open_manifest(tmp_path / "many").column("split") == ["train", "train", "val"]


def test_a_folder_with_folders_is_one_per_identity(a_tar, tmp_path, a_picture):
    a_tar([("a/1.jpg", b"1")], name="many/backup.tar")
    (tmp_path / "many" / "apple").mkdir()
    (tmp_path / "many" / "apple" / "1.png").write_bytes(a_picture(1))
    assert open_manifest(tmp_path / "many").identities == ["apple"]


def test_the_later_of_two_members_with_a_name_counts(a_tar):
    manifest = open_manifest(a_tar([("a/1.jpg", b"old"), ("a/2.jpg", b"x"), ("a/1.jpg", b"new")]))
    assert manifest.images == ["set.tar/a/2.jpg", "set.tar/a/1.jpg"]
    assert manifest.read(1) == b"new"
    (note,) = manifest.notes
    assert note.startswith("1 members have the name of a later one")
    assert note.endswith("set.tar/a/1.jpg")


def test_links_are_listed_and_not_followed(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        link = tarfile.TarInfo("a/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        file.addfile(link)
        file.addfile(tarfile.TarInfo("a/1.jpg"))
    manifest = open_manifest(tmp_path / "x.tar")
    assert manifest.images == ["x.tar/a/1.jpg"]
    assert manifest.ignored == ("x.tar/a/link.jpg",)


def test_without_a_image(a_tar):
    with pytest.raises(ArcwiseError, match=r"set\.tar: no image in it"):
        open_manifest(a_tar([("a.txt", "hello")]))


def test_damage_is_noted_and_costs_its_own_member(a_tar):
    path = a_tar([(f"id/{n}.jpg", b"%d" % n * 600) for n in range(4)])
    whole = bytearray(path.read_bytes())
    whole[2 * 1536 + 10] ^= 0xFF
    path.write_bytes(whole)
    manifest = open_manifest(path)
    assert [manifest.read(row) for row in range(3)] == [b"%d" % n * 600 for n in (0, 1, 3)]
    assert manifest.notes == (
        "set.tar: damaged in 1 places, 1,536 bytes in all, the first at byte 3,072; members that "
        "lay there are lost",
    )
    path.write_bytes(whole[: 3 * 1536 + 700])
    manifest = open_manifest(path)
    assert len(manifest.notes) == 2
    assert "stops without the end mark of a tar archive" in manifest.notes[-2]
    with pytest.raises(ImageError, match=r"set\.tar/id/3\.jpg: cut off: 188 of 600 bytes"):
        manifest.read(2)


def test_a_lost_class_costs_its_own_image(a_tar):
    path = a_tar([(f"{n}.{end}", f"{n}") for n in range(4) for end in ("jpg", "cls")])
    whole = bytearray(path.read_bytes())
    whole[5 * 1024 + 10] ^= 0xFF  # the header of 2.cls
    path.write_bytes(whole)
    manifest = open_manifest(path)
    assert manifest.identities == ["0", "1", "3"]
    assert [manifest.read(row) for row in range(3)] == [b"0", b"1", b"3"]
    assert manifest.ignored == ("set.tar/2.jpg",)
    assert "set.tar/2.jpg: the member after it is lost" in manifest.notes[0]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of shards with their offset table."""
    images = [f"x/{row}.jpg" for row in range(12)]
    table = pa.table({"image": images, "identity": [f"id{row // 4}" for row in range(12)]})
    writer = ShardWriter(tmp_path, "train.tar", Manifest(table, tmp_path, "x"), shard_bytes=11_000)
    for row in range(12):
        writer.add(row, b"\xff\xd8" + b"%02d" % row * 300)
    assert len(writer.finish(range(12))) == 4
    return tmp_path


def images(manifest: Manifest) -> list[bytes]:
    return [manifest.read(row) for row in range(len(manifest))]


EVERY = [b"\xff\xd8" + b"%02d" % row * 300 for row in range(12)]


def test_an_offset_table_that_fits_is_believed(written):
    for path in (written, written / "train.tar", written / "train-{000000..000002}.tar"):
        manifest = open_manifest(path)
        assert manifest.understood == "3 tar shards, listed in train.index.parquet"
        assert manifest.table.column_names == ["image", "identity"]
        assert images(manifest) == EVERY
    one = open_manifest(written / "train-000001.tar")
    assert 0 < len(one) < 12
    assert {image[:16] for image in one.images} == {"train-000001.tar"}
    table = open_manifest(written / "train.index.parquet")  # a table as any other
    assert images(table) == EVERY


def test_damage_to_a_header_hides_nothing_that_the_offset_table_lists(written):
    shard = written / "train-000000.tar"
    whole = bytearray(shard.read_bytes())
    whole[5] ^= 0xFF
    shard.write_bytes(whole)
    manifest = open_manifest(written)
    assert len(manifest) == 12
    with pytest.raises(
        ImageError, match=r"000000000\.jpg: train-000000\.tar: the header of '000000000\.jpg' at by"
    ):
        manifest.read(0)
    assert [manifest.read(row) for row in range(1, 12)] == EVERY[1:]


@pytest.mark.parametrize("how", ["longer", "cut", "not one", "of others", "without columns"])
def test_an_offset_table_that_does_not_fit_is_not_used(written, how):
    index = written / "train.index.parquet"
    if how == "longer":
        with open(written / "train-000001.tar", "ab") as file:
            file.write(bytes(512))
    elif how == "cut":
        index.write_bytes(index.read_bytes()[:-20])
    elif how == "not one":
        index.write_bytes(b"")
    elif how == "of others":
        table = pq.read_table(index)
        pq.write_table(
            table.cast(tar_index.with_sizes(table.schema, {"train-000000.tar": 1})), index
        )
    else:
        table = pq.read_table(index)
        pq.write_table(table.drop_columns(["shard", "shard_offset"]), index)
    manifest = open_manifest(written)
    assert manifest.notes[0].startswith("train.index.parquet is damaged or of other shards")
    assert "identities from .json" in manifest.understood
    assert manifest.identities == [f"id{row // 4}" for row in range(12)]
    assert images(manifest) == EVERY


def test_an_offset_table_with_wrong_offsets_is_not_used(written):
    index = written / "train.index.parquet"
    table = pq.read_table(index)
    for offset in (10**15, -512, 2048):
        offsets = pa.array([offset] * 12, pa.int64())
        place = table.column_names.index("shard_offset")
        pq.write_table(table.set_column(place, "shard_offset", offsets), index)
        manifest = open_manifest(written)
        assert "overlap or lie outside, and is not used" in manifest.notes[0]
        assert images(manifest) == EVERY


@pytest.mark.parametrize("kept", [[0], [11], range(11), range(1, 12), [0, 1, 2, 4, 5, 6, 8, 11]])
def test_an_offset_table_that_names_fewer_images_is_not_used(written, kept):
    index = written / "train.index.parquet"
    pq.write_table(pq.read_table(index).take(pa.array(kept)), index)
    manifest = open_manifest(written)
    assert manifest.notes[0].startswith("train.index.parquet does not name ")
    assert images(manifest) == EVERY


def test_shards_that_an_offset_table_names_may_be_missing(written):
    (written / "train-000001.tar").unlink()
    manifest = open_manifest(written)
    assert 0 < len(manifest) < 12
    assert manifest.notes[0].endswith("names 3 shards, of which 1 are not there: train-000001.tar")


def test_pairs_lie_beside(written):
    (written / "train.pairs.csv").write_text(
        "a,b,same\ntrain-000000.tar/000000000.jpg,train-000000.tar/000000001.jpg,1\n"
    )
    pairs = open_manifest(written / "train.tar").pairs
    assert pairs is not None
    assert pairs["same"].to_pylist() == [True]


@pytest.mark.parametrize("sidecar", [
    (".cls", "-1"), (".txt", "nan"), (".cls", ""), (".json", {"label": -1}),
    (".json", {"label": None}), (".json", {"identity": "None"}), (".json", {"identity": -1.0}),
])  # fmt: skip
def test_who_is_nobody_is_no_identity(a_tar, sidecar):
    ending, text = sidecar
    path = a_tar([("1.jpg", b"one"), ("1.cls", "a"), ("2.jpg", b"two"), (f"2{ending}", text)])
    found = open_manifest(path, identities=False).column("identity")
    assert found is not None
    assert [one or "" for one in found] == ["a", ""]
    with pytest.raises(ArcwiseError, match=r"row 2: identity is .* \(1 such rows\)"):
        open_manifest(path)


def test_folders_in_shards_may_be_splits_or_asked_about(a_tar):
    path = a_tar([(f"{top}/{who}/{top}.jpg", b"x") for top in ("TRAIN", "Val") for who in "ab"])
    assert open_manifest(path).column("split") == ["train", "train", "val", "val"]
    path = a_tar(
        [(f"{top}/{who}/{top}.jpg", b"x") for top in ("old", "new") for who in "ab"], "b.tar"
    )
    with pytest.raises(ArcwiseError, match="--top-folders"):
        open_manifest(path)
    assert open_manifest(path, top_folders="domain").column("domain") == ["old"] * 2 + ["new"] * 2
