"""dlib's face network against loops in float64, and the sizes that it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from arcwise import encoders
from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.dlib_file import read_dlib_network
from arcwise.encoders.dlib_resnet import LEAST_SIDE, DlibResNet
from arcwise.encoders.weights import load_numpy
from arcwise.errors import ArcwiseError
from tests.dlib_files import HALVES, dlib_file

Doubles = NDArray[np.float64]


class Tiny(BackboneEncoder):
    """The network with two filters instead of 32."""

    def __init__(self, dim: int) -> None:
        super().__init__(
            DlibResNet(2), dim=dim, size=(150, 150), pooling="mean", projection="linear"
        )


def convolved(x: Doubles, weight: Doubles, bias: Doubles, stride: int) -> Doubles:
    """Return (C, H', W') of (C_in, H, W): padded only where it does not step."""
    kernel = weight.shape[2]
    edge = 0 if stride > 1 else kernel // 2
    x = np.pad(x, [(0, 0), (edge, edge), (edge, edge)])
    rows, columns = (1 + (side - kernel) // stride for side in x.shape[1:])
    out = np.empty((len(weight), rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            window = x[:, top : top + kernel, left : left + kernel]
            out[:, row, column] = (weight * window).sum((1, 2, 3)) + bias
    return out


def pooled(x: Doubles, kernel: int, pool: str) -> Doubles:
    rows, columns = (1 + (side - kernel) // 2 for side in x.shape[1:])
    out = np.empty((len(x), rows, columns))
    for row in range(rows):
        for column in range(columns):
            window = x[:, 2 * row : 2 * row + kernel, 2 * column : 2 * column + kernel]
            out[:, row, column] = getattr(window, pool)((1, 2))
    return out


def added(a: Doubles, b: Doubles) -> Doubles:
    """Return the sum of tensors that end with zeros where the other one is larger."""
    out = np.zeros(np.maximum(a.shape, b.shape))
    for one in (a, b):
        out[: one.shape[0], : one.shape[1], : one.shape[2]] += one
    return out


def oracle(image: Doubles, weights: dict[str, Doubles]) -> Doubles:
    """Return the embedding of a prepared (3, H, W) image."""

    def layer(x: Doubles, conv: str, affine: str, stride: int) -> Doubles:
        x = convolved(x, weights[f"{conv}.weight"], weights[f"{conv}.bias"], stride)
        scale, shift = weights[f"{affine}.weight"], weights[f"{affine}.bias"]
        return x * scale[:, None, None] + shift[:, None, None]

    stem = "backbone.stem"
    x = pooled(np.maximum(layer(image, f"{stem}.conv", f"{stem}.affine", 2), 0), 3, "max")
    for number, halves in enumerate(HALVES):
        block = f"backbone.blocks.{number}"
        inner = np.maximum(layer(x, f"{block}.conv1", f"{block}.affine1", 2 if halves else 1), 0)
        inner = layer(inner, f"{block}.conv2", f"{block}.affine2", 1)
        x = np.maximum(added(inner, pooled(x, 2, "mean") if halves else x), 0)
    return weights["head.project.weight"] @ x.mean((1, 2))


def test_the_network_computes_what_loops_compute() -> None:
    content, _ = dlib_file(2, 5)
    network = read_dlib_network(content, "x.dat")
    encoder = Tiny(5)
    load_numpy(encoder, network.weights)
    image = np.random.default_rng(1).normal(0, 0.4, (1, 3, 150, 150)).astype(np.float32)
    with torch.inference_mode():
        embedding = encoder.eval()(torch.from_numpy(image)).numpy()[0]
    weights = {name: weight.astype(np.float64) for name, weight in network.weights.items()}
    expected = oracle(image[0].astype(np.float64), weights)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(embedding, expected, atol=1e-5 * np.abs(expected).max())


def test_it_is_an_encoder_of_the_published_size() -> None:
    with torch.device("meta"):
        encoder = encoders.create("dlib_resnet", dim=128, size=(150, 150))
    assert sum(one.numel() for one in encoder.parameters()) == 5_614_592
    assert len(list(encoder.layers)) == 16
    assert encoders.architecture(encoder) == {"name": "dlib_resnet", "dim": 128, "size": [150, 150]}


def test_the_smallest_image() -> None:
    images = torch.zeros(1, 3, LEAST_SIDE, LEAST_SIDE)
    assert Tiny(5).eval()(images).shape == (1, 5)
    with pytest.raises(ArcwiseError, match="102 x 103"):
        Tiny(5).eval()(images[..., :-1, :])
    with pytest.raises(ArcwiseError, match=f"{LEAST_SIDE}"):
        encoders.create("dlib_resnet", dim=128, size=(LEAST_SIDE - 1, 150))
