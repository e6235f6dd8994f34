"""Any encoder estimates a quality besides, and embeds as it does without."""

from __future__ import annotations

import pytest
import torch

from arcwise import encoders
from arcwise.encoders.interface import encoder_output, layers_of
from arcwise.encoders.quality import LEAST, QualityEncoder, has_quality, without_quality
from arcwise.encoders.weights import rebuild, to_numpy

NAMES = ["small", "mobilefacenet", "efficientnet_lite0"]


def encoder(name="small", **arguments):
    torch.manual_seed(0)
    return encoders.create(name, dim=32, size=(64, 64), arguments={"quality": True, **arguments})


@pytest.mark.parametrize("name", NAMES)
def test_the_embedding_is_that_of_the_encoder(name):
    one = encoder(name).eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = encoder_output(one(images))
        alone = without_quality(one)(images)
    assert torch.equal(output.embedding, alone)
    torch.testing.assert_close(output.quality, torch.full((3,), 0.5 + LEAST / 2))
    assert len(layers_of(one)) == len(layers_of(without_quality(one)))


def test_a_model_folder_can_make_it_again():
    one = encoder("efficientnet_lite0", pooling="mean")
    with torch.no_grad():
        one.quality.score.weight.normal_(std=3.0)
    about = encoders.architecture(one)
    assert about["name"] == "efficientnet_lite0"
    assert about["arguments"] == {"quality": True, "pooling": "mean"}
    assert has_quality(about)
    again = rebuild(about, to_numpy(one))
    assert isinstance(again, QualityEncoder)
    images = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(images)[1], one.eval()(images)[1])


def test_quality_stays_in_its_range_and_finite():
    one = encoder().eval()
    torch.nn.init.normal_(one.quality.score.weight, std=1e4)
    images = torch.cat([torch.zeros(1, 3, 64, 64), 1e4 * torch.randn(6, 3, 64, 64)])
    quality = one(images)[1]
    assert ((quality >= LEAST) & (quality <= 1)).all()
    quality.sum().backward()
    grads = [p.grad for p in one.quality.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_without_the_argument_there_is_none():
    plain = encoders.create("small", dim=32, arguments={"quality": False})
    assert without_quality(plain) is plain
    assert not has_quality({"name": "small"})
