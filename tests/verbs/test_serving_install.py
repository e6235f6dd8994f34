"""A server installs no torch; one that reads no data sets, no pyarrow, scipy or FAISS either.

What answers without HTTP loads nothing of HTTP; `tests.serving.test_process` has what does.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.verbs.conftest import Shop

NOT_IN_DATA = ("torch", "kornia", "onnx", "onnxscript", "matplotlib", "jinja2", "tensorboard")
"""What `arcwise[serve,data]` does not bring."""

NOT_IN_SERVE = (*NOT_IN_DATA, "pyarrow", "scipy", "faiss", "numba", "sklearn", "yaml")
"""What `arcwise[serve]` does not bring."""

OF_HTTP = ("fastapi", "starlette", "uvicorn", "pydantic", "python_multipart", "prometheus_client")
"""What it brings for `arcwise serve` alone."""

WITHOUT = """
import sys

ABSENT = {absent}


class Without:
    # A finder that knows nothing of the absent packages, neither modules nor versions.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in ABSENT
        return None if absent else self.finder.find_spec(name, path, target)

    def find_distributions(self, context):
        known = getattr(self.finder, "find_distributions", lambda context: [])
        return [] if context.name in ABSENT else known(context)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""

DATA = """
from arcwise.cli import main

for words in [
    ["enrol", "g", "catalogue.csv", "--model", "model"],
    ["search", "g", "query.jpg"],
    ["verify", "g", "first", "query.jpg"],
    ["remove", "g", "first"],
    ["embed", "model", "catalogue.csv"],
    ["evaluate", "model", "catalogue.csv", "--out", "evaluation"],
    ["calibrate", "model", "catalogue.csv", "--far", "0.5", "--force"],
    ["import", "model/encoder.onnx", "--mean", "0", "--std", "255", "--licence", "x", "--out", "i"],
    ["doctor"],
    ["data", "check", "catalogue.csv"],
]:
    print("==", words[0], main(words), flush=True)
print(main(["train", "catalogue.csv"]), main(["export", "model"]))
"""

SERVE = """
import arcwise
from arcwise.cli import main

with arcwise.Recogniser("model", "g", create=True) as recogniser:
    for row in range(12):
        recogniser.enrol("first" if row < 6 else "second", [f"{row}.jpg"])
    try:
        recogniser.search(["archive.zip/0.jpg"])
    except arcwise.ArcwiseError as problem:
        print("== in Python", problem)
for words in [
    ["search", "g", "query.jpg", "none.jpg"],
    ["verify", "g", "first", "query.jpg"],
    ["gallery", "info", "g"],
    ["remove", "g", "first"],
    ["doctor"],
]:
    print("==", words[0], main(words), flush=True)
for words in [
    ["enrol", "g", "catalogue.csv"],
    ["search", "g", "query.jpg", "folder"],
    ["search", "g", "archive.zip"],
    ["evaluate", "model", "catalogue.csv"],
    ["data", "check", "catalogue.csv"],
]:
    print("== no", main(words), flush=True)
print("== http", main(["serve", "model", "g"]), flush=True)
"""

LOADED = """
import sys
import arcwise

with arcwise.Recogniser(None, "g") as recogniser:
    recogniser.search(["0.jpg", open("1.jpg", "rb").read()])
    recogniser.verify("first", ["0.jpg"])
    recogniser.enrol("third", ["0.jpg"])
from arcwise.cli import main
main(["search", "g", "query.jpg"])
print("loaded:", *[name for name in {absent} if name in sys.modules])
"""


@pytest.fixture
def folder(stock: Shop, tmp_path: Path) -> Path:
    """A model, twelve images of two products and their table."""
    shutil.copytree(stock.model, tmp_path / "model")
    names = ["first"] * 6 + ["second"] * 6
    for row in range(len(names)):
        (tmp_path / f"{row}.jpg").write_bytes(stock.photos.read(row))
    shutil.copy(tmp_path / "0.jpg", tmp_path / "query.jpg")
    with (tmp_path / "catalogue.csv").open("w", newline="") as file:
        rows = [(f"{row}.jpg", name) for row, name in enumerate(names)]
        csv.writer(file).writerows([("image", "identity"), *rows])
    return tmp_path


def run(folder: Path, code: str, absent: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{absent}", repr(absent))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_every_verb_of_a_server(folder: Path) -> None:
    done = run(folder, WITHOUT + DATA, NOT_IN_DATA)
    said = done.stdout
    statuses = [line for line in said.splitlines() if line.startswith("==")]
    verbs = (
        "enrol",
        "search",
        "verify",
        "remove",
        "embed",
        "evaluate",
        "calibrate",
        "import",
        "doctor",
    )
    assert statuses == [f"== {verb} 0" for verb in (*verbs, "data")]
    assert "missing  train: torch; pip install 'arcwise[train]'" in said
    assert "missing  reports: matplotlib, jinja2; pip install 'arcwise[report]'" in said
    assert "ready    serve a model (ONNX Runtime): onnxruntime" in said
    assert "enrolled 12 images of 2 identities" in said
    assert "query.jpg: first" in said
    assert "accepted: similarity 1.0000" in said
    assert "no report: it needs matplotlib and jinja2, pip install 'arcwise[report]'" in said
    assert (folder / "evaluation" / "results.json").is_file()
    assert (folder / "embeddings.parquet").is_file()
    assert said.endswith("2 2\n")  # what needs torch says so
    assert done.stderr.count("\n") == 2
    assert "this needs the package 'torch'" in done.stderr


def test_serving_alone(folder: Path) -> None:
    """Images are enrolled and answered; what reads data sets says in a line what it needs."""
    (folder / "folder").mkdir()
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.write(folder / "0.jpg", "0.jpg")
    done = run(folder, WITHOUT + SERVE, (*NOT_IN_SERVE, *OF_HTTP))
    said = [line for line in done.stdout.splitlines() if line.startswith("==")]
    works = {"search": 1, "verify": 0, "gallery": 0, "remove": 0, "doctor": 0}
    statuses = [f"== {verb} {status}" for verb, status in works.items()]
    assert said[0].startswith("== in Python archive.zip/0.jpg")
    assert said[0].endswith("'pyarrow': pip install 'arcwise[data]'")
    assert said[1:] == [*statuses, *["== no 2"] * 5, "== http 2"]
    assert "query.jpg: first" in done.stdout
    assert "none.jpg: not answered" in done.stdout
    assert "accepted: similarity 1.0000" in done.stdout
    assert "missing  data sets and measuring: pyarrow" in done.stdout
    *lines, http = done.stderr.splitlines()
    assert http.endswith("pip install 'arcwise[serve]'")
    assert len(lines) == 5
    assert all(line.endswith("'pyarrow': pip install 'arcwise[data]'") for line in lines)


def test_serving_loads_what_it_uses(folder: Path) -> None:
    """Whatever else is installed here: what is loaded costs every start of a server."""
    run(folder, WITHOUT + SERVE.partition("for words")[0], NOT_IN_SERVE)
    done = run(folder, LOADED, (*NOT_IN_SERVE, *OF_HTTP))
    assert done.stdout.splitlines()[-1] == "loaded:"
