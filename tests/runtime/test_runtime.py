"""Bundle and bare ONNX to embeddings: the same vectors by every way, or a clear refusal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from arcwise import bundle as bundles
from arcwise import encoders, runtime
from arcwise.bundle import reference_image
from arcwise.encoders import weights
from arcwise.errors import ArcwiseError, BundleError, ImageError
from arcwise.images.landmarks import align, template
from arcwise.images.preparation import Preparation
from arcwise.runtime import engines

PREPARATION = Preparation(height=32, width=40, resize="crop", mean=(120, 110, 100))
D = 6


def picture(seed: int = 0, size: tuple[int, int] = (50, 61)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def make_onnx(
    path: Path,
    *,
    batch: int | None = None,
    preparation: Preparation = PREPARATION,
    scale: float = 1.0,
    seed: int = 0,
) -> Path:
    """A linear network written by hand: no torch, any batch or a fixed one."""
    side = 3 * preparation.height * preparation.width
    weight = np.random.default_rng(seed).normal(size=(side, D)).astype(np.float32) * scale
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    shape = [batch or "batch", 3, preparation.height, preparation.width]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], D])],
        [numpy_helper.from_array(weight, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the small encoder, without ONNX."""
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=D, size=(32, 40))
    folder = tmp_path_factory.mktemp("runtime") / "model"
    runtime.save(folder, encoder, PREPARATION, licence="MIT")
    return folder


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """A bundle with useless weights, and a hand-written ONNX that its reference embedding fits."""
    network = make_onnx(tmp_path / "net.onnx")
    model = runtime.load(network, preparation=PREPARATION)
    folder = tmp_path / "model"
    bundles.write_bundle(
        folder,
        {"unused": np.zeros(1, np.float32)},
        {"name": "small", "dim": D, "size": (32, 40)},
        PREPARATION,
        reference_embedding=model.embed([reference_image()])[0],
    )
    bundles.add_onnx(folder, network)
    return folder


def test_torch_embeddings_are_those_of_the_encoder(folder: Path) -> None:
    model = runtime.load(folder)
    assert model.engine.kind == "torch"
    assert model.bundle is not None
    assert (model.dim, model.preparation) == (D, PREPARATION)
    assert model.fingerprint == model.bundle.fingerprint
    assert model.name == f"small-{model.fingerprint[:8]}"
    assert model.path == folder
    assert model.thresholds == ()
    image = picture()
    vectors = model.embed([image, png(image)])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert np.array_equal(vectors[0], vectors[1])
    encoder = weights.rebuild(model.bundle.architecture, model.bundle.state()).eval()
    with torch.no_grad():
        raw = encoder(torch.from_numpy(PREPARATION.tensor(PREPARATION.pixels(image)[None])))
    expected = torch.nn.functional.normalize(raw)[0].numpy()
    assert vectors[0] == pytest.approx(expected, abs=1e-5)


def test_loading_leaves_the_random_generator_alone(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    runtime.load(folder)
    assert torch.equal(torch.rand(2), expected)


def test_saving_leaves_the_encoder_as_it_is(tmp_path: Path) -> None:
    encoder = encoders.create("small", dim=D, size=(32, 40)).train()
    before = weights.to_numpy(encoder)
    with torch.autocast("cpu", torch.bfloat16):  # a trainer may be inside one
        runtime.save(tmp_path / "model", encoder, PREPARATION)
    assert encoder.training
    after = weights.to_numpy(encoder)
    assert all(np.array_equal(before[key], after[key]) for key in before)
    runtime.load(tmp_path / "model")


def test_items_of_every_kind(linear: Path, tmp_path: Path) -> None:
    import zipfile

    image = picture()
    path = tmp_path / "a.png"
    path.write_bytes(png(image))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("in/a.png", png(image))
    model = runtime.load(linear)
    items = [str(path), path, png(image), image, f"{tmp_path}/b.zip/in/a.png"]
    vectors = model.embed(items)
    assert vectors.shape == (5, D)
    assert np.ptp(vectors, axis=0).max() == 0
    assert np.array_equal(model.embed(np.stack([image, image])), vectors[:2])
    assert np.array_equal(model.embed(iter([image, image])), vectors[:2])
    assert model.embed([]).shape == (0, D)
    assert model.embed_pixels(np.empty((0, 32, 40, 3), np.uint8)).shape == (0, D)


def test_order_and_batch_size_do_not_matter(linear: Path) -> None:
    model = runtime.load(linear)
    pictures = [picture(seed) for seed in range(13)]
    alone = np.concatenate([model.embed([one]) for one in pictures])
    for batch_size in (1, 5, 13, 64):
        assert model.embed(pictures, batch_size=batch_size) == pytest.approx(alone, abs=1e-6)


def test_one_item_is_not_a_list(linear: Path) -> None:
    model = runtime.load(linear)
    for item in ("a.jpg", Path("a.jpg"), b"...", picture()):
        with pytest.raises(ArcwiseError, match="expected a list"):
            model.embed(item)  # type: ignore[arg-type]


def test_bad_items_are_named(linear: Path, tmp_path: Path) -> None:
    model = runtime.load(linear)
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        model.embed([picture(), str(tmp_path / "none.jpg")])
    with pytest.raises(ImageError, match="image 1: empty file"):
        model.embed([picture(), b""])
    with pytest.raises(ImageError, match=r"image 0: .*uint8"):
        model.embed([picture().astype(np.float32)])
    with pytest.raises(ArcwiseError, match="image 0 is of type int"):
        model.embed([3])  # type: ignore[list-item]


def test_flip_is_executed(tmp_path: Path) -> None:
    flip = replace(PREPARATION, flip_tta=True)
    network = make_onnx(tmp_path / "net.onnx")
    plain = runtime.load(network, preparation=PREPARATION)
    both = runtime.load(network, preparation=flip)
    assert plain.fingerprint != both.fingerprint
    pixels = PREPARATION.pixels(picture())
    tensor = PREPARATION.tensor(pixels[None])
    raw = plain.engine(tensor) + plain.engine(np.ascontiguousarray(tensor[..., ::-1]))
    expected = raw / np.linalg.norm(raw)
    assert both.embed([picture()]) == pytest.approx(expected, abs=1e-6)
    assert both.embed_pixels(pixels[None, :, ::-1]) == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(plain.embed([picture()]), expected, atol=0.01)


@pytest.mark.parametrize("batch", [1, 4])
def test_fixed_batch_is_fed_as_it_wants(tmp_path: Path, batch: int) -> None:
    fixed = runtime.load(make_onnx(tmp_path / "f.onnx", batch=batch), preparation=PREPARATION)
    free = runtime.load(make_onnx(tmp_path / "d.onnx"), preparation=PREPARATION)
    pictures = [picture(seed) for seed in range(6)]
    assert fixed.embed(pictures) == pytest.approx(free.embed(pictures), abs=1e-6)


def test_zero_and_non_finite_embeddings_are_errors(tmp_path: Path) -> None:
    pixels = np.zeros((3, 32, 40, 3), np.uint8)
    for scale in (0.0, np.inf):
        network = make_onnx(tmp_path / "n.onnx", scale=scale)
        with pytest.raises(ArcwiseError, match="zero or not finite"):
            runtime.load(network, preparation=PREPARATION)
    plain = Preparation(height=32, width=40, mean=(0, 0, 0), std=(1, 1, 1))
    model = runtime.load(make_onnx(tmp_path / "n.onnx"), preparation=plain)
    pixels[0] = 1
    with pytest.raises(ArcwiseError, match="b: its embedding by n is zero"):
        model.embed_pixels(pixels, names=["a", "b", "c"])
    with pytest.raises(ArcwiseError, match="image 1: "):
        model.embed_pixels(pixels, batch_size=1)


def test_bare_onnx_wants_its_preparation(tmp_path: Path) -> None:
    network = make_onnx(tmp_path / "net.onnx")
    with pytest.raises(ArcwiseError, match=r"give preparation=Preparation\(height"):
        runtime.load(network)
    with pytest.raises(ArcwiseError, match=r"expected one float input \(N, 3, 64, 40\)"):
        runtime.load(network, preparation=Preparation(height=64, width=40))
    with pytest.raises(ArcwiseError, match="ONNX Runtime only"):
        runtime.load(network, preparation=PREPARATION, runtime="torch")
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(ArcwiseError, match="is no network that ONNX Runtime"):
        runtime.load(tmp_path / "bad.onnx", preparation=PREPARATION)
    with pytest.raises(ArcwiseError, match="there is no file"):
        runtime.load(tmp_path / "none.onnx", preparation=PREPARATION)


def test_arguments_of_load(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="expected 'auto', 'onnx' or 'torch'"):
        runtime.load(folder, runtime="tensorflow")
    with pytest.raises(ArcwiseError, match="leave preparation out"):
        runtime.load(folder, preparation=PREPARATION)
    with pytest.raises(ArcwiseError, match="arcwise export"):
        runtime.load(folder, runtime="onnx")
    with pytest.raises(BundleError, match="there is no model folder"):
        runtime.load(tmp_path / "none")


def test_missing_libraries_are_named(
    folder: Path, linear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ArcwiseError, match=r"needs torch.*pip install 'arcwise\[train\]'"):
        runtime.load(folder)
    with pytest.raises(ArcwiseError, match=r"needs onnxruntime.*pip install 'arcwise\[serve\]'"):
        runtime.load(linear, runtime="onnx")


def test_self_check_names_another_onnx(linear: Path, tmp_path: Path) -> None:
    assert runtime.load(linear).engine.kind == "onnx"
    bundles.add_onnx(linear, make_onnx(tmp_path / "other.onnx", seed=1))
    with pytest.raises(BundleError, match=r"self-check.*encoder\.onnx does not compute"):
        runtime.load(linear)
    runtime.load(linear, check=False)


def test_self_check_notices_other_weights_and_other_preparation(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    other = encoders.create("small", dim=D, size=(32, 40))
    state = weights.to_numpy(other)
    reference = bundles.read_bundle(folder).reference_embedding
    architecture = encoders.architecture(other)
    bundles.write_bundle(
        tmp_path / "m", state, architecture, PREPARATION, reference_embedding=reference
    )
    with pytest.raises(BundleError, match="the weights belong to another training"):
        runtime.load(tmp_path / "m")

    prepare = Preparation.pixels  # a library update that decodes to another channel order
    monkeypatch.setattr(Preparation, "pixels", lambda p, i: prepare(p, i)[..., ::-1].copy())
    with pytest.raises(BundleError, match="images are not prepared as they were"):
        runtime.load(folder)


def test_onnx_never_imports_torch(linear: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from arcwise import runtime
model = runtime.load({str(linear)!r})
assert model.engine.kind == "onnx"
model.embed([np.arange(7500, dtype=np.uint8).reshape(50, 50, 3)])
bad = [name for name in ("torch", "kornia", "onnx", "fastapi") if name in sys.modules]
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Shelf(SimpleNamespace):
    """A manifest, as far as `embed_manifest` needs one."""

    def __init__(self, pictures: list[bytes | None]) -> None:
        super().__init__(name="shelf", images=[f"{i}.png" for i in range(len(pictures))])
        self.pictures = pictures
        self.read_ahead = 0

    def column(self, name: str) -> list[Any] | None:
        return getattr(self, name, None)

    def read(self, row: int) -> bytes:
        self.read_ahead = max(self.read_ahead, row)
        if self.pictures[row] is None:
            raise ImageError(self.images[row], "no such file")
        return self.pictures[row] or b""


@pytest.mark.parametrize("workers", [1, 3])
def test_embed_manifest_passes_over_what_cannot_be_read(linear: Path, workers: int) -> None:
    model = runtime.load(linear)
    shelf = Shelf([png(picture(i)) for i in range(11)])
    shelf.pictures[0], shelf.pictures[4], shelf.pictures[10] = None, b"junk", b""
    seen: list[tuple[int, int]] = []
    found = runtime.embed_manifest(
        model,
        shelf,  # type: ignore[arg-type]
        batch_size=3,
        workers=workers,
        progress=lambda *now: seen.append(now),
    )
    assert found.rows.tolist() == [1, 2, 3, 5, 6, 7, 8, 9]
    assert [failure.name for failure in found.failures] == ["0.png", "4.png", "10.png"]
    assert found.vectors == pytest.approx(model.embed([picture(i) for i in found.rows]), abs=1e-6)
    assert seen == [(4, 11), (8, 11), (11, 11)]
    assert str(found) == "8 images embedded, 3 could not be read"


def test_embed_manifest_with_nothing_to_show(linear: Path) -> None:
    model = runtime.load(linear)
    empty = runtime.embed_manifest(model, Shelf([]))  # type: ignore[arg-type]
    assert empty.vectors.shape == (0, D)
    with pytest.raises(ArcwiseError, match=r"none of the 5 images of shelf.*0\.png: no such"):
        runtime.embed_manifest(model, Shelf([None] * 5))  # type: ignore[arg-type]


def test_embed_manifest_does_not_run_away(linear: Path) -> None:
    """Decoding is held back when the network is slow: memory stays bounded."""
    model = runtime.load(linear)
    shelf = Shelf([png(picture())] * 200)
    ahead = []

    def slow(done: int, total: int) -> None:
        time.sleep(0.01)
        ahead.append(shelf.read_ahead - done)

    runtime.embed_manifest(model, shelf, batch_size=10, workers=2, progress=slow)  # type: ignore[arg-type]
    assert max(ahead) <= 10


def test_alignment_is_executed_where_landmarks_are_known(tmp_path: Path) -> None:
    square = Preparation(height=56, width=56)
    network = make_onnx(tmp_path / "net.onnx", preparation=square)
    reference = runtime.load(network, preparation=square).embed([reference_image()])[0]
    for name, alignment in (("faces", "five-point"), ("things", None)):
        bundles.write_bundle(
            tmp_path / name,
            {"unused": np.zeros(1, np.float32)},
            {"name": "small", "dim": D, "size": (56, 56)},
            square,
            reference_embedding=reference,
            alignment=alignment,
        )
        bundles.add_onnx(tmp_path / name, make_onnx(tmp_path / f"{name}.onnx", preparation=square))
    faces, things = runtime.load(tmp_path / "faces"), runtime.load(tmp_path / "things")
    image = picture(size=(90, 120))
    points = template(56) * 0.8 + (30, 11)
    shelf = Shelf([png(image)] * 3)
    shelf.landmarks = [points.ravel().tolist(), None, [0.0] * 10]
    found = runtime.embed_manifest(faces, shelf)  # type: ignore[arg-type]
    assert found.rows.tolist() == [0, 1]
    assert "all landmarks lie in one place" in str(found.failures[0])
    expected = things.embed([align(image, points, 56), image])
    assert found.vectors == pytest.approx(expected, abs=1e-6)
    other = runtime.embed_manifest(things, shelf)  # type: ignore[arg-type]
    assert other.vectors == pytest.approx(things.embed([image] * 3), abs=1e-6)
    assert "1 of 2 faces are not turned" in found.notes[0]
    assert "with --detector" in found.notes[0]
    assert found.notes[0].endswith("--template five-point --size 56")
    assert other.notes == ()


def test_published_network_gives_the_published_embeddings(data_dir: Path) -> None:
    """The real, fixed-batch network on real crops against vectors computed by others from it."""
    imagenet = Preparation(
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)
    )
    model = runtime.load(data_dir / "models/mobilefacenet_foamliu.onnx", preparation=imagenet)
    assert model.dim == 128
    features = np.load(data_dir / "features/lfw_mobilefacenet.npz")
    rows = range(0, 600, 60)
    refs = [f"{data_dir}/lfw112/images_1.zip/{features['path'][row]}" for row in rows]
    expected = features["feature"][list(rows)].astype(np.float32)
    assert (model.embed(refs) * expected).sum(axis=1).min() > 0.999


def test_names_in_json(linear: Path) -> None:
    about = json.loads((linear / "model.json").read_text())
    assert about["encoder"]["preparation"]["resize"] == "crop"
    assert about["files"].keys() == {"encoder.onnx", "encoder.safetensors"}
