"""A smaller network is kept only where it recognises as well."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from arcwise import evaluation, runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.data.digests import identity_digest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, BundleError
from arcwise.verbs import export_smaller as module
from arcwise.verbs.export import ExportReport, export
from tests.onnx_networks import SIZE, network


@pytest.fixture(scope="module", autouse=True)
def _network_exported_once(served: Path) -> Iterator[None]:
    """Torch exports no network again: it would be that of `served`."""

    def write(encoder: object, path: Path, size: object, opset: int) -> None:
        shutil.copy(served / "encoder.onnx", path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arcwise.verbs.export.write_onnx", write)
        patch.setattr(module, "_ROUNDS", 1)
        yield


@pytest.fixture(scope="module")
def calibrated(served: Path, new: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with thresholds. Nobody may change its folder."""
    folder = tmp_path_factory.mktemp("calibrated") / "model"
    shutil.copytree(served, folder)
    vectors = runtime.embed_manifest(runtime.load(folder), new).vectors
    thresholds = evaluation.calibrate(vectors, new.identities, (0.1, 0.01))
    digests = [identity_digest(identity) for identity in new.classes]
    add_thresholds(folder, thresholds, measured_on="new products", digests=digests)
    return folder


@pytest.fixture(scope="module")
def quantised(
    calibrated: Path, new: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ExportReport]:
    """The folder with an int8 network, and the report. Nobody may change it."""
    folder = tmp_path_factory.mktemp("quantised") / "model"
    shutil.copytree(calibrated, folder)
    return folder, export(folder, new, precision="int8")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_int8_is_small_and_recognises_as_well(
    calibrated: Path, quantised: tuple[Path, ExportReport], new: Manifest
) -> None:
    folder, report = quantised
    smaller = report.smaller
    assert smaller is not None
    assert smaller.bytes_before == (calibrated / "encoder.onnx").stat().st_size
    assert report.bytes == (folder / "encoder.onnx").stat().st_size < 0.45 * smaller.bytes_before
    assert smaller.identities == 10
    assert [check.far for check in smaller.checks] == [0.1, 0.01]
    assert [count for count, *_ in smaller.times] == [1, 32]
    a, b = (runtime.embed_manifest(runtime.load(one), new).vectors for one in (calibrated, folder))
    assert 0.9 < (a * b).sum(axis=1).min() < 0.99999
    assert "int8" in str(report)


def test_the_fingerprint_stays_and_the_cache_is_another(
    calibrated: Path, quantised: tuple[Path, ExportReport]
) -> None:
    before, after = runtime.load(calibrated), runtime.load(quantised[0])
    assert after.bundle is not None
    assert after.bundle.precision == "int8"
    assert after.fingerprint == before.fingerprint == before.cache_name
    assert after.cache_name != after.fingerprint
    by_torch = runtime.load(quantised[0], runtime="torch")
    assert by_torch.cache_name == before.cache_name


def test_the_self_check_is_that_of_the_smaller_network(
    calibrated: Path, quantised: tuple[Path, ExportReport], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(quantised[0], folder)
    about = json.loads((folder / "model.json").read_text())
    encoder = about["encoder"]
    assert encoder["onnx"]["probe"] != encoder["probe"]
    encoder["onnx"]["probe"] = [-value for value in encoder["onnx"]["probe"]]
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(BundleError, match="self-check"):
        runtime.load(folder)
    runtime.load(folder, runtime="torch")


def test_fp32_takes_its_place_again(quantised: tuple[Path, ExportReport], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(quantised[0], folder)
    assert export(folder).smaller is None
    bundle = read_bundle(folder)
    assert (bundle.precision, bundle.onnx_reference) == ("fp32", None)
    runtime.load(folder, runtime="onnx")


def test_fp16_is_half_the_size_and_within_the_tolerance_of_fp32(
    served: Path, calibrated: Path, new: Manifest, tmp_path: Path
) -> None:
    shutil.copytree(served, tmp_path / "bare")
    report = export(tmp_path / "bare", precision="fp16")
    assert report.smaller is not None
    assert report.bytes < 0.6 * report.smaller.bytes_before
    assert 1e-10 < report.cosine < 1e-4
    assert report.smaller.checks == ()
    model = runtime.load(tmp_path / "bare", runtime="onnx")
    assert model.bundle is not None
    assert model.bundle.precision == "fp16"
    shutil.copytree(calibrated, tmp_path / "judged")
    judged = export(tmp_path / "judged", new, precision="fp16")
    assert judged.smaller is not None
    assert len(judged.smaller.checks) == 2


def test_a_network_that_loses_too_much_is_not_kept(
    calibrated: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(calibrated, folder)
    before = contents(folder)

    def write_noise(fp32: Path, path: Path, batches: object) -> None:
        graph = onnx.load(fp32)
        generator = np.random.default_rng(0)
        for tensor in graph.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32 and values.ndim > 1:
                noise = generator.normal(0, values.std(), values.shape).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(noise, tensor.name))
        onnx.save(graph, path)

    monkeypatch.setattr(module, "_write_int8", write_noise)
    with pytest.raises(ArcwiseError, match=r"int8 is not kept: .* less than the interval"):
        export(folder, new, precision="int8")
    assert contents(folder) == before


@pytest.mark.parametrize("weights_are_inputs", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1e6])
def test_fp16_rounds_weights_and_nothing_else(
    factor: float, weights_are_inputs: bool, tmp_path: Path
) -> None:
    """It computes in float32; weights too large for fp16 stay as they are."""
    model = onnx.load(network(tmp_path / "fp32.onnx", weight=factor))
    if weights_are_inputs:  # as old files have them
        model.graph.input.extend(
            helper.make_tensor_value_info(one.name, one.data_type, one.dims)
            for one in model.graph.initializer
        )
        onnx.save(model, tmp_path / "fp32.onnx")
    module._write_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    onnx.checker.check_model(tmp_path / "fp16.onnx", full_check=True)
    for one in model.graph.initializer:
        values = numpy_helper.to_array(one)
        if values.dtype == np.float32 and np.abs(values).max() < 65504:
            rounded = values.astype(np.float16).astype(np.float32)
            one.CopyFrom(numpy_helper.from_array(rounded, one.name))
    onnx.save(model, tmp_path / "rounded.onnx")
    images = np.random.default_rng(0).normal(size=(3, 3, *SIZE)).astype(np.float32)
    names = ("fp16.onnx", "rounded.onnx")
    smaller, expected = (
        onnxruntime.InferenceSession(tmp_path / one).run(None, {"images": images})[0]
        for one in names
    )
    assert np.array_equal(smaller, expected)


def test_labelled_images_decide_on_fp16(
    calibrated: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings that are 1 % longer are not those of torch, and recognise as well."""
    folder = tmp_path / "model"
    shutil.copytree(calibrated, folder)
    before = contents(folder)

    def write_longer(fp32: Path, path: Path) -> None:
        graph = onnx.load(fp32)
        graph.graph.node[-1].output[0] = "inner"
        factor = numpy_helper.from_array(np.array(1.01, np.float32), "factor")
        graph.graph.initializer.append(factor)
        nodes = [helper.make_node("Mul", ["inner", "factor"], [graph.graph.output[0].name])]
        graph.graph.node.extend(nodes)
        onnx.save(graph, path)

    monkeypatch.setattr(module, "_write_fp16", write_longer)
    with pytest.raises(ArcwiseError, match=r"fp16 is not kept: .* 1\.00e-02 in length"):
        export(folder, precision="fp16")
    assert contents(folder) == before
    report = export(folder, new, precision="fp16")
    assert report.length == pytest.approx(0.01, abs=1e-4)
    assert read_bundle(folder).precision == "fp16"


@pytest.mark.parametrize("stopped", ["smaller_network", "write_smaller"])
def test_an_interrupted_export_changes_nothing(
    calibrated: Path,
    new: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopped: str,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(calibrated, folder)
    before = contents(folder)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"arcwise.verbs.export.{stopped}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(folder, new, precision="int8")
    assert contents(folder) == before


def test_arguments(calibrated: Path, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match="precision is 'int4', expected one of fp32"):
        export(calibrated, new, precision="int4")
    with pytest.raises(ArcwiseError, match="int8 needs labelled images"):
        export(calibrated, precision="int8")
    with pytest.raises(ArcwiseError, match="fp16 needs labelled images"):
        export(calibrated, ["a.png"], precision="fp16")


def test_an_unreadable_image_stops_it(
    calibrated: Path, products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(calibrated, folder)
    shutil.copytree(products, tmp_path / "products")
    images = [path for path in (tmp_path / "products").rglob("*") if path.suffix != ".csv"]
    for image in filter(Path.is_file, images):
        os.truncate(image, 100)
    before = contents(folder)
    words = ["export", str(folder), str(tmp_path / "products"), "--precision", "int8"]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(folder) == before
