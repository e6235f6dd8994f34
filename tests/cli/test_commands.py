"""What each command prints, and its exit status."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.cli.evaluate import percent
from arcwise.data.manifest import Manifest
from arcwise.evaluation import Threshold
from arcwise.verbs.train import TrainResult


@pytest.fixture
def place(served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder: a model, a table of photos with one broken, a photo with a blank."""
    shutil.copytree(served, tmp_path / "model")
    at = (0.9999, 0.9999, 0.9999)
    strict = Threshold(0.01, *at, True, 1000, 10, 0.005, 0.02, 0.5, 0.5, 0.4, 0.6)
    used = read_bundle(served).digests["calibrate"]
    add_thresholds(tmp_path / "model", [strict], measured_on="", digests=used)
    with (tmp_path / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "item"])
        for row in (0, 1, 6, 7):
            (tmp_path / f"{row} 图.jpg").write_bytes(new.read(row))
            table.writerow([f"{row} 图.jpg", f"Ärtikel {row // 6}"])
        (tmp_path / "broken.jpg").write_text("text")
        table.writerow(["broken.jpg", "Ärtikel 0"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


COLUMNS = ["--image-column", "path", "--identity-column", "item"]


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(words) == status
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out  # no bar, no colour: this is no terminal
    assert "\r" not in out
    return out


def test_a_gallery(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
    assert out.splitlines()[0] == "images that could not be read and are not enrolled: 1"
    assert "  broken.jpg: " in out
    assert out.endswith("g: enrolled 4 images of 2 identities; 4 in all\n")
    out = run(capsys, "enrol", "g", "photos.csv", "--replace", *COLUMNS)
    assert out.endswith("2 identities, 4 older ones replaced; 4 in all\n")

    out = run(capsys, "search", "g", "broken.jpg", "0 图.jpg", "none", "--k", "1", status=1)
    lines = out.splitlines()
    assert lines[0].startswith("broken.jpg: not answered: ")
    assert lines[1] == "0 图.jpg: Ärtikel 0"
    assert re.fullmatch(r"   [01]\.\d{4}  Ärtikel 0  0 图\.jpg", lines[2])
    assert lines[3].startswith("none: not answered: no such file")
    assert lines[4] == "2 of 3 images are not answered"
    assert lines[5].startswith("answered at similarity >= 0.9999: of 100 others about 3.9 or")
    assert "FAR 0.01; enrolled are 2 identities with 4 templates" in lines[6]
    assert "--gallery" in lines[7]

    out = run(capsys, "verify", "g", "Ärtikel 0", "1 图.jpg")
    assert out.startswith("accepted: similarity 1.0000 to Ärtikel 0 (2 templates)\n")
    out = run(capsys, "verify", "g", "Ärtikel 1", "1 图.jpg", status=1)
    assert out.startswith("rejected: similarity ")

    assert run(capsys, "remove", "g", "Ärtikel 0") == "g: removed Ärtikel 0 (2 images)\n"
    out = run(capsys, "search", "g", "0 图.jpg")
    assert out.startswith("0 图.jpg: unknown\n")


def test_enrolling_for_a_program(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "enrol", "g", "photos.csv", "--model", "model", "--json", *COLUMNS)
    said = json.loads(out)
    assert {**said, "failures": []} == {
        "gallery": "g",
        "templates": 4,
        "identities": 2,
        "replaced": 0,
        "total": 4,
        "failures": [],
        "ignored": [],
        "had_templates": 0,
        "repeated": 0,
        "trained_images": 0,
        "notes": [],
        "images": 4,
        "weighting": "",
        "refused": [],
        "left_out": [],
    }
    assert [one["image"] for one in said["failures"]] == ["broken.jpg"]
    assert main(["enrol", "g", "photos.csv", "--json", *COLUMNS]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 of these identities have templates already (Ärtikel 0: 2, Ärtikel 1: 2)" in err


def test_without_thresholds(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_thresholds(place / "model", [], measured_on="", digests=())
    run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
    out = run(capsys, "search", "g", "0 图.jpg")
    assert out.startswith("0 图.jpg\n")
    assert "nothing is decided, as the model has no thresholds" in out


def test_calibrate(place: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--fpir", "0.2", "0.001", "--gallery-size", "3", "--probability"]
    out = run(capsys, "calibrate", "model", str(products), *options)
    assert "identities of products; 19 identities left out because the model was made" in out
    assert re.search(r"│ 0\.1 +│ -?0\.\d{4} +│ .* – .* +│ \d.*% \(.*\) │", out)
    cell = r"-?0\.\d{3} +\d+%"
    assert re.search(rf"│ 3 +│ 1 +│ {cell} │ not resolved │", out)
    assert re.search(rf"│ 3 +│ 5 +│ {cell} │ not resolved │", out)
    assert re.search(r"P\(same\) = .* at a prior of 0\.5, off by .*% on other identities", out)
    assert re.search(r"│ \d.*% +│ \d.*% +│ \d.*% – \d.*% │", out)
    assert out.splitlines()[-1].startswith("written into model, which decides by these")

    run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
    out = run(capsys, "search", "g", "0 图.jpg")
    assert (
        "measured for 3 identities with 2 templates each, on 17 identities; enrolled are 2" in out
    )
    run(capsys, "enrol", "g", str(products), "--model", "model", "--again")
    out = run(capsys, "search", "g", "0 图.jpg")
    assert "how often an unknown image gets an answer is not known" in out
    assert "enrolled are 38 identities with 220 templates" in out


def test_calibrate_a_gallery(
    place: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
    out = run(capsys, "calibrate", "model", str(products), "--gallery", "g")
    assert "g: 2 identities with 4 templates, searched with" in out
    assert "kept with g" in out
    out = run(capsys, "search", "g", "0 图.jpg")
    assert "measured against this gallery" in out
    said = json.loads(run(capsys, "search", "g", "0 图.jpg", "--json", "--out", "page.html"))
    page = unescape((place / "page.html").read_text(encoding="utf-8"))
    assert all(f"{line[1:]}." in page for line in said["explained"])  # as sentences
    assert said["operating_point"]["measured"] == "in this gallery"
    assert said["queries"][0]["identity"] == "Ärtikel 0"
    run(capsys, "enrol", "g", str(products), "--model", "model")
    assert "outgrown" in run(capsys, "search", "g", "0 图.jpg")
    assert json.loads(run(capsys, "search", "g", "0 图.jpg", "--json"))["outgrown"] is True
    assert "outgrown" in run(capsys, "gallery", "info", "g")


def test_calibrate_for_a_program(
    place: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(run(capsys, "calibrate", "model", str(products), "--json"))
    assert said["identities"] == 17
    assert {one["templates"] for one in said["search_thresholds"]} == {1, 2, 5}
    run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
    said = json.loads(run(capsys, "calibrate", "model", str(products), "--gallery", "g", "--json"))
    size = {"identities": 2, "templates": 4, "fewest": 2, "most": 2, "newest": 4}
    assert said["size"] == size
    assert said["thresholds"][0]["gallery"] == 2


def test_embed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "embed", "model", "photos.csv", *COLUMNS)
    assert "images that could not be read and have no row: 1" in out
    assert "embeddings.parquet: 4 vectors of 32 dimensions" in out
    assert (place / "embeddings.parquet").is_file()


def test_evaluate(place: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "evaluate", "model", str(products))
    assert " on 72 images of 12 identities of products\n24 identities left out because" in out
    assert re.search(r"│ equal-error rate +│ +\d+\.\d% │ +\d+\.\d% – \d+\.\d% │", out)
    assert "results: evaluation/products/results.json, results.csv\n" in out
    assert out.endswith("report: evaluation/products/report.html\n")
    assert (place / "evaluation" / "products" / "report.html").is_file()
    assert "not measured: templates: no columns 'template' and 'media'\n" in out


def test_evaluate_with_a_baseline(
    place: Path, served: Path, new: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(served / "encoder.onnx", "net.onnx")
    (place / "how.json").write_text(json.dumps(read_bundle(served).preparation.as_dict()))
    (new.root / "new.csv").write_text(
        "\n".join(
            ["image,identity,split"]
            + [f"{image},{one},test" for image, one in zip(new.images, new.identities, strict=True)]
        )
    )
    words = [str(new.root / "new.csv"), "--preparation", "how.json", "--out", "e"]
    try:
        out = run(capsys, "evaluate", "model", *words, "--baseline", "net.onnx")
        assert re.match(rf"{place.name} and net on 72 .* of new, rows of split 'test'\n", out)
        assert "warning: net does not say what it was made with" in out
        assert "│ +0.0 (" in out  # the same network beside itself
        again = run(capsys, "evaluate", "model", *words, "--baseline", "net.onnx")
        assert "144 of 144 embeddings were in the cache\n" in again
        out = run(capsys, "evaluate", "net.onnx", *words[:-1], "bare", "--no-cache")
        assert "left out" not in out
    finally:
        (new.root / "new.csv").unlink()


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.0, "0%"), (1.0, "100%"), (0.5, "50.0%"), (0.012, "1.2%"), (0.0012, "0.12%"),
        (1.23e-6, "0.00012%"), (0.9912, "99.12%"), (0.99987, "99.9870%"),
    ],
)  # fmt: skip
def test_per_cent(rate: float, said: str) -> None:
    assert percent(rate) == said


def test_evaluate_on_held_out_ones_says_so(
    place: Path, known: Manifest, trained: TrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    with (known.root / "known.csv").open("w", newline="") as file:
        rows = zip(known.images, known.identities, strict=True)
        csv.writer(file).writerows([("image", "identity"), *rows])
    try:
        out = run(capsys, "evaluate", "model", str(known.root / "known.csv"), "--out", "e")
    finally:
        (known.root / "known.csv").unlink()
    assert "warning: these identities were not trained on, but they chose the checkpoint" in out
    assert "14 identities left out" in out


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "doctor")
    assert re.match(r"Python 3\.\d+\.\d+ on \w+ \w+, \d+ cores", out)
    assert re.search(r"^GPU: ", out, re.MULTILINE)
    assert re.search(r"^  ready    train: torch \d", out, re.MULTILINE)


def test_train(place: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the recipe's fields on the command line to the three lines that end a run."""
    out = run(
        capsys, "train", str(products), "--recipe", "products-small", "--out", "run",
        "--size", "32", "--dim", "16", "--steps", "2", "--batch", "8", "--data.workers", "0",
        "--holdout", "0.2", "--data.augment.zoom", "0.9",
        "--encoder.train-crop", "0",
    )  # fmt: skip
    lines = out.splitlines()
    loss, why = lines.pop(1), lines.pop(1)
    assert lines[0] == "training small with arcface on 174 images of 29 identities"
    assert loss.startswith("loss: ArcFace(m=0.35")
    assert ", scale 8, the margin growing" in loss
    assert why.startswith(
        "why this loss: the scale follows from 29 identities, each seen 0.6 times"
    )
    assert lines[1] == "held out: 4 identities choose the checkpoint, 3 set the thresholds"
    assert lines.pop(2).startswith("step 2 of 2: loss ")
    assert lines[2].startswith("step 2: recall@1 ")
    assert re.match(r"2 steps in \d+ s, [\d,]+ images/s, \d+\.\d% of the time waiting", lines[3])
    assert lines[4].startswith("warning: the thresholds rest on 3 identities")
    assert lines[5:] == ["model: run/model", "report: run/report.html"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_bar_on_a_terminal(place: Path, products: Path) -> None:
    """The counterpart of `run`, which finds none elsewhere: a real terminal gets bar and rate."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "arcwise", "embed", "model", str(products)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux says so when the other side is closed
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    assert b"embedding" in shown
    assert b"216/216" in shown
    assert b"/s" in shown
    assert b"\x1b[" in shown


class TestJson:
    """With --json, standard output is one document; what else is to be said is on the other."""

    def found(self, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict:
        assert main([*words, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    def test_a_gallery(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run(capsys, "enrol", "g", "photos.csv", "--model", "model", *COLUMNS)
        found = self.found(capsys, "verify", "g", "Ärtikel 0", "1 图.jpg")
        assert (found["accepted"], found["identity"], found["templates"]) == (True, "Ärtikel 0", 2)
        assert found["similarity"] == pytest.approx(1, abs=1e-5)
        assert (found["threshold"]["far"], found["threshold"]["threshold"]) == (0.01, 0.9999)
        other = self.found(capsys, "verify", "g", "Ärtikel 1", "1 图.jpg", status=1)
        assert other["accepted"] is False
        removed = self.found(capsys, "remove", "g", "Ärtikel 0")
        assert removed == {
            "gallery": "g",
            "identity": "Ärtikel 0",
            "forms": ["Ärtikel 0"],
            "removed": 2,
        }

    def test_embed(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = self.found(capsys, "embed", "model", "photos.csv", *COLUMNS)
        assert (found["path"], found["vectors"], found["dim"]) == ("embeddings.parquet", 4, 32)
        assert [one["image"] for one in found["failures"]] == ["broken.jpg"]

    def test_evaluate(
        self, place: Path, products: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = self.found(capsys, "evaluate", "model", str(products), "--out", "e")
        assert found == json.loads((place / "e" / "results.json").read_text(encoding="utf-8"))

    def test_doctor(self, capsys: pytest.CaptureFixture[str]) -> None:
        parts = {part["name"]: part for part in self.found(capsys, "doctor")["capabilities"]}
        assert parts["train"]["missing"] == []
