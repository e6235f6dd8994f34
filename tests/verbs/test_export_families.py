"""Every family of encoders computes the same in ONNX Runtime as in torch, at any batch.

timm's models are in tests/timm, imported networks in tests/encoders/test_onnx_file.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from arcwise import encoders
from arcwise.encoders import lora
from arcwise.runtime.engines import OnnxEngine
from arcwise.verbs.export import write_onnx

BATCHES = (1, 2, 5)

# Name, (H, W), opset, and whether low-rank adapters are merged into it.
FAMILIES = [
    ("small", (24, 16), 18, False),
    ("iresnet18", (16, 32), 18, False),
    ("mobilefacenet", (24, 16), 20, False),
    ("efficientnet_lite0", (33, 48), 18, False),
    ("dlib_resnet", (103, 110), 18, False),
    ("vit_small_14", (28, 42), 18, False),  # position embeddings are interpolated
    ("vit_small_16", (48, 48), 18, True),  # they are taken as they are
    ("vit_small_16_reg4", (32, 48), 18, False),
    ("torch:own_networks:tokens", (16, 24), 18, False),
]


class Tokens(nn.Module):
    """A user's own network: (N, P, C) of patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.patches(images).flatten(2).transpose(1, 2))


Tokens.__module__ = "own_networks"


def trained(encoder: nn.Module) -> nn.Module:
    """Return the encoder with statistics as after training: nothing is the identity."""
    for part in encoder.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
        elif isinstance(part, lora.LowRankLinear):
            nn.init.normal_(part.lora_b, std=0.3)
    return encoder.eval()


@pytest.mark.usefixtures("few_layers")
@pytest.mark.parametrize(
    ("name", "size", "opset", "adapters"), FAMILIES, ids=[name for name, *_ in FAMILIES]
)
def test_every_family_at_any_batch(
    name: str,
    size: tuple[int, int],
    opset: int,
    adapters: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("own_networks")
    module.tokens = Tokens  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_networks", module)
    torch.manual_seed(0)
    encoder = encoders.create(name, dim=8, size=size)
    if adapters:
        lora.add_adapters(encoder, 2)
    encoder = trained(encoder)
    exported = lora.merge(encoder)
    assert lora.has_adapters(encoder) is adapters
    assert not lora.has_adapters(exported)
    assert write_onnx(exported, tmp_path / "encoder.onnx", size, opset) == opset
    engine = OnnxEngine(tmp_path / "encoder.onnx", size)
    for count in BATCHES:
        images = torch.randn(count, 3, *size)
        with torch.no_grad():
            expected = encoder(images).numpy()
        embedded = engine(images.numpy())
        assert embedded.shape == (count, 8)
        assert np.abs(embedded - expected).max() < 1e-5 * np.abs(expected).max()
