"""A copy that was interrupted goes on where it stopped, and comes out byte for byte the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.writing.work_folder import open_work_folder
from arcwise.errors import ArcwiseError, ImageError
from arcwise.verbs.data_convert import convert
from tests.data.writing import interrupted

FORMS = ("out/", "out.zip", "out.rec", "out.tar", "out.parquet", "out.bin")
APPENDED = FORMS[:4]  # forms that are gone on with after kill -9; the others may start over


def files(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def source(a_picture: Callable[..., bytes], tmp_path: Path) -> Path:
    """40 images, four of them large and one missing, and pairs."""
    root = tmp_path / "source"
    root.mkdir()
    rows = ["image,identity"]
    for number in range(40):
        rows.append(f"{number:02d}.png,{number // 7}")
        if number != 11:
            side = 400 if number % 10 == 3 else 12
            (root / f"{number:02d}.png").write_bytes(a_picture(number, ".png", side, side))
    (root / "manifest.csv").write_text("\n".join(rows))
    pairs = [f"{a:02d}.png,{a + 1:02d}.png,{int((a + 1) % 7 > 0)}" for a in range(20, 30)]
    (root / "pairs.csv").write_text("\n".join(["a,b,same", *pairs]))
    return root


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_killed_at_any_moment(source: Path, tmp_path: Path) -> None:
    script = Path(interrupted.__file__)
    subprocess.run([sys.executable, script, source, tmp_path, *FORMS], check=True, timeout=60)
    for form in FORMS:
        convert(source, os.path.join(tmp_path, "whole run", form.strip("/"), form))
        expected = files(tmp_path / "whole run" / form.strip("/"))
        for moment in interrupted.MOMENTS:
            folder = tmp_path / form.strip("/") / moment
            assert (folder / f".{Path(form).name}.partial").is_dir()
            messages: list[str] = []
            done = convert(source, os.path.join(folder, form), say=messages.append)
            assert files(folder) == expected
            assert [error.name for error in done.left_out] == ["11.png"]
            assert (done.images, done.pairs) == (39, 10)
            if form in APPENDED and moment in ("last", "whole"):
                assert messages[0].startswith("resuming at image ")


@pytest.mark.parametrize("form", FORMS)
def test_interrupted_by_hand(source: Path, tmp_path: Path, form: str) -> None:
    target = os.path.join(tmp_path, "one", form)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, target, progress=stop)
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f".{Path(target).name}.partial"]
    messages: list[str] = []
    convert(source, target, say=messages.append)
    assert messages == ["resuming at image 40 of 40"]
    convert(source, os.path.join(tmp_path, "two", form))
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_another_data_set_does_not_go_on(source: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "new" / "out.zip"
    convert(source, tmp_path / "one.zip")
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "one.zip", target, progress=stop)
    with pytest.raises(ArcwiseError, match=r"out\.zip\.partial holds the beginning of out\.zip"):
        convert(open_manifest(source).select(range(30)), target)
    os.utime(tmp_path / "one.zip", (1, 1))  # the same names, perhaps other images
    with pytest.raises(ArcwiseError, match="or from this one before it was changed; remove that"):
        convert(tmp_path / "one.zip", target)
    assert not target.exists()


def test_two_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    refused: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        def other() -> None:
            with pytest.raises(ArcwiseError) as raised:
                convert(source, target)
            refused.append(str(raised.value))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    convert(source, target, progress=meanwhile)
    assert len(refused) == 1
    assert "writing out.zip is under way there already" in refused[0]
    assert len(open_manifest(target)) == 39


def test_what_was_left_out_is_remembered_up_to_a_row(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    with open_work_folder(target, {}) as work:
        (work.files / "out.zip").write_bytes(b"")
        for row in (1, 5, 9):
            work.leave_out(row, ImageError(f"{row}.png", "gone\nfor good: ä"))
    with open(work.path / "left_out.jsonl", "ab") as file:
        file.write(b'[10, "cut sho')
    with open_work_folder(target, {}) as work:
        assert list(work.left_out(before=9)) == [1, 5]
        work.leave_out(7, ImageError("7.png", "x"))
        left_out = work.left_out(before=100)
    assert [str(error) for error in left_out.values()] == [
        *("1.png: gone\nfor good: ä", "5.png: gone\nfor good: ä", "7.png: x")
    ]


def test_a_place_that_is_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    with open_work_folder(target, {}) as work:
        (work.files / "out.zip").write_bytes(b"ours")
        work.declare_whole(["out.zip"])
        target.write_bytes(b"theirs")
        with pytest.raises(ArcwiseError, match="was written by another while this was under way"):
            work.move(tmp_path)
    assert target.read_bytes() == b"theirs"
    target.unlink()
    with open_work_folder(target, {}) as work:
        assert work.whole()
        work.move(tmp_path)
    assert target.read_bytes() == b"ours"
    assert not work.path.exists()
