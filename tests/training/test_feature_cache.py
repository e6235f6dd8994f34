from __future__ import annotations

import numpy as np
import pytest
import torch

from arcwise import encoders
from arcwise.data.loader import CachedImages, batches
from arcwise.errors import ArcwiseError
from arcwise.training import build
from arcwise.training.batches import planned_rows
from arcwise.training.feature_cache import cached_stream, compute_features
from arcwise.training.validation import normalise
from tests import pictures
from tests.training import runs

CPU = torch.device("cpu")
LITE = {"name": "efficientnet_lite0", "size": 32, "dim": 8}

pytestmark = pytest.mark.usefixtures("few_layers")


def settings(**changes):
    return runs.config(encoder=LITE, trained_layers=0, **changes)


def encoder():
    torch.manual_seed(0)
    return encoders.create("efficientnet_lite0", dim=8, size=(32, 32)).eval()


def test_cached_features_are_the_computed_ones(patterns) -> None:
    config, network = settings(), encoder()
    preparation = build.preparation(config.encoder)
    cache = compute_features(network, config, patterns, preparation, CPU, views=1)
    source = CachedImages(patterns, patterns.labels, preparation, 0)
    (batch,) = batches(source, [np.arange(len(patterns))], workers=0)
    inputs = normalise(batch.pixels.permute(0, 3, 1, 2), preparation)
    with torch.no_grad():
        expected = network.pooled(inputs)
        computed = network(inputs)
    torch.testing.assert_close(cache.values[:, 0], expected, rtol=1e-4, atol=1e-5)
    rows = torch.tensor([3, 1])
    cached = network.head(cache.of(rows, np.zeros(2, np.uint64)))
    torch.testing.assert_close(cached, computed[rows], rtol=1e-4, atol=1e-4)


def test_views_differ_and_each_is_drawn(patterns) -> None:
    config = settings()
    preparation = build.preparation(config.encoder)
    cache = compute_features(encoder(), config, patterns, preparation, CPU, views=3)
    assert cache.values.shape == (len(patterns), 3, 1280)
    assert not torch.equal(cache.values[:, 0], cache.values[:, 1])
    drawn = cache.of(torch.zeros(3, dtype=torch.int64), np.arange(3, dtype=np.uint64))
    assert torch.equal(drawn, cache.values[0])


def test_batches_are_those_of_images(patterns) -> None:
    config = settings()
    preparation = build.preparation(config.encoder)
    cache = compute_features(encoder(), config, patterns, preparation, CPU, views=1)
    images = CachedImages(patterns, patterns.labels, preparation, 0)
    expected = batches(images, planned_rows(config, patterns, 2), workers=0)
    cached = cached_stream(config, patterns, cache, 2)
    for one, other in zip(cached, expected, strict=True):
        assert torch.equal(one.rows, other.rows)
        assert torch.equal(one.labels, other.labels)
        assert np.array_equal(one.digests, other.digests)


def test_an_unreadable_image_is_left_out_and_named(tmp_path) -> None:
    manifest = pictures.write(tmp_path / "data", identities=2, each=4)
    broken = next((tmp_path / "data").rglob("*.png"))
    broken.write_bytes(b"no image")
    result = runs.train(settings(cached_views=1, steps=3), manifest, tmp_path / "run")
    assert [failure.name.endswith(broken.name) for failure in result.failures] == [True]


def test_a_run_learns_and_goes_on(patterns, others, tmp_path) -> None:
    config = settings(cached_views=2, steps=30, lr=0.01, m=0.2, validate_every=30)
    result = runs.train(config, patterns, tmp_path, validation=others)
    losses = [row["loss"] for row in runs.rows(tmp_path) if "loss" in row]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert result.best is not None


def test_a_backbone_that_is_trained_has_no_cached_features() -> None:
    with pytest.raises(ArcwiseError, match="trained_layers"):
        runs.config(encoder=LITE, cached_views=1)


def test_an_encoder_without_an_embedding_head() -> None:
    with pytest.raises(ArcwiseError, match="iresnet18"):
        runs.config(encoder={"name": "iresnet18"}, cached_views=1, trained_layers=0)
