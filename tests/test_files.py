"""Nothing but a file is opened: a pipe would never begin, and a device never end."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.data.manifest import open_manifest
from arcwise.errors import ImageError
from arcwise.files import is_special, read_file
from arcwise.images import read_image

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pipes have no names there"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_read(place: Path) -> None:
    Path("a").write_bytes(b"one")
    assert read_file("a") == b"one"
    assert not is_special("a")
    assert not is_special(".")


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", "link", "socket"])
def test_what_is_none_is_refused_at_once(place: Path, name: str) -> None:
    os.mkfifo("pipe")
    os.symlink("pipe", "link")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        assert is_special(name)
        with pytest.raises(OSError, match="a pipe, socket or device"):
            read_file(name)
        with pytest.raises(ImageError, match="a pipe, socket or device"):
            read_image(name)


def test_a_folder_is_named_for_what_it_is(place: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_file(place)


@pytest.mark.parametrize(
    "name", ["x.jpg", "x.csv", "x.zip", "x.tar", "x.rec", "x.bin", "x.parquet", "x"]
)
@pytest.mark.parametrize(
    "command",
    ["data check {}", "data convert {} new.csv", "train {} --out run", "evaluate - {}"],
)
def test_commands_say_so_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    os.mkfifo(name)
    assert main(command.format(name).split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"arcwise: {name}: a pipe, socket or device")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["x.tar", "x.rec"])
def test_in_a_folder_of_them(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path("set").mkdir()
    os.mkfifo(f"set/{name}")
    assert main(["data", "check", "set"]) == 2
    assert "a pipe, socket or device" in capsys.readouterr().err


def test_a_table_that_names_some(place: Path) -> None:
    os.mkfifo("pipe.jpg")
    Path("dir.jpg").mkdir()
    Path("1.png").write_bytes(b"one")
    Path("t.csv").write_text("image,identity\n1.png,a\npipe.jpg,a\n/dev/zero,b\ndir.jpg,b\n")
    manifest = open_manifest("t.csv")
    assert manifest.read(0) == b"one"
    for row, reason in ((1, "a pipe, socket"), (2, "a pipe, socket"), (3, "a folder, not")):
        with pytest.raises(ImageError, match=reason):
            manifest.read(row)
