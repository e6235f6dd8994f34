"""The whole journey in one call; a folder that is not a demo's is left alone."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.cli import demo as cli
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery
from arcwise.verbs import demo as module
from arcwise.verbs import export as exporting
from arcwise.verbs.demo import Scale, demo
from arcwise.verbs.demo_result import DemoResult

SMALL = Scale(identities=30, shots=4, size=48, steps=8)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, Path, list[str]]:
    """The result, its folder, and what it said; the folder held an earlier demo."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "stale").write_text("")
    (out / "shop.gallery-wal").write_text("stale")
    (out / "notes.txt").write_text("the user's own")
    (out / module.MARK).write_text("{}")
    said: list[str] = []
    return demo(out, scale=SMALL, say=said.append), out, said


def test_the_journey(shown: tuple[DemoResult, Path, list[str]]) -> None:
    result, out, said = shown
    assert [line.split()[0] for line in said] == [
        "rendering", "training", "measuring", "training", "measuring", "exporting", "enrolling",
    ]  # fmt: skip
    assert list(result.runs) == list(result.evaluations) == ["softmax", "arcface"]
    for loss, run in result.runs.items():
        assert run.config.objective.loss == loss
        assert sum(len(part.classes) for part in run.parts if part) == 20
        assert result.evaluations[loss].about.left_out == 0
        assert len(result.evaluations[loss].manifest.classes) == 10
    assert result.exported.path == out / "arcface" / "model" / "encoder.onnx"
    assert (result.enrolled.templates, result.enrolled.identities) == (5, 5)
    assert len(result.queries) == len(result.right) == len(result.stranger) == 40
    assert result.stranger.sum() == 20


def test_right_means_right(shown: tuple[DemoResult, Path, list[str]]) -> None:
    result, out, _ = shown
    for truth, answer, right, stranger in zip(
        result.queries.identities,
        result.searched.answers,
        result.right,
        result.stranger,
        strict=True,
    ):
        assert answer.decision is not None
        assert right == (answer.decision.identity == (None if stranger else truth))
    with open_gallery(out / "shop.gallery", mode="r") as gallery:
        enrolled = gallery.identities()
    strangers = [identity not in enrolled for identity in result.queries.identities]
    assert strangers == result.stranger.tolist()


def test_the_page(shown: tuple[DemoResult, Path, list[str]]) -> None:
    result, out, _ = shown
    assert result.report == out / "report.html"
    page = result.report.read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    for title in (
        "ArcFace on new products",
        "Two losses, one budget",
        "Same or not",
        "Angles between images",
        "Training with softmax",
        "Training with arcface",
        "Products that are not enrolled",
        "Different identities that look alike",
    ):
        assert title in titles
    images = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', page)
    assert len(images) > 50
    for image in images:
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None


def test_an_earlier_demo_is_replaced_and_the_users_files_stay(
    shown: tuple[DemoResult, Path, list[str]],
) -> None:
    _, out, _ = shown
    assert not (out / "pictures" / "stale").exists()
    assert (out / "notes.txt").read_text() == "the user's own"
    assert len(open_manifest(out / "pictures")) == 150


def test_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "manifest.csv").write_text("precious")
    with pytest.raises(ArcwiseError, match="holds something that is no demo"):
        demo(tmp_path, scale=SMALL)
    assert (tmp_path / "pictures" / "manifest.csv").read_text() == "precious"
    with pytest.raises(ArcwiseError, match="no demo"):
        demo(tmp_path / "pictures" / "manifest.csv", scale=SMALL)


def test_a_missing_library_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(ArcwiseError, match="export needs onnx, not installed"):
        demo(tmp_path / "demo", scale=SMALL)
    assert not (tmp_path / "demo").exists()


def test_served_at_the_end(
    shown: tuple[DemoResult, Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result, out, _ = shown
    served = []
    monkeypatch.setattr(cli, "demo", lambda *_, **__: result)
    monkeypatch.setattr(cli, "serve_gallery", lambda *given, **kept: served.append((given, kept)))
    cli.command(out)
    assert not served
    cli.command(out, serve=True)
    ((given, kept),) = served
    assert given == (result.runs["arcface"].model, str(out / "shop.gallery"))
    assert kept["thumbnails"] > 0
    assert f"arcwise serve {given[0]} {given[1]}" in capsys.readouterr().out
    with open_gallery(given[1], mode="r") as gallery:
        assert all(gallery.thumbnail(one.template) for one in gallery.templates())
        names = {path.stem.partition("-")[2] for path in (out / module.QUERIES).glob("enrolled-*")}
        assert names == set(gallery.identities())
    assert list((out / module.QUERIES).glob("unknown-*"))
