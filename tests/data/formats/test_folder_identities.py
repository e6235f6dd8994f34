"""What folders are: splits however they are written, or asked about; folders around all."""

from __future__ import annotations

import io
import re
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from arcwise.cli import main
from arcwise.data.formats.file_kinds import hidden_part, split_of
from arcwise.data.formats.folder_identities import TopFolders
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.training.config import TrainConfig
from arcwise.verbs.query_images import query_images
from arcwise.verbs.train import training_rows

AFolder = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("TRAINING", "train"),
        ("train_set", "train"),
        ("Training-Images", "train"),
        ("Valid", "val"),
        ("VALIDATION", "val"),
        ("dev", "val"),
        ("testing", "test"),
        ("Test Set", "test"),
        ("Gallery", "gallery"),
        ("QUERY", "query"),
        ("probes", "probe"),
        ("Trainer", None),
        ("dataset", None),
        ("apple", None),
        ("set", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("one", "other", "splits"),
    [
        ("Train", "Test", ["train", "test"]),
        ("TRAINING", "Testing", ["train", "test"]),
        ("train", "Validation", ["train", "val"]),
        ("gallery", "query", ["gallery", "query"]),
        ("Gallery", "Probe", ["gallery", "probe"]),
    ],
)
def test_splits_in_any_case(a_folder: AFolder, one: str, other: str, splits: list[str]) -> None:
    manifest = open_manifest(a_folder(f"{one}/Al/1.png", f"{one}/Bo/1.png", f"{other}/Al/2.png"))
    rows = dict(zip(manifest.images, manifest.column("split") or [], strict=True))
    assert rows == {
        f"{one}/Al/1.png": splits[0],
        f"{one}/Bo/1.png": splits[0],
        f"{other}/Al/2.png": splits[1],
    }
    assert manifest.classes == ["Al", "Bo"]


def test_the_training_split_is_what_is_trained_on(a_folder: AFolder) -> None:
    root = a_folder("Training/Al/1.png", "Training/Bo/1.png", "Testing/Cy/1.png")
    assert training_rows(open_manifest(root), TrainConfig()).classes == ["Al", "Bo"]


def test_splits_within_each_identity(a_folder: AFolder) -> None:
    root = a_folder("Al/train/1.png", "Al/Test/2.png", "Bo/train/1.png", "Bo/train/deep/2.png")
    manifest = open_manifest(root)
    assert manifest.identities == ["Al", "Al", "Bo", "Bo/deep"]
    assert manifest.column("split") == ["test", "train", "train", "train"]
    assert manifest.notes[0].startswith("splits lie within each of the 2 top folders (Al/Test)")
    part = open_manifest(root, top_folders="part")
    assert part.identities == ["Al/Test", "Al/train", "Bo/train", "Bo/train/deep"]


def test_a_column_split_is_read_alike(a_folder: AFolder, tmp_path: Path) -> None:
    a_folder("1.png", "2.png", "3.png")
    (tmp_path / "t.csv").write_text(
        "image,identity,split\nphotos/1.png,a,Train\nphotos/2.png,a, VALID\nphotos/3.png,a,odd\n"
    )
    assert open_manifest(tmp_path / "t.csv").column("split") == ["train", "val", "odd"]


SAME = [f"{top}/{who}/{top}.png" for top in ("old", "new") for who in ("Al", "Bo", "Cy")]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (SAME, "new and old have 3 sub-folders of the same names .Al, Bo"),
        ([*SAME, "new/Di/1.png"], "new and old have 3 sub-folders"),
        (["train/Al/1.png", "extra/Al/1.png"], "train is named like a split and extra beside it"),
        (["Train/Al/1.png", "test/Bo/1.png", "x/Cy/1.png"], "Train is named like a split and x"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_they_are_is_asked(
    a_folder: AFolder, tmp_path: Path, paths: list[str], said: str, packed: bool
) -> None:
    root = a_folder(*paths)
    if packed:
        with ZipFile(tmp_path / "set.zip", "w") as file:
            for path in paths:
                file.write(root / path, path)
        root = tmp_path / "set.zip"
    for identities in (True, False):
        with pytest.raises(ArcwiseError, match=f"{said}.*--top-folders"):
            open_manifest(root, identities=identities)


@pytest.mark.parametrize(
    ("answer", "column", "identities"),
    [
        ("split", "split", {"Al", "Bo", "Cy"}),
        ("domain", "domain", {"Al", "Bo", "Cy"}),
        ("part", None, {f"{top}/{who}" for top in ("old", "new") for who in ("Al", "Bo", "Cy")}),
        ("identity", None, {"old", "new"}),
    ],
)
def test_and_answered(
    a_folder: AFolder,
    capsys: pytest.CaptureFixture[str],
    answer: TopFolders,
    column: str | None,
    identities: set[str],
) -> None:
    root = a_folder(*SAME)
    manifest = open_manifest(root, top_folders=answer)
    assert set(manifest.identities) == identities
    for name in ("split", "domain"):
        expected = ["new"] * 3 + ["old"] * 3 if name == column else None
        assert manifest.column(name) == expected
    assert main(["data", "check", str(root), "--top-folders", answer]) in (0, 1)
    assert f"of {len(identities)} identities" in capsys.readouterr().out


def test_images_asked_about_are_nobodys(a_folder: AFolder) -> None:
    assert len(query_images([a_folder(*SAME)])) == 6


@pytest.mark.parametrize(
    ("paths", "note"),
    [
        ([f"cam{n}/{who}/1.png" for n in range(3) for who in "abc"], "the 3 top folders "),
        (["train/1.png", "test/1.png"], "test, train, named like splits, are taken for"),
        (["train/1.png", "Al/1.png"], "train, named like splits, are taken for"),
    ],
)
def test_what_is_guessed_is_said(a_folder: AFolder, paths: list[str], note: str) -> None:
    manifest = open_manifest(a_folder(*paths))
    assert manifest.column("split") is None
    (said,) = manifest.notes
    assert re.match(note, said)


@pytest.mark.parametrize(
    "paths",
    [
        ["fruit/apple/1.png", "milk/whole/1.png"],
        ["fruit/other/1.png", "milk/other/1.png", "milk/whole/1.png"],
        ["Al/images/1.png", "Bo/images/1.png"],
        ["Al/1.png", "Val/1.png", "Zoe/1.png"],
        [f"alphabet{n}/{m}/1.png" for n in range(9) for m in range(3 * n + 1)],
    ],
)
def test_nested_folders_are_not_asked_about(a_folder: AFolder, paths: list[str]) -> None:
    manifest = open_manifest(a_folder(*paths))
    assert manifest.notes == ()
    assert sorted(manifest.identities) == sorted(path.rpartition("/")[0] for path in paths)


def test_an_answer_that_does_not_fit(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png", "Bo/1.png")
    with pytest.raises(ArcwiseError, match="--top-folders split, and images lie right in Al"):
        open_manifest(root, top_folders="split")
    (tmp_path / "t.csv").write_text("image,identity\nphotos/Al/1.png,a\n")
    with pytest.raises(ArcwiseError, match=r"t\.csv.*leave out --top-folders domain"):
        open_manifest(tmp_path / "t.csv", top_folders="domain")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/b.jpg", None),
        (".git/x/y.jpg", ".git/"),
        ("a/.thumbnails/b.jpg", "a/.thumbnails/"),
        ("a/._b.jpg", "a/._b.jpg"),
        ("a/@eaDir/b.jpg", "a/@eaDir/"),
        ("__MACOSX/a/._b.jpg", "__MACOSX/"),
    ],
)
def test_hidden(path: str, found: str | None) -> None:
    assert hidden_part(path) == found


def test_photographs_that_cannot_be_read_are_told_from_other_files(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    for name in ("Al/1.CR2", "Al/2.jxl", ".DS_Store", "Al/.3.nef"):
        (root / name).write_bytes(b"x")
    (note,) = open_manifest(root).notes
    assert note.startswith("2 files are photographs that cannot be read (JPEG XL, camera raw)")
    (root / "Al/1.png").unlink()
    with pytest.raises(ArcwiseError, match=r"no image in it that can be read: 2 .*Al/1\.CR2"):
        open_manifest(root)


def test_heic_and_avif_are_images(a_folder: AFolder) -> None:
    root = a_folder()
    (root / "Al").mkdir()
    for name in ("1.HEIC", "2.avif", "3.heif"):
        (root / "Al" / name).write_bytes(b"\0\0\0\x14ftypheic\0\0\0\0heic")
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.HEIC", "Al/2.avif", "Al/3.heif"]
    assert (manifest.ignored, manifest.notes) == ((), ())


def test_links_in_an_archive_are_said(tmp_path: Path, a_picture: Callable[..., bytes]) -> None:
    link = ZipInfo("Al/2.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr("Al/1.png", a_picture(1))
        file.writestr(link, "1.png")
    manifest = open_manifest(tmp_path / "set.zip")
    assert manifest.images == ["set.zip/Al/1.png"]
    assert manifest.notes == ("1 members are links, and left out (Al/2.png)",)
    assert manifest.ignored == ("Al/2.png",)


FILES = ("ann/1.png", "ann/2.png", "bob/1.png")


@pytest.mark.parametrize("around", ["", "a/", "a/b/", "a/b/c d/"])
def test_wrapped(
    a_folder: AFolder, a_zip: Callable[..., Path], tmp_path: Path, around: str
) -> None:
    root = a_folder(*(around + one for one in FILES))
    files = {around + one: (root / around / one).read_bytes() for one in FILES}
    packed = a_zip(files)
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    for source in (root, packed, tmp_path / "photos.tar"):
        assert open_manifest(source).identities == ["ann", "ann", "bob"]
    found = open_manifest(root).understood
    assert found.endswith(f"all inside {around.strip('/')}" if around else "per identity")


def test_folders_between_a_split_and_the_identities(a_folder: AFolder) -> None:
    found = open_manifest(a_folder("x/train/img/ann/1.png", "x/test/img/bob/1.png"))
    assert found.column("split") == ["test", "train"]
    assert found.identities == ["bob", "ann"]


def test_what_only_some_have_around_them_stays(a_folder: AFolder) -> None:
    found = open_manifest(a_folder("a/fruit/apple/1.png", "a/fruit/pear/1.png", "a/nut/1.png"))
    assert found.classes == ["fruit/apple", "fruit/pear", "nut"]


def test_one_identity_keeps_its_folder(a_folder: AFolder) -> None:
    assert open_manifest(a_folder("a/b/ann/1.png")).classes == ["ann"]
