"""A model that estimates qualities gives them in torch, in ONNX, from the cache and in a file."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from arcwise import encoders, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import BundleError
from arcwise.images import Preparation
from arcwise.verbs.embed import embed
from arcwise.verbs.export import export

SIDE = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=16, size=(SIDE, SIDE), arguments={"quality": True})
    torch.nn.init.normal_(encoder.quality.score.weight, std=2.0)
    folder = tmp_path_factory.mktemp("quality") / "model"
    runtime.save(folder, encoder.eval(), Preparation(height=SIDE, width=SIDE, flip_tta=True))
    report = export(folder)
    assert report.quality is not None
    assert report.quality < 1e-4
    return folder


def images(count=5):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return [one // (number + 1) for number, one in enumerate(noise)]


def test_both_engines_agree(model):
    by_torch, by_onnx = (runtime.load(model, runtime=one) for one in ("torch", "onnx"))
    assert by_torch.estimates_quality
    expected, got = by_torch.embed_with_quality(images()), by_onnx.embed_with_quality(images())
    np.testing.assert_allclose(got.quality, expected.quality, atol=1e-4)
    np.testing.assert_allclose(got.vectors, by_onnx.embed(images()), atol=1e-6)
    assert len(set(np.round(got.quality, 4))) == 5
    one_by_one = by_onnx.embed_with_quality(images(), batch_size=2)
    np.testing.assert_allclose(one_by_one.quality, got.quality, atol=1e-5)
    assert by_onnx.embed_with_quality([]).quality.shape == (0,)


def test_a_mirror_image_counts_half(model):
    loaded = runtime.load(model)
    mirrored = [one[:, ::-1].copy() for one in images()]
    assert loaded.preparation.flip_tta
    np.testing.assert_allclose(
        loaded.embed_with_quality(mirrored).quality,
        loaded.embed_with_quality(images()).quality,
        atol=1e-5,
    )


def test_the_cache_keeps_the_quality(model, tmp_path):
    (tmp_path / "a").mkdir()
    for number, image in enumerate(images()):
        cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), image)
    manifest, loaded = open_manifest(tmp_path / "a", identities=False), runtime.load(model)
    with runtime.EmbeddingCache("x", loaded.dim + 1, tmp_path) as cache:
        first = runtime.embed_manifest(loaded, manifest, cache=cache)
        again = runtime.embed_manifest(loaded, manifest, cache=cache)
    assert again.reused == 5
    assert first.vectors.shape == (5, 16)
    np.testing.assert_array_equal(again.quality, first.quality)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    embed(model, tmp_path / "a", tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    np.testing.assert_allclose(written["quality"].to_numpy(), first.quality)


def test_another_quality_is_found_on_loading(model, tmp_path):
    about = json.loads((model / "model.json").read_text())
    other = tmp_path / "model"
    other.mkdir()
    for one in model.iterdir():
        (other / one.name).write_bytes(one.read_bytes())
    about["encoder"]["quality"] -= 0.1
    (other / "model.json").write_text(json.dumps(about))
    with pytest.raises(BundleError, match="quality"):
        runtime.load(other)


def test_other_models_say_nothing_of_it(tmp_path):
    encoder = encoders.create("small", dim=16, size=(SIDE, SIDE))
    runtime.save(
        tmp_path / "model", encoder.eval(), Preparation(height=SIDE, width=SIDE, flip_tta=True)
    )
    loaded = runtime.load(tmp_path / "model")
    assert "quality" not in json.loads((tmp_path / "model/model.json").read_text())
    assert not loaded.estimates_quality
    assert loaded.embed_with_quality(images(2)).quality is None
