"""A folder with links, hidden folders and things that are no files in it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import make_archive

import pytest

from arcwise.data.formats.folder_walk import walk
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ImageError

AFolder = Callable[..., Path]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")


@pytest.mark.parametrize(
    "name", [".git", ".ipynb_checkpoints", ".thumbnails", "__MACOSX", "@eaDir", "$RECYCLE.BIN"]
)
def test_hidden_folders_are_not_entered(a_folder: AFolder, name: str) -> None:
    root = a_folder("Al/1.png", f"{name}/Al/2.png", f"Al/{name}/3.png")
    (root / name).chmod(0)  # even one that cannot be listed
    manifest = open_manifest(root)
    (root / name).chmod(0o700)
    assert manifest.images == ["Al/1.png"]
    assert set(manifest.ignored) == {f"{name}/", f"Al/{name}/"}


def test_a_hidden_folder_itself_can_be_read(a_folder: AFolder) -> None:
    assert open_manifest(a_folder("Al/1.png", name=".photos")).images == ["Al/1.png"]


@pytest.mark.parametrize("link", ["Aa", "Zz", "Al/deep/zz"])
def test_a_real_folder_beats_a_link_to_it(a_folder: AFolder, link: str) -> None:
    root = a_folder("Bo/1.png", "Al/1.png")
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(root / "Bo")
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png", "Bo/1.png"]
    assert manifest.notes == (
        f"1 links lead to files or folders met already, and are left out ({link})",
    )


def test_folders_around_are_not_entered(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    for number, target in enumerate(("..", "../..", "../../..", ".")):
        (root / "Al" / f"up{number}").symlink_to(target)
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png"]
    assert manifest.notes[0].startswith("4 links lead to")


def test_what_is_linked_twice_counts_once(a_folder: AFolder) -> None:
    other = a_folder("Cy/1.png", "2.png", name="elsewhere")
    root = a_folder("Al/1.png")
    (root / "Bo").symlink_to(other / "Cy")
    (root / "Di").symlink_to(other / "Cy")
    (root / "Al" / "2.png").symlink_to(other / "2.png")
    (root / "Al" / "3.png").symlink_to(other / "2.png")
    (root / "Al" / "0.png").symlink_to("1.png")
    manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png", "Al/2.png", "Bo/1.png"]
    assert manifest.notes[0].startswith("3 links lead to files or folders met already")


def test_a_link_that_leads_nowhere_is_a_image_that_cannot_be_read(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    (root / "Al" / "2.png").symlink_to("gone.png")
    (root / "Al" / "3.png").symlink_to("3.png")
    manifest = open_manifest(root)
    assert len(manifest) == 3
    for row in (1, 2):
        with pytest.raises(ImageError):
            manifest.read(row)


def test_pipes_sockets_and_devices_are_said(
    a_folder: AFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_folder("Al/1.png", "dir.jpg/1.png")
    monkeypatch.chdir(root)
    os.mkfifo("Al/pipe.jpg")
    os.symlink("/dev/zero", "Al/zero.jpg")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("Al/socket.jpg")
        manifest = open_manifest(root)
    assert manifest.images == ["Al/1.png", "dir.jpg/1.png"]
    assert manifest.ignored == ("Al/pipe.jpg", "Al/socket.jpg", "Al/zero.jpg")
    assert manifest.notes == (
        "3 are no files but pipes, sockets or devices, and left out (Al/pipe.jpg …)",
    )


def test_where_nothing_is_odd_nothing_is_said(a_folder: AFolder) -> None:
    root = a_folder("b/2.png", "b/1.png", "a/1.png", "c.png")
    found = walk(root)
    assert sorted(found.files) == ["a/1.png", "b/1.png", "b/2.png", "c.png"]
    assert found.notes == ()


@pytest.mark.parametrize("as_zip", [False, True])
def test_its_own_table_may_lie_in_a_folder_around_all(
    a_folder: AFolder, tmp_path: Path, as_zip: bool
) -> None:
    root = a_folder("in/all/x/1.png", "in/all/x/2.png")
    table = "image,identity,domain\nx/1.png,ann,shop\nx/2.png,bo,shop\n"
    (root / "in" / "all" / "manifest.csv").write_text(table)
    if as_zip:
        make_archive(str(tmp_path / "all"), "zip", root)
        root = tmp_path / "all.zip"
    manifest = open_manifest(root)
    assert manifest.identities == ["ann", "bo"]
    assert manifest.column("domain") == ["shop", "shop"]
    assert manifest.read(1)
    assert (manifest.name, manifest.notes) == (root.stem, ())
