"""Finding the command; one line for a mistake; what comes back to the shell."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import arcwise
from arcwise import cli
from arcwise.cli import VERBS, main
from arcwise.verbs.train import TrainResult

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154081d63f8cfc00000030101005bdbf9440000000049454e44ae426082"
)
"""A PNG of one red pixel."""


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("arcwise: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_help_lists_every_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    text = capsys.readouterr().out
    for verb, about in VERBS.items():
        assert f"arcwise {verb} " in text
        assert about in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"arcwise {arcwise.__version__}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["serch", "x"], "did you mean 'search'?"),
        (["enroll"], "did you mean 'enrol'?"),
        (["data", "chekc"], "did you mean 'data check'?"),
        (["gallery", "inof"], "did you mean 'gallery info'?"),
        (["qqqq"], "`arcwise --help` lists them"),
        (["--nothing"], "`arcwise --help` lists them"),
    ],
)
def test_an_unknown_command(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert hint in said(capsys)


def test_a_group_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for words, status in ((["data"], 2), (["data", "--help"], 0)):
        assert main(words) == status
        text = capsys.readouterr().out
        assert "arcwise data align" in text
        assert "arcwise train" not in text
    assert main(["gallery"]) == 2
    assert "arcwise gallery info" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("search g a.jpg --fra 0.1", "--far"),
        ("enrol g photos --modle m", "--model"),
        ("train photos --marign 0.3", "--margin"),
        ("train photos --data.augment.zom 0.3", "--data.augment.zoom"),
        ("train photos --steps many", "many"),
        ("embed", "MODEL"),
        ("remove g a b", "b"),
    ],
)
def test_a_wrong_option_is_shown_with_a_close_one(
    words: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert hint in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("train photos --recipe prodcts", "did you mean 'products'?"),
        ("train photos --recipe=prodcts", "did you mean 'products'?"),
        ("train photos --loss arkface", "did you mean 'arcface'?"),
        ("train photos --size 3", "size=3; expected at least 16"),
        ("train photos --lr nan", "lr=nan; expected a finite number"),
        ("train photos --holdout 1", "holdout=1.0; expected under 1"),
        ("train photos", "photos: no such file or folder"),
        ("train photos --resume --steps 3", "photos: no such file"),
        ("train photos --resume --recipe faces", "photos: no such file"),
        ("train photos --resume --recipe products", "photos: no such file"),
        ("train photos --encoder smal --out r", "no such file"),
        ("search g", "name one or more files"),
    ],
)
def test_a_mistake_is_one_line(
    words: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert hint in said(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["search", "g", ""], "argument 3 is empty"),
        (["train", "photos", "--out="], "--out= has an empty value"),
        (["data", "check", "", "--json"], "argument 3 is empty"),
        ([""], "argument 1 is empty"),
    ],
)
def test_an_empty_argument_is_no_folder(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert hint in said(capsys)


def test_a_name_that_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["data", "check"], ["search", "g"], ["data", "check", "photos", "--against"]):
        (tmp_path / "photos" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "a" / "1.png").write_bytes(PIXEL)
        Path("bytes\udcff.png").write_bytes(PIXEL)
        assert main([*words, "bytes\udcff.png"]) == 2
        assert "no text" in said(capsys)


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--debug", "remove", "none", "x"], ["remove", "none", "x", "--debug"]):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert err.startswith("Traceback")
        assert "GalleryError: none: no such gallery" in err


class TestTroubleInside:
    """What the verb raises, and what the shell sees."""

    def run(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
        def fails(verb: str, words: list[str]) -> int:
            raise error

        monkeypatch.setattr(cli, "_run", fails)
        return main(["doctor"])

    def test_a_missing_package(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, ModuleNotFoundError("no", name="torch")) == 2
        assert "this needs the package 'torch': pip install 'arcwise[train]'" in said(capsys)

    def test_the_file_system(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        error = PermissionError(13, "Permission denied", "/root/run")
        assert self.run(monkeypatch, error) == 2
        assert said(capsys) == "arcwise: /root/run: Permission denied\n"

    @pytest.mark.parametrize(
        "error",
        [
            ZeroDivisionError("ours"),
            ValueError("ours"),
            ImportError("ours"),
            ModuleNotFoundError("ours", name="arcwise.nothing"),
        ],
    )
    def test_our_own_mistakes_are_not_hidden(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        with pytest.raises(type(error), match="ours"):
            self.run(monkeypatch, error)

    def test_ctrl_c(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, KeyboardInterrupt()) == 130
        assert capsys.readouterr().err == "stopped\n"


def test_a_pipe_closed_early(products: Path) -> None:
    """As with `| head -1`, also when everything waits in the buffer until the end."""
    for words in (["--help"], ["doctor"], ["data", "check", str(products)]):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-m", "arcwise", *words]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)
        assert done.stderr == b""
        assert done.returncode == 141


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_is_closed(closed: str) -> None:
    code = f"import sys; sys.{closed} = None; from arcwise.cli import main; sys.exit(main())"
    for words, status in ((["--help"], 0), (["remove", "none", "x"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, check=False
        )
        assert done.returncode == status
        assert b"Traceback" not in done.stderr


def test_a_name_that_the_terminal_cannot_show(trained: TrainResult, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "arcwise", "search", "none", str(tmp_path / "图\udcff.jpg")]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"arcwise: ")
    assert b"\\u56fe" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["enrol", "--help"], ["search", "--help"]])
def test_quick(words: list[str]) -> None:
    """Processor time, the least of some: the machine may be busy with something else."""
    command = [sys.executable, "-m", "arcwise", *words]
    seconds = []
    while len(seconds) < 5 and min(seconds, default=9) >= 1.5:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 1.5
