from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from arcwise import encoders
from arcwise.encoders.efficientnet_lite import SCALES, SameConv, published

PARAMETERS = {  # of the published classifiers, without the last linear layer
    "efficientnet_lite0": 4_652_008 - 1_281_000,
    "efficientnet_lite1": 5_416_680 - 1_281_000,
    "efficientnet_lite2": 6_092_072 - 1_281_000,
    "efficientnet_lite3": 8_197_096 - 1_281_000,
    "efficientnet_lite4": 13_006_568 - 1_281_000,
}


@pytest.mark.parametrize("name", SCALES)
def test_as_many_parameters_as_published(name: str) -> None:
    with torch.device("meta"):
        encoder = encoders.create(name, dim=1280, arguments={"projection": "none"})
    assert sum(one.numel() for one in encoder.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (3, 1), (5, 1)])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (5, 8)])
def test_padding_is_that_of_tensorflow(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = SameConv(2, 3, kernel, stride, bias=False).double()
    image = torch.randn(1, 2, *size, dtype=torch.float64)
    weight, pixels = conv.weight.detach().numpy(), image[0].numpy()
    expected = np.zeros((3, *(math.ceil(side / stride) for side in size)))
    before = [max((math.ceil(s / stride) - 1) * stride + kernel - s, 0) // 2 for s in size]
    for channel, row, column in np.ndindex(*expected.shape):
        for plane, y, x in np.ndindex(2, kernel, kernel):
            r, c = row * stride + y - before[0], column * stride + x - before[1]
            if 0 <= r < size[0] and 0 <= c < size[1]:
                expected[channel, row, column] += weight[channel, plane, y, x] * pixels[plane, r, c]
    np.testing.assert_allclose(conv(image)[0].detach().numpy(), expected, atol=1e-12)


def in_package_names(name: str) -> dict[str, str]:
    """Our names of the keys that `efficientnet_lite_pytorch` gives its tensors, written out."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = ["_conv_stem.weight", "_conv_head.weight"]
    keys += [f"{bn}.{one}" for bn in ("_bn0", "_bn1") for one in norm]
    width_of_first = 1
    blocks = {"efficientnet_lite0": 16, "efficientnet_lite2": 21}[name]
    for block in range(blocks):
        parts = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        if block >= width_of_first:
            parts.insert(0, ("_expand_conv", "_bn0"))
        for conv, bn in parts:
            keys.append(f"_blocks.{block}.{conv}.weight")
            keys += [f"_blocks.{block}.{bn}.{one}" for one in norm]
    return {key: published(name, key) for key in keys}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_every_published_name_has_a_place(name: str) -> None:
    with torch.device("meta"):
        encoder = encoders.create(name, dim=1280, arguments={"projection": "none"})
    ours = in_package_names(name)
    assert set(ours.values()) == set(encoder.state_dict())
    assert published(name, "_fc.weight") == "_fc.weight"  # the classifier has none


def test_names_of_timm() -> None:
    pairs = {
        "conv_stem.weight": "backbone.stem.0.weight",
        "bn1.running_var": "backbone.stem.1.running_var",
        "blocks.0.0.conv_dw.weight": "backbone.blocks.0.depthwise.0.weight",
        "blocks.0.0.bn2.bias": "backbone.blocks.0.project.1.bias",
        "blocks.1.1.conv_pw.weight": "backbone.blocks.2.expand.0.weight",
        "blocks.6.0.bn3.weight": "backbone.blocks.15.project.1.weight",
        "conv_head.weight": "backbone.last.0.weight",
        "bn2.weight": "backbone.last.1.weight",
    }
    assert {key: published("efficientnet_lite0", key) for key in pairs} == pairs


def test_crops_of_another_size_are_taken() -> None:
    encoder = encoders.create("efficientnet_lite0", dim=8, size=(64, 64)).eval()
    assert encoder(torch.zeros(1, 3, 40, 48)).shape == (1, 8)
