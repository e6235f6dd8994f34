"""An exported network is kept only when it is the same function."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pyarrow as pa
import pytest
import torch
from onnx import helper, numpy_helper

from arcwise import encoders, runtime
from arcwise.bundle import read_bundle, reference_image
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, BundleError, ImageError
from arcwise.images.preparation import Preparation
from arcwise.verbs import export as module
from arcwise.verbs.export import export

PREPARATION = Preparation(height=40, width=32, flip_tta=True)


def save(folder: Path) -> Path:
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=16, size=(40, 32))
    for part in encoder.modules():  # as after training: nothing is the identity
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                torch.nn.init.uniform_(part.weight, 0.5, 1.5)
    runtime.save(folder, encoder, PREPARATION)
    return folder


class Exported(NamedTuple):
    before: Path
    after: Path
    report: module.ExportReport
    said: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The folder of a model before and after export, the report, and all that was printed."""
    root = tmp_path_factory.mktemp("export")
    save(root / "before")
    save(root / "after")
    kept = [os.dup(1), os.dup(2)]
    with (root / "said").open("wb") as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            report = export(root / "after", data=[reference_image()] * 3)
        finally:
            for number, handle in enumerate(kept, 1):
                os.dup2(handle, number)
                os.close(handle)
    return Exported(root / "before", root / "after", report, (root / "said").read_text())


def test_report(exported: Exported) -> None:
    _, after, report, said = exported
    assert said == ""
    assert report.path == after / "encoder.onnx"
    assert report.compared == 17 + 17 + 3
    assert 0 <= report.cosine < 1e-6
    assert 0 <= report.length < 1e-5
    assert "ONNX Runtime differs from torch by at most" in str(report)
    assert sorted(os.listdir(after)) == ["encoder.onnx", "encoder.safetensors", "model.json"]


def test_both_engines_answer_the_same(exported: Exported) -> None:
    before, after, *_ = exported
    by_torch = runtime.load(after, runtime="torch")
    by_onnx = runtime.load(after)
    assert (by_torch.engine.kind, by_onnx.engine.kind) == ("torch", "onnx")
    assert by_onnx.fingerprint == read_bundle(before).fingerprint
    images = module.built_in_images() * 2
    for batch_size in (1, 5, 34):
        a = by_torch.embed(images, batch_size=batch_size)
        b = by_onnx.embed(images, batch_size=batch_size)
        assert (a * b).sum(axis=1).min() > 1 - 1e-6


def test_the_file_tells_nothing_of_this_machine(
    exported: Exported,
) -> None:
    content = (exported.after / "encoder.onnx").read_bytes()
    assert str(Path(module.__file__).parents[1]).encode() not in content
    assert b".py" not in content
    onnx.checker.check_model(exported.after / "encoder.onnx", full_check=True)


def test_a_server_without_torch_embeds(exported: Exported) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # importing it fails
from arcwise import runtime
from arcwise.bundle import reference_image
model = runtime.load({str(exported.after)!r})
assert model.engine.kind == "onnx"
assert model.embed([reference_image()]).shape == (1, 16)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("damage", ["weights", "length", "batch"])
def test_another_function_is_refused_and_nothing_is_left(
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    network = onnx.load(exported.after / "encoder.onnx")
    graph = network.graph
    if damage == "weights":  # 3 % off: a cosine of 0.9995, which no single score shows
        tensor = next(one for one in graph.initializer if one.name == "projection")
        weight = numpy_helper.to_array(tensor)
        noise = np.random.default_rng(0).normal(size=weight.shape)
        weight = (weight + 0.03 * weight.std() * noise).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    else:
        graph.node[-1].output[0] = "inner"
        if damage == "length":  # the same direction, 1 % longer
            constant, nodes = np.float32(1.01), [("Mul", ["inner", "constant"], "embeddings")]
        else:  # right for an image alone, mixed with its neighbours in a batch
            constant = np.array([0])
            nodes = [
                ("ReduceMean", ["inner", "constant"], "of_batch"),
                ("Mean", ["inner", "of_batch"], "embeddings"),
            ]
        graph.initializer.append(numpy_helper.from_array(np.asarray(constant), "constant"))
        graph.node.extend(helper.make_node(kind, ins, [out]) for kind, ins, out in nodes)

    def write(encoder: Any, path: Path, size: Any, opset: int) -> None:
        onnx.save(network, path)

    monkeypatch.setattr(module, "write_onnx", write)
    folder = save(tmp_path / "model")
    before = (folder / "model.json").read_bytes()
    with pytest.raises(ArcwiseError, match="the exported network is not the model"):
        export(folder)
    assert sorted(os.listdir(folder)) == ["encoder.safetensors", "model.json"]
    assert (folder / "model.json").read_bytes() == before


def test_a_image_that_cannot_be_read_leaves_nothing(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(encoder: Any, path: Path, size: Any, opset: int) -> None:
        shutil.copy(exported.after / "encoder.onnx", path)

    monkeypatch.setattr(module, "write_onnx", write)
    folder = save(tmp_path / "model")
    manifest = Manifest(pa.table({"image": ["none.png"]}), tmp_path, "shelf")
    with pytest.raises(ImageError, match=r"none\.png"):
        export(folder, manifest)
    with pytest.raises(ArcwiseError, match="expected a list or a manifest"):
        export(folder, "a.png")
    assert sorted(os.listdir(folder)) == ["encoder.safetensors", "model.json"]


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArcwiseError, match="opset is 9, expected 18 to 23"):
        export(tmp_path, opset=9)
    with pytest.raises(BundleError, match=r"has no model\.json"):
        export(tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ArcwiseError, match=r"needs onnxscript, .*arcwise\[export\]"):
        export(tmp_path)


def test_built_in_images() -> None:
    images = module.built_in_images()
    assert len({image.tobytes() for image in images}) == 17
    assert len({image.shape for image in images}) == 3
