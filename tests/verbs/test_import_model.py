"""Import: networks of every form become model folders; what is none is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import torch

from arcwise import encoders, runtime
from arcwise.bundle import read_bundle
from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.images.preparation import Preparation
from arcwise.training import build
from arcwise.training.config import EncoderConfig
from arcwise.verbs.export import built_in_images, export
from arcwise.verbs.gallery_info import gallery_info
from arcwise.verbs.import_model import import_model
from tests.encoders.test_onnx_session import FORMS
from tests.onnx_networks import SIZE, D, network

HOW: dict[str, Any] = {"mean": (127.5,) * 3, "std": (127.5,) * 3, "licence": "MIT"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_model(form: str, tmp_path: Path) -> None:
    usual = runtime.load(network(tmp_path / "n.onnx"), preparation=Preparation(*SIZE))
    file = network(tmp_path / "f.onnx", **FORMS[form])
    size = {"height": SIZE[0], "width": SIZE[1]}
    said = import_model(file, tmp_path / "model", **HOW, **size)
    model = runtime.load(tmp_path / "model")
    assert model.engine.kind == "onnx"
    assert model.bundle is not None
    assert (model.dim, model.licence, model.thresholds) == (D, "MIT", ())
    assert said.bundle.fingerprint == model.fingerprint
    near = 0.02 if "half" in FORMS[form] else 1e-5
    images = built_in_images()
    assert model.embed(images) == pytest.approx(usual.embed(images), abs=near)
    by_torch = runtime.load(tmp_path / "model", runtime="torch")
    assert by_torch.embed(images) == pytest.approx(model.embed(images), abs=near)


def test_facts_and_no_warning(tmp_path: Path) -> None:
    result = import_model(network(tmp_path / "n.onnx", batch=1), tmp_path / "m", **HOW)
    assert result.facts[0] == "takes float32 images of 16 x 20; one at a time"
    assert "embeddings of 6 dimensions, of length from" in result.facts[1]
    assert result.warnings == ()
    assert result.bundle.training["imported"]["file"] == "n.onnx"
    assert (result.bundle.preparation.height, result.bundle.preparation.width) == SIZE


def test_named_preparation_with_the_network_s_size(tmp_path: Path) -> None:
    file = network(tmp_path / "n.onnx", size=(20, 20))
    for name, mean, alignment in (
        ("insightface", 127.5, "five-point"),
        ("imagenet", 123.675, None),
    ):
        bundle = import_model(file, tmp_path / name, preparation=name, licence="MIT").bundle
        prepared = bundle.preparation
        assert (prepared.height, prepared.width, prepared.mean[0]) == (20, 20, mean)
        assert bundle.alignment == alignment
    how = tmp_path / "how.json"
    how.write_text(json.dumps(Preparation(20, 20, "pad", "bgr").as_dict()))
    given = import_model(file, tmp_path / "g", preparation=how, licence="MIT", colour="rgb").bundle
    assert (given.preparation.resize, given.preparation.colour) == ("pad", "rgb")


def test_the_output_that_embeds(tmp_path: Path) -> None:
    file = network(tmp_path / "n.onnx", extra=True)
    result = import_model(file, tmp_path / "m", **HOW)
    assert result.bundle.dim == D
    assert "'embedding' of 2" in result.facts[1]
    with pytest.raises(ArcwiseError, match=r"no output 'x'"):
        import_model(file, tmp_path / "x", **HOW, output="x")


def test_weights_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = network(tmp_path / "n.onnx")
    place = tmp_path / "two"
    place.mkdir()
    onnx.save(onnx.load(whole), place / "n.onnx", save_as_external_data=True, location="n.data",
              size_threshold=100)  # fmt: skip
    import_model(place / "n.onnx", tmp_path / "m", **HOW)
    (place / "n.data").rename(tmp_path / "elsewhere")
    images = built_in_images()
    same = runtime.load(whole, preparation=Preparation(*SIZE)).embed(images)
    assert runtime.load(tmp_path / "m").embed(images) == pytest.approx(same, abs=1e-6)
    with pytest.raises(ArcwiseError, match=r"does not exist.*n\.data"):
        import_model(place / "n.onnx", tmp_path / "x", **HOW)
    (tmp_path / "elsewhere").rename(place / "n.data")
    monkeypatch.setattr("arcwise.verbs.import_onnx.find_spec", lambda name: None)
    with pytest.raises(ArcwiseError, match=r"package onnx"):
        import_model(place / "n.onnx", tmp_path / "x", **HOW)


@pytest.mark.usefixtures("few_layers")
@pytest.mark.parametrize("name", ["mobilefacenet", "efficientnet_lite0"])
def test_published_weights(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = name.startswith("efficient")
    arguments = {"projection": "none"} if backbone else {}
    dim = 1280 if backbone else 24
    encoder = encoders.create(name, dim=dim, size=(32, 32), arguments=arguments)
    state = {f"module.{key}": value for key, value in encoder.state_dict().items()}
    torch.save({"state_dict": state | {"module.fc_of_classes": torch.zeros(2)}}, tmp_path / "w.pth")
    result = import_model(
        tmp_path / "w.pth", tmp_path / "m", encoder=name, height=32, width=32, **HOW
    )
    assert f"{len(state)} tensors taken of 'state_dict'" in result.facts[0]
    assert "fc_of_classes" in result.facts[0]
    model = runtime.load(tmp_path / "m")
    assert model.dim == dim
    pixels = np.stack([model.preparation.pixels(image) for image in built_in_images()[:2]])
    with torch.inference_mode():
        raw = encoder.eval()(torch.from_numpy(model.preparation.tensor(pixels)))
    expected = torch.nn.functional.normalize(raw).numpy()
    assert model.embed_pixels(pixels) == pytest.approx(expected, abs=1e-5)
    del state[next(iter(state))]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ArcwiseError, match="1 missing"):
        import_model(tmp_path / "w.pth", tmp_path / "x", encoder=name, height=32, width=32, **HOW)


def test_export_keeps_licence_and_fingerprint(tmp_path: Path) -> None:
    before = import_model(network(tmp_path / "n.onnx", batch=1), tmp_path / "m", **HOW).bundle
    report = export(tmp_path / "m")
    assert (report.opset, report.path) == (17, tmp_path / "m" / "encoder.onnx")
    after = read_bundle(tmp_path / "m")
    assert (after.licence, after.fingerprint) == ("MIT", before.fingerprint)


def test_export_keeps_its_opset(tmp_path: Path) -> None:
    import_model(network(tmp_path / "n.onnx"), tmp_path / "m", **HOW)
    with pytest.raises(ArcwiseError, match=r"opset 17; leave --opset 20 out"):
        export(tmp_path / "m", opset=20)
    assert sorted(one.name for one in (tmp_path / "m").iterdir()) == [
        "encoder.safetensors",
        "model.json",
    ]


def test_training_starts_from_it(tmp_path: Path) -> None:
    file = network(tmp_path / "n.onnx", size=(20, 20), batch=1)
    bundle = import_model(file, tmp_path / "m", **HOW).bundle
    config = EncoderConfig(
        name="onnx", init=str(tmp_path / "m"), projection="linear", dim=3, size=20
    )
    encoder: Any = build.encoder(config, torch.device("cpu"))
    images = np.stack([bundle.preparation.pixels(image) for image in built_in_images()[:4]])
    prepared = torch.from_numpy(bundle.preparation.tensor(images))
    expected = runtime.load(tmp_path / "m").engine(prepared.numpy())
    assert encoder.pooled(prepared).numpy() == pytest.approx(expected, abs=1e-6)
    runtime.save(tmp_path / "trained", encoder, bundle.preparation, licence=bundle.licence)
    export(tmp_path / "trained")
    trained = runtime.load(tmp_path / "trained")
    assert (trained.dim, trained.engine.kind) == (3, "onnx")


class TestRefused:
    def refused(self, tmp_path: Path, match: str, file: Path, **how: Any) -> None:
        with pytest.raises(ArcwiseError, match=match) as caught:
            import_model(file, tmp_path / "out", **(HOW | how))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_what_is_not_said(self, tmp_path: Path) -> None:
        file = network(tmp_path / "n.onnx")
        self.refused(tmp_path, "--licence", file, licence=" ")
        with pytest.raises(ArcwiseError, match=r"insightface.*--mean"):
            import_model(file, tmp_path / "out", licence="MIT")
        self.refused(tmp_path, "did you mean 'imagenet'", file, preparation="imagenett")
        self.refused(tmp_path, "multiply both by 255", file, mean=(0.5,) * 3, std=(0.5,) * 3)
        self.refused(tmp_path, r"\(N, 3, 8, 8\)", file, height=8, width=8)
        self.refused(tmp_path, "leave --encoder out", file, encoder="small")
        torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
        self.refused(tmp_path, "say --encoder", tmp_path / "w.pth")
        self.refused(tmp_path, "say --size", tmp_path / "w.pth", encoder="small")

    def test_files_that_are_no_network(self, tmp_path: Path) -> None:
        good = network(tmp_path / "n.onnx").read_bytes()
        for content in (good[: len(good) // 2], b"", b"a text", b"\x80\x04K\x01."):
            (tmp_path / "bad.onnx").write_bytes(content)
            self.refused(tmp_path, r"bad\.onnx is no network", tmp_path / "bad.onnx")
        self.refused(tmp_path, "no such file", tmp_path / "none.onnx")
        self.refused(tmp_path, "a folder", tmp_path)

    def test_code_is_not_run(self, tmp_path: Path) -> None:
        (tmp_path / "w.pth").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
        how = {"encoder": "small", "height": 32, "width": 32}
        self.refused(tmp_path, "its code is not run", tmp_path / "w.pth", **how)

    def test_networks_that_do_not_embed(self, tmp_path: Path) -> None:
        nan = network(tmp_path / "nan.onnx", weight=float("nan"))
        self.refused(tmp_path, "not finite", nan)
        self.refused(tmp_path, "zero or not finite", network(tmp_path / "zero.onnx", weight=0))
        two = onnx.load(network(tmp_path / "n.onnx"))
        two.graph.output.append(onnx.helper.make_tensor_value_info("raw", 1, ["batch", D]))
        onnx.save(two, tmp_path / "two.onnx")
        self.refused(tmp_path, r"2 outputs; .*--output NAME .*raw", tmp_path / "two.onnx")

    def test_a_place_that_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "file").touch()
        for out in ("taken", "n.onnx"):
            with pytest.raises(ArcwiseError, match="exists; name another place"):
                import_model(network(tmp_path / "n.onnx"), tmp_path / out, **HOW)


def test_probabilities_are_warned_of(tmp_path: Path) -> None:
    result = import_model(network(tmp_path / "n.onnx", softmax=True), tmp_path / "m", **HOW)
    assert "probabilities" in result.warnings[0]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = network(tmp_path / "n.onnx")
    words = ["import", str(file), "--out", str(tmp_path / "m"), "--mean", "0", "--std", "255"]
    assert main(words) == 2
    assert "--licence" in capsys.readouterr().err
    assert main([*words, "--licence", "CC0", "--size", "16", "20", "--colour", "bgr"]) == 0
    said = capsys.readouterr().out
    assert "licence: CC0" in said
    assert "bgr, mean 0, std 255" in said
    assert runtime.load(tmp_path / "m").preparation.mean == (0, 0, 0)
    assert main([*words, "--licence", "CC0", "--size", "1", "2", "3"]) == 2


def test_a_published_network_gives_the_published_embeddings(data_dir: Path, tmp_path: Path) -> None:
    """From the file of others, through the command line, to the vectors that others computed."""
    words = ["--preparation", "imagenet", "--alignment", "five-point", "--licence", "Apache-2.0"]
    file = data_dir / "models" / "mobilefacenet_foamliu.onnx"
    assert main(["import", str(file), "--out", str(tmp_path / "m"), *words]) == 0
    features = np.load(data_dir / "features" / "lfw_mobilefacenet.npz")
    rows = list(range(0, 600, 40))
    images = [f"{data_dir}/lfw112/images_1.zip/{features['path'][row]}" for row in rows]
    lines = [f"{image},{features['person'][row]}" for image, row in zip(images, rows, strict=True)]
    (tmp_path / "lfw.csv").write_text("\n".join(["image,identity", *lines]))
    out = tmp_path / "v.parquet"
    assert main(["embed", str(tmp_path / "m"), str(tmp_path / "lfw.csv"), "--out", str(out)]) == 0
    vectors = np.stack(pq.read_table(out).column("vector").to_pylist())
    assert (vectors * features["feature"][rows].astype(np.float32)).sum(axis=1).min() > 0.999
    gallery = str(tmp_path / "g")
    assert main(["enrol", gallery, str(tmp_path / "lfw.csv"), "--model", str(tmp_path / "m")]) == 0
    assert gallery_info(gallery).model.licence == "Apache-2.0"
