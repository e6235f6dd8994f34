"""Files that are whole or as they were; folders of one process; pipes that are not opened."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.files import LOCK, atomic_write, is_special, locked, os_error_reason, read_file
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
    for row, why in ((1, "a pipe, socket"), (2, "a pipe, socket"), (3, "a folder, not")):
        with pytest.raises(ImageError, match=why):
            manifest.read(row)


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with atomic_write(path) as beside:
        beside.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_one(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as beside:
            beside.write_text("half of")
            raise kind(errno.ENOSPC, "")

    with pytest.raises((ArcwiseError, kind)):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    said = r"report\.html cannot be written: No space left on device; make room"
    with (
        pytest.raises(ArcwiseError, match=said),
        atomic_write(tmp_path / "report.html", advice="make room"),
    ):
        raise OSError(errno.ENOSPC, "as a library words it")


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArcwiseError, match="cannot be written: Not a directory"),
        atomic_write(tmp_path / "file" / "inside"),
    ):
        pass
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with (
        pytest.raises(ArcwiseError, match="cannot be written"),
        atomic_write(tmp_path / "folder") as one,
    ):
        one.write_text("")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def write(path: Path, text: str) -> None:
    path.mkdir()
    (path / "file").write_text(text)


def test_a_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for text in ("old", "new"):
        with atomic_write(path) as new:
            write(new, text)
            assert text == "old" or (path / "file").read_text() == "old"
        assert (path / "file").read_text() == text

    def interrupted() -> None:
        with atomic_write(path) as new:
            write(new, "half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_nothing_is_overwritten_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, folder: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "a file system without links")

    def fill(one: Path) -> None:
        if folder:
            write(one, "mine")
        else:
            one.write_text("mine")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "new"

    def too_late() -> None:
        with atomic_write(path, overwrite=False, error=GalleryError) as new:
            fill(new)
            path.write_text("theirs")

    with pytest.raises(GalleryError, match="new was written by another process"):
        too_late()
    assert path.read_text() == "theirs"
    with (
        pytest.raises(ArcwiseError, match="new exists; name another place"),
        atomic_write(path, overwrite=False),
    ):
        pass
    with atomic_write(tmp_path / "free", overwrite=False) as new:
        fill(new)
    assert (tmp_path / "free").is_dir() == folder
    assert sorted(os.listdir(tmp_path)) == ["free", "new"]


def test_the_reason_is_the_systems_or_the_librarys() -> None:
    assert os_error_reason(OSError(errno.EROFS, "Detail: x")) == os.strerror(errno.EROFS)
    assert os_error_reason(OSError("in words")) == "in words"


def test_a_folder_is_one_blocks_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with locked(run, "a training"):
        (run / "work").touch()
        with pytest.raises(ArcwiseError, match="run: a training is under way there already"):
            locked(tmp_path / "." / "run", "a training").__enter__()
        with locked(tmp_path / "other", "a training"):
            pass
        other = subprocess.run(
            [sys.executable, "-c", HOLD, run], capture_output=True, text=True, check=False
        )
        assert f"(process {os.getpid()} on " in other.stderr
    assert os.listdir(run) == ["work"]
    assert os.listdir(tmp_path) == ["run"]  # the other one stayed empty


def test_whoever_has_patience_waits_for_the_folder(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path, "adding", patience=30):
            order.append("second")

    with locked(tmp_path, "adding"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert os.listdir(tmp_path) == []


HOLD = """
import os, sys, time
from pathlib import Path
from arcwise.files import locked
with locked(Path(sys.argv[1]), "a training"):
    if os.fork() == 0:
        os.close(1)
        time.sleep(3)  # a worker that outlives its process
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_no_folder_locked(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ArcwiseError, match=f"process {other.pid} "):
            locked(tmp_path, "a training").__enter__()
        other.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path, "a training"):
        pass
    assert os.listdir(tmp_path) == []
