"""A gallery and its copy: everything is the same, and a failed copy is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.cli import main
from arcwise.errors import GalleryError
from arcwise.gallery import GalleryCalibration, NewTemplate, open_gallery
from arcwise.gallery.embedded import EmbeddedGallery
from arcwise.verbs import gallery_copy as module
from arcwise.verbs.gallery_copy import copy_gallery
from tests.verbs.conftest import search_threshold

DIM = 16


def vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def lived_in(tmp_path: Path) -> Path:
    """A gallery in which everything has happened."""
    path = tmp_path / "old.gallery"
    rows = vectors(9)
    with open_gallery(path, create=True, dim=DIM) as store:
        store.enrol(
            [
                NewTemplate("Ann", rows[0], {"b": 1.5, "a": [None, "ü"]}, 0.25, b"\0small"),
                NewTemplate("007", rows[1], thumbnail=b"\xffimage"),
                NewTemplate("bob", rows[2], quality=0.0),
                NewTemplate("bob", rows[3]),
                NewTemplate("cid", rows[4]),
            ]
        )
        store.remove("Ann")  # so that the ids of the copy differ
        with pytest.warns(match="equal numbers"):
            store.enrol([NewTemplate("7", rows[5], {"x": True}, None, b"again")])
        store.assign([3], "cid")
        store.annotate(4, {"shelf": 3})
        store.quarantine([4, 6], "blurred")
        store.quarantine([5], "twice")
        store.keep_calibration(
            GalleryCalibration(2, 2, (search_threshold(0.01, 2, 0.5),), "strangers", 5)
        )
    return path


def contents(path: Path) -> list[tuple[Any, ...]]:
    """Return everything of every template but its id."""
    with open_gallery(path, mode="r") as store:
        return [
            row
            for one in store.stored()
            for row in zip(
                one.identities, map(bytes, one.vectors), one.metadata, one.qualities,
                one.thumbnails, one.quarantined, strict=True,
            )
        ]  # fmt: skip


def test_everything_is_copied(lived_in: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    copied = copy_gallery(lived_in, tmp_path / "new", progress=lambda *now: seen.append(now))
    assert contents(tmp_path / "new") == contents(lived_in)
    assert (copied.templates, copied.quarantined, copied.thumbnails) == (5, 3, 2)
    assert seen == [(5, 5, "copying"), (5, 5, "comparing")]
    with open_gallery(lived_in, mode="r") as old, open_gallery(tmp_path / "new") as new:
        assert new.counts() == old.counts()
        assert new.forms("7") == old.forms("7")
        assert (old.calibration, new.calibration) != (None, None)
        assert replace(new.calibration, newest=5) == old.calibration
        assert new.calibration.newest == 4  # the template that was 5
        assert new.calibration.outgrown(new.size()) == old.calibration.outgrown(old.size())
        again = copy_gallery(tmp_path / "new", tmp_path / "restored")
    assert again == replace(copied, source=again.source, target=again.target)
    assert contents(tmp_path / "restored") == contents(lived_in)
    assert sorted(os.listdir(tmp_path)) == ["new", "old.gallery", "restored"]


def test_the_model_goes_along(lived_in: Path, tmp_path: Path, stock: Any) -> None:
    copy_gallery(stock.gallery, tmp_path / "new")
    with open_gallery(stock.gallery, mode="r") as old, open_gallery(tmp_path / "new") as new:
        assert (new.fingerprint, new.model_path) == (old.fingerprint, old.model_path)
        assert new.fingerprint is not None


def test_an_empty_gallery(tmp_path: Path) -> None:
    open_gallery(tmp_path / "old", create=True, dim=3).close()
    assert copy_gallery(tmp_path / "old", tmp_path / "new").templates == 0
    with open_gallery(tmp_path / "new") as new:
        assert new.dim == 3


def test_of_one_moment_while_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are enrolled, quarantined and removed together; a copy has whole pairs only."""
    monkeypatch.setattr("arcwise.gallery.sql._CHUNK", 8)
    path, rows, ended = tmp_path / "old", vectors(40), threading.Event()
    with open_gallery(path, create=True, dim=DIM) as store:
        store.enrol([(f"p{row // 2}", vector) for row, vector in enumerate(rows)])

    def change() -> None:
        with open_gallery(path) as store:
            for number in range(1000):
                if ended.is_set():
                    return
                receipt = store.enrol([(f"n{number}", rows[0]), (f"n{number}", rows[1])])
                store.quarantine(receipt.templates, f"r{number}")
                if number % 2:
                    store.remove(f"n{number}")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for copy in range(5):
            copy_gallery(path, tmp_path / f"copy{copy}")
    finally:
        ended.set()
        thread.join()
    for copy in range(5):
        whose = [(row[0], row[5]) for row in contents(tmp_path / f"copy{copy}")]
        assert whose[::2] == whose[1::2]
        assert len(whose) >= 40


class TestRefused:
    def test_a_target_that_exists(self, lived_in: Path, tmp_path: Path) -> None:
        for content in ("gallery", "text"):
            target = tmp_path / content
            if content == "gallery":
                open_gallery(target, create=True, dim=DIM).close()
            else:
                target.write_text(content)
            before = target.read_bytes()
            with pytest.raises(GalleryError, match="exists"):
                copy_gallery(lived_in, target)
            assert target.read_bytes() == before

    def test_no_gallery_and_no_folder(self, lived_in: Path, tmp_path: Path) -> None:
        with pytest.raises(GalleryError, match="no such gallery"):
            copy_gallery(tmp_path / "none", tmp_path / "new")
        with pytest.raises(GalleryError, match="no folder"):
            copy_gallery(lived_in, tmp_path / "none" / "new")

    @pytest.mark.parametrize("what", ["identities", "vectors", "metadata", "qualities",
                                      "thumbnails", "quarantined", "calibration"])  # fmt: skip
    def test_a_copy_that_differs(
        self, what: str, lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store that loses or changes one thing is found out."""
        stored = EmbeddedGallery.stored

        def wrong(self: EmbeddedGallery) -> Any:
            for chunk in stored(self):
                if "new" in self.path.name and what != "calibration":
                    values = list(getattr(chunk, what))
                    other = {"identities": "eve", "metadata": {}, "qualities": 0.5}
                    values[2] = -values[2] if what == "vectors" else other.get(what)
                    chunk = replace(chunk, **{what: values})  # noqa: PLW2901
                    if what == "thumbnails":
                        assert chunk.thumbnails[0]
                        chunk.thumbnails[0] = b"another"
                yield chunk

        monkeypatch.setattr(EmbeddedGallery, "stored", wrong)
        if what == "calibration":
            monkeypatch.setattr(EmbeddedGallery, "keep_calibration", lambda *_: None)
        with pytest.raises(GalleryError, match="not the gallery's"):
            copy_gallery(lived_in, tmp_path / "new")
        assert os.listdir(tmp_path) == ["old.gallery"]


def test_killed_on_the_way(lived_in: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom arcwise.verbs import gallery_copy as module\n"
        "def wait(*_):\n    print('copied', flush=True)\n    time.sleep(60)\n"
        "module._compare = wait\nmodule.copy_gallery(*sys.argv[1:])"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, str(lived_in), str(tmp_path / "new")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "copied\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "new").exists()
    copy_gallery(lived_in, tmp_path / "new")
    assert contents(tmp_path / "new") == contents(lived_in)


def test_a_calibration_of_the_same_moment(
    lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is measured between the two readings is taken with what is stored then."""
    stored, times = EmbeddedGallery.stored, iter([True])

    def late(self: EmbeddedGallery) -> Any:
        if "old" in self.path.name and next(times, False):
            with open_gallery(lived_in) as store:
                assert store.calibration is not None
                store.enrol([("dee", vectors(1)[0])])
                store.keep_calibration(replace(store.calibration, measured_on="later", newest=7))
        yield from stored(self)

    monkeypatch.setattr(EmbeddedGallery, "stored", late)
    copy_gallery(lived_in, tmp_path / "new")
    with open_gallery(tmp_path / "new") as new:
        assert new.calibration is not None
        assert (new.calibration.measured_on, new.calibration.newest) == ("later", 6)


def test_the_command(
    lived_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert main(["gallery", "copy", str(lived_in), str(tmp_path / "new")]) == 0
    assert "5 templates, 3 of them in quarantine" in capsys.readouterr().out
    assert main(["gallery", "copy", str(lived_in), str(tmp_path / "new")]) == 2
    assert "exists" in capsys.readouterr().err

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_compare", stop)
    assert main(["gallery", "copy", str(lived_in), str(tmp_path / "stopped")]) == 130
    assert "nothing was copied" in capsys.readouterr().err
    assert not (tmp_path / "stopped").exists()
