"""Folders around all pictures are no part of an identity, however many there are."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.manifest import open_manifest

AFolder = Callable[..., Path]
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
