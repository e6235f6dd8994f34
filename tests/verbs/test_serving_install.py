"""A server installs no torch, matplotlib or jinja2, and everything about a gallery works."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

from tests.verbs.conftest import Shop

CODE = """
import sys


ABSENT = ("torch", "kornia", "onnx", "onnxscript", "matplotlib", "jinja2", "tensorboard")


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


def test_every_verb_of_a_server(stock: Shop, tmp_path: Path) -> None:
    shutil.copytree(stock.model, tmp_path / "model")
    names = ["first"] * 6 + ["second"] * 6
    for row in range(len(names)):
        (tmp_path / f"{row}.jpg").write_bytes(stock.photos.read(row))
    shutil.copy(tmp_path / "0.jpg", tmp_path / "query.jpg")
    with (tmp_path / "catalogue.csv").open("w", newline="") as file:
        rows = [(f"{row}.jpg", name) for row, name in enumerate(names)]
        csv.writer(file).writerows([("image", "identity"), *rows])
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
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
    assert (tmp_path / "evaluation" / "results.json").is_file()
    assert (tmp_path / "embeddings.parquet").is_file()
    assert said.endswith("2 2\n")  # what needs torch says so
    assert done.stderr.count("\n") == 2
    assert "this needs the package 'torch'" in done.stderr
