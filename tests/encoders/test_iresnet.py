"""IResNet against the published state dicts: every key, every shape, every count."""

from __future__ import annotations

import pytest
import torch

from arcwise import encoders

PUBLISHED = {  # parameters, state-dict keys; counted from deepinsight/insightface arcface_torch
    "iresnet18": (24_025_600, 187),
    "iresnet34": (34_139_328, 331),
    "iresnet50": (43_590_848, 475),
    "iresnet100": (65_156_160, 925),
    "iresnet200": (118_833_920, 1807),
}


def norm(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    fields = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{f}": (width,) for f in fields} | {f"{prefix}.num_batches_tracked": ()}


def published_keys(blocks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Key -> shape, written out from the published code's description, not from ours."""
    keys = {"conv1.weight": (64, 3, 3, 3), **norm("bn1", 64), "prelu.weight": (64,)}
    before = 64
    for number, (planes, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), 1):
        for i in range(count):
            at = f"layer{number}.{i}"
            keys |= norm(f"{at}.bn1", before)
            keys[f"{at}.conv1.weight"] = (planes, before, 3, 3)
            keys |= norm(f"{at}.bn2", planes)
            keys[f"{at}.prelu.weight"] = (planes,)
            keys[f"{at}.conv2.weight"] = (planes, planes, 3, 3)
            keys |= norm(f"{at}.bn3", planes)
            if i == 0:
                keys[f"{at}.downsample.0.weight"] = (planes, before, 1, 1)
                keys |= norm(f"{at}.downsample.1", planes)
            before = planes
    keys |= norm("bn2", 512)
    keys |= {"fc.weight": (512, 25088), "fc.bias": (512,), **norm("features", 512)}
    return keys


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_and_key_counts(name: str) -> None:
    with torch.device("meta"):
        encoder = encoders.create(name)
    parameters = sum(p.numel() for p in encoder.parameters())
    assert (parameters, len(encoder.state_dict())) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("name", "blocks"), [("iresnet18", (2, 2, 2, 2)), ("iresnet100", (3, 13, 30, 3))]
)
def test_published_state_dict_fits_strictly(name: str, blocks: tuple[int, ...]) -> None:
    with torch.device("meta"):
        encoder = encoders.create(name)
        state = {key: torch.empty(shape) for key, shape in published_keys(blocks).items()}
    assert list(encoder.state_dict()) == list(state)  # the order too
    encoder.load_state_dict(state, strict=True, assign=True)


def test_stages_halve_the_image_and_the_stem_does_not() -> None:
    with torch.device("meta"):
        encoder = encoders.create("iresnet50")
        x = encoder.conv1(torch.empty(2, 3, 112, 112))
        shapes = [tuple(x.shape[1:])]
        for number in range(1, 5):
            x = getattr(encoder, f"layer{number}")(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(64, 112, 112), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]


def test_initial_weights_are_the_published_ones() -> None:
    torch.manual_seed(0)
    encoder = encoders.create("iresnet18", size=(32, 32))
    assert encoder.layer4[1].conv2.weight.std().item() == pytest.approx(0.1, rel=0.01)
    assert (encoder.features.weight == 1).all()
    assert not encoder.features.weight.requires_grad
    assert (encoder.layer1[0].bn1.weight == 1).all()
    assert (encoder.layer1[0].bn1.bias == 0).all()
    assert encoder.bn2.eps == 1e-5
    assert encoder.dropout.p == 0


def test_a_block_is_the_improved_residual_unit() -> None:
    """BN-Conv-BN-PReLU-Conv-BN beside the (projected) identity, written out by hand."""
    torch.manual_seed(0)
    block = encoders.create("iresnet18", size=(32, 32)).layer2[0].eval()
    for module in (block.bn1, block.bn2, block.bn3, block.downsample[1]):
        module.running_mean.uniform_(-1, 1)
    x = torch.randn(2, 64, 8, 8)

    def normalise(y: torch.Tensor, bn: torch.nn.BatchNorm2d) -> torch.Tensor:
        return (y - bn.running_mean[:, None, None]) / (bn.running_var + 1e-5).sqrt()[:, None, None]

    conv = torch.nn.functional.conv2d
    y = conv(normalise(x, block.bn1), block.conv1.weight, padding=1)
    y = normalise(y, block.bn2)
    y = torch.where(y > 0, y, 0.25 * y)
    y = normalise(conv(y, block.conv2.weight, stride=2, padding=1), block.bn3)
    z = normalise(conv(x, block.downsample[0].weight, stride=2), block.downsample[1])
    with torch.no_grad():
        assert torch.allclose(block(x), y + z, rtol=1e-4, atol=1e-3)
