"""A folder, a zip or a table becomes one manifest; what is wrong with it is named."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError

AFolder = Callable[..., Path]


def rows(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.images, manifest.identities, strict=True))


def test_a_folder_per_identity(a_folder: AFolder) -> None:
    root = a_folder("Bob/2.png", "Bob/1.jpg", "Al/x.PNG".replace("PNG", "png"), "Al/y.webp")
    manifest = open_manifest(root)
    assert rows(manifest) == {
        "Al/x.png": "Al",
        "Al/y.webp": "Al",
        "Bob/1.jpg": "Bob",
        "Bob/2.png": "Bob",
    }
    assert manifest.classes == ["Al", "Bob"]
    assert manifest.labels.tolist() == [0, 0, 1, 1]
    assert manifest.labels.dtype == np.int64
    assert manifest.read(2) == (root / "Bob/1.jpg").read_bytes()
    assert (manifest.name, manifest.understood) == ("photos", "a folder per identity")
    assert manifest.column("split") is None


def test_nested_folders_are_one_identity_with_slashes(a_folder: AFolder) -> None:
    manifest = open_manifest(a_folder("fruit/apple/1.png", "fruit/pear/1.png", "milk/1.png"))
    assert manifest.identities == ["fruit/apple", "fruit/pear", "milk"]
    assert "nested" in manifest.understood


def test_a_zip_of_a_folder_names_the_same_identities(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png", "Bob/2.png", "deep/er/3.png")
    with ZipFile(tmp_path / "all.zip", "w") as file:  # as file managers and `zip -r` pack it
        for path in sorted(root.rglob("*.*")):
            file.write(path, Path("photos") / path.relative_to(root))
    manifest = open_manifest(tmp_path / "all.zip")
    assert manifest.identities == open_manifest(root).identities == ["Al", "Bob", "deep/er"]
    assert "inside photos" in manifest.understood


def test_splits_inside_one_folder_are_still_splits(a_folder: AFolder) -> None:
    manifest = open_manifest(a_folder("all/train/Al/1.png", "all/test/Bob/1.png"))
    assert manifest.identities == ["Bob", "Al"]
    assert manifest.column("split") == ["test", "train"]


def test_top_folders_that_are_splits_are_taken_as_such(a_folder: AFolder) -> None:
    manifest = open_manifest(a_folder("train/Al/1.png", "valid/Al/2.png", "test/Bob/1.png"))
    assert manifest.identities == ["Bob", "Al", "Al"]
    assert manifest.column("split") == ["test", "train", "val"]
    assert manifest.where("split", "val").images == ["valid/Al/2.png"]
    assert "splits (test, train, valid)" in manifest.understood


@pytest.mark.parametrize(
    "paths",
    [
        ("train/1.png", "test/2.png"),
        ("train/Al/1.png", "Bob/1.png"),
        ("train/Al/1.png", "test/2.png"),
    ],
)
def test_otherwise_they_are_identities(a_folder: AFolder, paths: tuple[str, ...]) -> None:
    manifest = open_manifest(a_folder(*paths))
    assert manifest.column("split") is None
    assert sorted(rows(manifest)) == sorted(paths)


def test_what_is_no_picture_is_listed(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png", "Al/._1.png", "__MACOSX/Al/1.png", ".hidden/2.png")
    for name in (".DS_Store", "Al/Thumbs.db", "Al/notes.txt"):
        (root / name).write_bytes(b"x")
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png"]
    assert manifest.ignored == (
        ".DS_Store",
        ".hidden/",
        "Al/._1.png",
        "Al/Thumbs.db",
        "Al/notes.txt",
        "__MACOSX/",
    )


def test_pictures_in_no_folder_are_an_error_unless_identities_do_not_matter(
    a_folder: AFolder,
) -> None:
    root = a_folder("1.png", "Al/2.png")
    with pytest.raises(ArcwiseError, match=r"1 images lie in no folder \(1\.png\).* put each into"):
        open_manifest(root)
    manifest = open_manifest(root, identities=False)
    assert manifest.column("identity") == ["", "Al"]
    with pytest.raises(ArcwiseError, match="1 rows have no identity"):
        manifest.classes  # noqa: B018
    flat = open_manifest(a_folder("1.png", "2.png", name="flat"), identities=False)
    assert flat.column("identity") is None
    with pytest.raises(ArcwiseError, match="no column 'identity'"):
        flat.identities  # noqa: B018
    single = open_manifest(root / "1.png", identities=False)
    assert single.images == ["1.png"]
    assert single.read(0) == (root / "1.png").read_bytes()
    with pytest.raises(ArcwiseError, match="single image"):
        open_manifest(root / "1.png")


def test_links_are_followed_and_loops_left(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    other = a_folder("2.png", name="elsewhere")
    (root / "Bob").symlink_to(other)
    (root / "Al" / "loop").symlink_to(root)
    assert rows(open_manifest(root)) == {"Al/1.png": "Al", "Bob/2.png": "Bob"}


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no text")
def test_a_file_name_that_is_no_text_is_listed(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    with open(os.fsencode(root) + b"/Al/\xff.png", "wb") as file:
        file.write(b"x")
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png"]
    assert manifest.ignored == ("Al/\\udcff.png",)


def test_nothing_there_says_what_is_there(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder()
    with pytest.raises(ArcwiseError, match="it is empty"):
        open_manifest(root)
    (root / "images.csv").write_text("path\n")
    with pytest.raises(ArcwiseError, match=r"images\.csv is; did you mean"):
        open_manifest(root)
    with pytest.raises(ArcwiseError, match="no such file"):
        open_manifest(tmp_path / "none")
    (tmp_path / "x.7z").write_bytes(b"")
    with pytest.raises(ArcwiseError, match="not a form"):
        open_manifest(tmp_path / "x.7z")
    with pytest.raises(ArcwiseError, match="not a table"):
        open_manifest(root, image_column="path")


@pytest.mark.parametrize("compression", [0, ZIP_DEFLATED])
def test_a_zip_is_read_in_place(a_folder: AFolder, tmp_path: Path, compression: int) -> None:
    root = a_folder("train/Al/1.png", "test/Bob/2.jpg")
    with ZipFile(tmp_path / "all.ZIP", "w", compression) as file:
        file.mkdir("train")
        for path in sorted(root.rglob("*.*")):
            file.write(path, path.relative_to(root))
        file.writestr("__MACOSX/train/Al/._1.png", b"x")
        file.writestr("train\\Al\\windows.png", b"made on Windows")
    manifest = open_manifest(tmp_path / "all.ZIP")
    assert manifest.identities == ["Bob", "Al", "Al"]
    assert manifest.column("split") == ["test", "train", "train"]
    assert manifest.ignored == ("__MACOSX/",)
    assert manifest.images[0] == "all.ZIP/test/Bob/2.jpg"
    assert manifest.read(0) == (root / "test/Bob/2.jpg").read_bytes()
    assert manifest.read(2) == b"made on Windows"


def test_a_damaged_zip_is_refused_or_its_members_are(a_folder: AFolder, tmp_path: Path) -> None:
    image = (a_folder("Al/1.png") / "Al/1.png").read_bytes()
    path = tmp_path / "set.zip"
    with ZipFile(path, "w") as file:
        file.writestr("Al/1.png", image)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 17):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArcwiseError, match=r"set\.zip"):
            open_manifest(path)
    place = whole.index(image) + 20
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ImageError, match="damaged"):
        open_manifest(path).read(0)


def test_members_that_are_bombs_or_locked_are_refused(
    a_zip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_zip({"Al/1.png": bytes(5000), "Al/2.png": b"x"})
    monkeypatch.setattr("arcwise.data.containers.zipped.MAX_BYTES", 4999)
    with pytest.raises(ImageError, match="5,000 bytes; refused"):
        open_manifest(path).read(0)
    locked = bytearray(path.read_bytes())
    place = locked.rindex(b"PK\x01\x02") + 8  # the flags of the last member
    locked[place] |= 1
    path.write_bytes(locked)
    with pytest.raises(ImageError, match=r"cannot be read.*encrypted"):
        open_manifest(path).read(1)


def test_an_archive_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    for data in (b"first", b"second, longer"):
        with ZipFile(path, "w") as file:
            file.writestr("Al/1.png", data)
        assert open_manifest(path).read(0) == data


def test_missing_pictures_are_errors_with_their_name(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png")
    with ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr("Al/1.png", b"x")
    table = tmp_path / "set.csv"
    refs = (
        "photos/Al/1.png",
        "photos/none.png",
        "set.zip/none.png",
        "photos/Al",
        "none.zip/a.png",
        "nul\0.png",
    )
    table.write_text("image,identity\n" + "".join(f"{ref},a\n" for ref in refs))
    manifest = open_manifest(table)
    assert manifest.read(0) == (root / "Al/1.png").read_bytes()
    for row in range(1, len(refs)):
        with pytest.raises(ImageError) as caught:
            manifest.read(row)
        assert caught.value.name == refs[row]


def test_threads_and_processes_read_one_archive(a_zip: Callable[..., Path]) -> None:
    members = {f"p{n}/{n}.png": bytes([n]) * (1000 + n) for n in range(64)}
    manifest = open_manifest(a_zip(members))
    expected = [manifest.read(row) for row in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(manifest.read, list(range(64)) * 8)) == expected * 8
    for method in ("fork", "spawn"):
        if method not in multiprocessing.get_all_start_methods():
            continue
        with multiprocessing.get_context(method).Pool(2) as processes:
            assert processes.map(manifest.read, range(64), chunksize=1) == expected
            assert manifest.read(5) == expected[5]


def test_pickling_and_selecting_keep_everything(a_folder: AFolder) -> None:
    manifest = open_manifest(a_folder("Al/1.png", "Bob/2.png", "Cy/3.png"))
    again = pickle.loads(pickle.dumps(manifest))
    assert rows(again) == rows(manifest)
    assert again.fingerprint() == manifest.fingerprint()
    some = manifest.select([2, 0])
    assert some.identities == ["Cy", "Al"]
    assert some.labels.tolist() == [1, 0]
    assert some.read(0) == manifest.read(2)
    with pytest.raises(ArcwiseError, match="it has image, identity"):
        manifest.where("fold", "1")


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1, max_size=9), st.data())
def test_the_fingerprint_is_of_the_content(
    table: list[tuple[str, str]], data: st.DataObject
) -> None:
    def manifest(rows: list[tuple[str, str]]) -> Manifest:
        images, identities = zip(*rows, strict=True)
        return Manifest(pa.table({"image": images, "identity": identities}), Path(), "x")

    fingerprint = manifest(table).fingerprint()
    cut = data.draw(st.integers(0, len(table)))
    parts = [manifest(part).table for part in (table[:cut], table[cut:]) if part]
    chunked = Manifest(pa.concat_tables(parts), Path("elsewhere"), "y")
    assert chunked.fingerprint() == fingerprint
    other = [*table]
    row = data.draw(st.integers(0, len(table) - 1))
    other[row] = (table[row][0] + "x", table[row][1])
    assert manifest(other).fingerprint() != fingerprint
