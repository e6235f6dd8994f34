"""Parquet shards as the Hugging Face hub has them: a folder or a pattern is one data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.check import check
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError, ImageError

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
FEATURES = {"info": {"features": {
    "image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}
}}}  # fmt: skip
Write = Callable[..., Path]


@pytest.fixture
def a_shard(tmp_path: Path) -> Write:
    """A function: name, (bytes, path) of each image → a shard; labels go round."""

    def make(name: str, *images: tuple[bytes | None, str | None], **columns: list) -> Path:
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"bytes": data, "path": place} for data, place in images]
        labels = [row % 2 for row in range(len(rows))]
        table = pa.table({"image": pa.array(rows, IMAGE), "label": labels} | columns)
        metadata = {b"huggingface": json.dumps(FEATURES).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        return path

    return make


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
         ["test", "train"]),
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], ["train", "train"]),
        (["data/validation-00000-of-00001-ab54e6f5d9da1aa.parquet"], ["val"]),
        (["default/train/0000.parquet", "default/test/0000.parquet"], ["test", "train"]),
        (["partial-train/0000.parquet"], ["train"]),
        (["train.parquet", "validation.parquet"], ["train", "val"]),
        (["unlabeled-00000-of-00001.parquet"], ["unlabeled"]),
        (["x_dev.parquet", "x_Testing.parquet"], ["test", "val"]),
        (["part-00000.snappy.parquet"], None),
    ],
)  # fmt: skip
def test_the_split_is_in_the_names(a_shard: Write, tmp_path: Path, names, splits) -> None:
    for name in names:
        a_shard(name, (name.encode(), "a.png"))
    manifest = open_manifest(tmp_path / "hub")
    assert manifest.images == [f"{name}/0/a.png" for name in sorted(names)]
    assert manifest.column("split") == splits
    assert manifest.identities == ["cat"] * len(names)
    read = [manifest.read(row) for row in range(len(manifest))]
    assert read == [name.encode() for name in sorted(names)]
    assert (manifest.notes, manifest.name) == ((), "hub")


def test_patterns(a_shard: Write, tmp_path: Path) -> None:
    for number in range(3):
        a_shard(f"data/train-0000{number}-of-00003.parquet", (b"%d" % number, None))
    a_shard("data/test-00000-of-00001.parquet", (b"test", None))
    for pattern in ("data/train-*.parquet", "*/train-*", "data/train-{00000..00002}-of-00003"):
        whole = pattern if pattern.endswith(".parquet") else f"{pattern}.parquet"
        manifest = open_manifest(tmp_path / "hub" / whole)
        assert manifest.column("split") == ["train"] * 3
        assert [manifest.read(row) for row in range(3)] == [b"0", b"1", b"2"]
    assert len(open_manifest(tmp_path / "hub" / "data" / "train-*")) == 3
    with pytest.raises(ArcwiseError, match="no file has a name like this"):
        open_manifest(tmp_path / "hub" / "data" / "val-*.parquet")
    with pytest.raises(ArcwiseError, match=r"1 of 2 files are not there: train-00003"):
        open_manifest(tmp_path / "hub" / "data" / "train-{00002..00003}-of-00003.parquet")


@pytest.mark.parametrize("ending", ["", "/data", "/data/train-*.parquet"])
def test_shards_that_are_missing_are_counted(a_shard: Write, tmp_path: Path, ending: str) -> None:
    for number in (0, 3):
        path = a_shard(f"data/train-0000{number}-of-00005.parquet", (b"x", None))
    (note,) = open_manifest(f"{tmp_path}/hub{ending}").notes
    assert "of the 5 files" in note
    assert "2 are there, and 3 are missing, the first is number 1" in note
    assert "1 are there, and 4 are missing" in open_manifest(path).notes[0]


def test_several_configurations_are_asked_about(a_shard: Write, tmp_path: Path) -> None:
    for name in ("cats/train/0.parquet", "dogs/train/0.parquet"):
        a_shard(name, (b"x", None))
    with pytest.raises(ArcwiseError, match=r"2 configurations \(cats, dogs\)"):
        open_manifest(tmp_path / "hub")
    assert len(open_manifest(tmp_path / "hub" / "cats")) == 1


def test_a_folder_with_pictures_is_no_set_of_shards(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes]
) -> None:
    a_shard("labels.parquet", (b"x", None))
    (tmp_path / "hub" / "apple").mkdir()
    (tmp_path / "hub" / "apple" / "1.png").write_bytes(a_picture(1))
    assert open_manifest(tmp_path / "hub").identities == ["apple"]


@pytest.mark.parametrize("data", [b"inside", None])
def test_shards_with_pictures_beside_them(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes], data: bytes | None
) -> None:
    """Those that a shard names by path are its own; others are counted."""
    (tmp_path / "hub" / "data" / "own").mkdir(parents=True)
    for name in ("data/own/1.png", "preview.png"):
        (tmp_path / "hub" / name).write_bytes(a_picture(1))
    a_shard("data/train-00000-of-00001.parquet", (data, "a.png"), (None, "own/1.png"))
    manifest = open_manifest(tmp_path / "hub")
    assert manifest.column("split") == ["train", "train"]
    assert manifest.read(1) == a_picture(1)
    (note,) = manifest.notes
    assert "does not name 1 images that lie beside it" in note
    assert "preview.png" in note
    assert manifest.ignored == ()


def test_many_folders_are_identities(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes]
) -> None:
    a_shard("labels.parquet", (b"x", None))
    for number in range(70):
        folder = tmp_path / "hub" / f"{number:02d}"
        folder.mkdir()
        (folder / "1.png").write_bytes(a_picture(number))
    assert len(open_manifest(tmp_path / "hub")) == 70


@pytest.mark.parametrize("name", ["x.parquet", "data/train-00000-of-00001.parquet"])
def test_images_beside_a_table_are_read_by_their_paths(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes], name: str
) -> None:
    """All bytes are null; the paths start from the table's folder, or are whole."""
    root = (tmp_path / "hub" / name).parent
    (root / "images").mkdir(parents=True)
    (root / "images" / "1.png").write_bytes(a_picture(1))
    (tmp_path / "2.png").write_bytes(a_picture(2))
    paths = ["images/1.png", str(tmp_path / "2.png"), "images/none.png", None]
    path = a_shard(name, *((None, one) for one in paths))
    manifest = open_manifest(path)
    assert [manifest.read(row) for row in range(2)] == [a_picture(1), a_picture(2)]
    report = check(manifest)
    assert len(report.unreadable) == 2
    assert "no such file" in report.unreadable[0].reason
    assert report.unreadable[1].reason == "its row holds no bytes, and no path"


def test_a_row_without_bytes_among_others(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes]
) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "1.png").write_bytes(a_picture(1))
    path = a_shard("x.parquet", (b"inside", "0.png"), (None, "1.png"), (None, "2.png"), (None, ""))
    manifest = open_manifest(path)
    assert [manifest.read(row) for row in range(2)] == [b"inside", a_picture(1)]
    with pytest.raises(ImageError, match=r"no bytes, and its path '2\.png' cannot be read"):
        manifest.read(2)
    with pytest.raises(ImageError, match="no bytes, and no path"):
        manifest.read(3)


def test_paths_that_lead_nowhere_are_one_error(a_shard: Write, tmp_path: Path) -> None:
    path = a_shard("x.parquet", (None, "/nowhere/1.png"), (None, "/nowhere/2.png"))
    with pytest.raises(ArcwiseError, match=r"'/nowhere/1\.png' is not in .* --images"):
        open_manifest(path)


def test_paths_may_start_elsewhere(
    a_shard: Write, tmp_path: Path, a_picture: Callable[..., bytes]
) -> None:
    (tmp_path / "1.png").write_bytes(a_picture(1))
    path = a_shard("data/train-00000-of-00001.parquet", (None, "1.png"))
    for source in (path, path.parent, path.parent / "train-*.parquet"):
        assert open_manifest(source, images=tmp_path).read(0) == a_picture(1)


def test_a_path_twice_is_said_and_each_row_is_its_own(a_shard: Write) -> None:
    manifest = open_manifest(a_shard("x.parquet", (b"a", "1.png"), (b"b", "1.png"), (b"c", "2")))
    assert [manifest.read(row) for row in range(3)] == [b"a", b"b", b"c"]
    assert "1 rows have the path of an earlier one, the first is '1.png'" in manifest.notes[0]


def test_of_several_columns_of_images_one_is_read(a_shard: Write, tmp_path: Path) -> None:
    mask = pa.array([{"bytes": b"mask", "path": None}], IMAGE)
    manifest = open_manifest(a_shard("x.parquet", (b"a", "1.png"), mask=mask))
    assert manifest.read(0) == b"a"
    assert "mask" not in manifest.table.column_names
    assert "the columns mask hold images too" in manifest.notes[0]
    pq.write_table(pa.table({"left": mask, "right": mask}), tmp_path / "two.parquet")
    for column in (None, "left"):
        with pytest.raises(ArcwiseError, match="left, right hold images"):
            open_manifest(tmp_path / "two.parquet", image_column=column)


def test_the_only_classes_are_the_identities(tmp_path: Path) -> None:
    features = {"info": {"features": {"kind": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}
    table = pa.table({"image": [b"1", b"2"], "kind": [1, 0]})
    metadata = {b"huggingface": json.dumps(features).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
    assert open_manifest(tmp_path / "x.parquet").identities == ["dog", "cat"]
