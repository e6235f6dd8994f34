"""Whatever a user points a command at, the answer is one line, never a traceback."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from arcwise.cli import main
from arcwise.data.manifest import Manifest
from arcwise.gallery import open_gallery


@pytest.fixture
def place(served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a gallery and a photo that are good, and a zoo of things that are not."""
    shutil.copytree(served, tmp_path / "model")
    (tmp_path / "good.jpg").write_bytes(new.read(0))
    (tmp_path / "good" / "a").mkdir(parents=True)
    (tmp_path / "good" / "b").mkdir()
    for row, name in ((0, "a/0"), (1, "a/1"), (6, "b/0"), (7, "b/1")):
        (tmp_path / "good" / f"{name}.jpg").write_bytes(new.read(row))
    assert main(["enrol", str(tmp_path / "g"), str(tmp_path / "good"), "--model", str(served)]) == 0
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "zero.parquet").write_bytes(b"")
    (tmp_path / "zero.zip").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "zero.jpg").write_bytes(b"")
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "texts" / "who").mkdir(parents=True)
    (tmp_path / "texts" / "who" / "0.jpg").write_text("no image")
    (tmp_path / "one" / "who").mkdir(parents=True)
    (tmp_path / "one" / "who" / "0.jpg").write_bytes(new.read(0))
    (tmp_path / "half").mkdir()
    shutil.copy(served / "model.json", tmp_path / "half")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "model.json").write_text("[1, 2")
    images = ["good/a/0.jpg,a", "good/a/1.jpg,a", "good/b/0.jpg,b", "good/b/1.jpg,b"]
    for name, column, value in (("trained", "split", "train"), ("templates", "template", "t")):
        lines = [f"image,identity,{column}", *(f"{one},{value}" for one in images)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    (tmp_path / "nan.csv").write_text("vector,identity\n1 0,a\n0 nan,a\n0 1,b\n1 1,b\n")
    (tmp_path / "shared.csv").write_text(
        "a,b,same,fold\na/0.jpg,a/1.jpg,1,0\na/0.jpg,b/0.jpg,0,0\n"
        "b/0.jpg,b/1.jpg,1,1\na/1.jpg,b/1.jpg,0,1\n"
    )
    with open_gallery(tmp_path / "other.gallery", create=True, dim=7) as gallery:
        gallery.enrol([("x", np.eye(7, dtype=np.float32)[0])])
    monkeypatch.chdir(tmp_path)
    return tmp_path


DATA = [
    "none", "empty", "zero.csv", "binary.csv", "zero.parquet", "zero.zip", "text", "good.jpg",
    "texts", "model", "g",
]  # fmt: skip
MODELS = ["none", "empty", "text", "good.jpg", "half", "json", "g", "model/encoder.onnx"]
GALLERIES = ["none", "empty", "text", "good.jpg", "zero.csv", "model/model.json", "other.gallery"]
PICTURES = ["none.jpg", "empty", "zero.jpg", "text.jpg", "text", "zero.zip", "texts"]
RUN = "--holdout 0 --steps 2 --batch 4 --data.workers 0 --size 16 --dim 8 --out run"

COMMANDS = [
    *(f"train {data} {RUN}" for data in (*DATA, "one")),
    f"train good {RUN} --out text",
    f"train good {RUN} --out text/run",
    f"train good {RUN} --encoder smal",
    f"train good {RUN} --init none",
    f"train good {RUN} --init text",
    f"train good {RUN} --init half",
    f"train good {RUN} --run.device cuda",
    f"train good {RUN} --image-column x",
    f"train good {RUN} --holdout 0.5",
    "train good --resume --out empty",
    "train good --resume --out text",
    *(f"evaluate model {data} --out e" for data in (*DATA, "one")),
    *(f"evaluate {model} good --out e" for model in MODELS),
    *(f"evaluate model good --pairs {pairs} --out e" for pairs in ("none", "empty", "binary.csv")),
    "evaluate model good --out text",
    "evaluate model good --group-by camera --out e",
    "evaluate model good --baseline none --out e",
    "evaluate model good --baseline model --out e",
    "evaluate - good --out e",
    "evaluate model trained.csv --out e",
    "evaluate model templates.csv --out e",
    "evaluate - nan.csv --out e",
    "evaluate model good --pairs shared.csv --out e",
    "evaluate model/encoder.onnx good --preparation text --out e",
    "evaluate model good --out text/e",
    *(f"embed model {data} --out v.parquet" for data in DATA if data != "good.jpg"),
    *(f"embed {model} good --out v.parquet" for model in MODELS),
    "embed model good --out v.csv",
    "embed model good --out zero.parquet",
    "embed model good --out text/v.parquet",
    *(f"enrol g {data}" for data in DATA),
    *(f"enrol new {data} --model model" for data in DATA),
    *(f"enrol new good --model {model}" for model in MODELS),
    *(f"enrol {gallery} good --model model" for gallery in GALLERIES if gallery != "none"),
    "enrol none/new good --model model",
    "enrol text/new good --model model",
    "enrol redis://host/x good --model model",
    *(f"search g {image}" for image in PICTURES),
    *(f"search {gallery} good.jpg" for gallery in GALLERIES),
    *(f"search {gallery} good.jpg --model model" for gallery in GALLERIES),
    *(f"search g good.jpg --model {model}" for model in MODELS),
    "search g good.jpg --far 0.5",
    "search g good.jpg --k 0",
    *(f"verify g a {image}" for image in (*PICTURES, "good")),
    *(f"verify {gallery} a good.jpg" for gallery in GALLERIES),
    "verify g nobody good.jpg",
    *(f"remove {gallery} a" for gallery in GALLERIES),
    "remove g nobody",
    *(f"gallery info {gallery}" for gallery in GALLERIES if gallery != "other.gallery"),
    *(f"gallery upgrade {one} new --model model" for one in GALLERIES if one != "other.gallery"),
    *(f"gallery upgrade g new --model {model}" for model in MODELS),
    "gallery upgrade g g --model model",
    *(f"{command} --json" for command in ("verify g a none.jpg", "remove g nobody")),
    *(f"{command} --json" for command in ("data check none", "gallery info none")),
    *(f"data check {data}" for data in DATA if data not in ("good.jpg", "texts", "model", "g")),
    *(f"data convert {data} new.csv" for data in DATA if data not in ("good.jpg", "texts")),
    *(f"data convert good {place}" for place in ("text", ".", "..", "/")),
    *(f"data check good --model {model}" for model in MODELS),
    "data check good --model -",
    *(f"data pairs {data} new.csv" for data in DATA),
    "data pairs good good.csv",
    "data pairs good new.csv --age-gap 20",
    "data align good new",
    "data align good new --detector text",
    *(f"export {model}" for model in MODELS),
    *(f"import {file} --licence x --mean 0 --std 1 --out i" for file in (*DATA, "binary.csv")),
    *(
        f"import {file} --licence x --mean 0 --std 1 --out i --size 16 --encoder small"
        for file in DATA
    ),
    "import model/encoder.onnx --licence x --mean 0 --std 1 --out text",
    "import model/encoder.onnx --licence x --mean 0 --std 1 --out model",
    "import model/encoder.onnx --licence x --mean 0 --std 1 --out i --images empty",
    "import model/encoder.onnx --licence x --preparation text --out i",
    "import model/encoder.onnx --licence x --mean 0 1 --std 1 --out i",
    "import model/encoder.onnx --mean 0 --std 1 --out i",
    "export model --precision int8",
    *(f"export model {data} --precision int8" for data in DATA),
    "demo --out good",
    "demo --out text",
]


def test_one_line_and_status_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in place.iterdir())
    wrong = []
    capsys.readouterr()
    for command in COMMANDS:
        try:
            status: object = main(command.split())
        except Exception as error:
            status = f"{type(error).__name__}: {error}"
        out, err = capsys.readouterr()
        if status != 2 or not err.startswith("arcwise: ") or err.count("\n") != 1 or len(err) < 20:
            wrong.append((command, status, err, out))
        shutil.rmtree(place / "run", ignore_errors=True)  # of a mistake found when training began
    gc.collect()  # a file or a gallery left open would warn now, and fail
    assert wrong == []
    after = sorted(path.name for path in place.iterdir())
    assert [name for name in after if name not in before] == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
@pytest.mark.parametrize(
    "command", ["train good --out run", "embed model good", "search g good/a/0.jpg"]
)
def test_without_permission(place: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    for path in [*(place / "good").rglob("*.jpg"), place / "good"]:
        path.chmod(0)
    try:
        assert main(command.split()) == 2
        assert "Permission denied" in capsys.readouterr().err
    finally:
        (place / "good").chmod(0o700)


def test_names_with_blanks_and_other_letters(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "-- ./ünï cödé 图 'q' $(x)"
    (place / odd / "who is, this").mkdir(parents=True)
    shutil.copy("good.jpg", place / odd / "who is, this" / "a b.jpg")
    assert main(["enrol", f"./{odd}/g", f"./{odd}", "--model", "model"]) == 0
    assert main(["search", f"./{odd}/g", f"./{odd}/who is, this/a b.jpg"]) == 0
    assert "who is, this" in capsys.readouterr().out
    assert main(["remove", f"./{odd}/g", "who is, this"]) == 0
