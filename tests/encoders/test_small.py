"""The small encoder: its size, its speed path, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from arcwise import encoders
from arcwise.errors import ArcwiseError


def test_about_a_million_parameters_without_depthwise() -> None:
    encoder = encoders.create("small")
    assert 0.8e6 < sum(p.numel() for p in encoder.parameters() if p.requires_grad) < 1.3e6
    convolutions = [m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(m.groups == 1 and m.kernel_size == (3, 3) for m in convolutions)


@pytest.mark.parametrize("dim", [16, 704])
def test_projection_is_orthogonal_and_not_trained(dim: int) -> None:
    encoder = encoders.create("small", dim=dim)
    assert "projection" in encoder.state_dict()
    assert "projection" not in dict(encoder.named_parameters())
    gram = encoder.projection @ encoder.projection.T
    assert torch.allclose(gram, torch.eye(dim), atol=1e-5)
    with pytest.raises(ArcwiseError, match="dim <= 704"):
        encoders.create("small", dim=705)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (80, 96), (112, 112), (33, 57)])
def test_any_image_size(size: tuple[int, int]) -> None:
    encoder = encoders.create("small", dim=16, size=size).eval()
    with torch.no_grad():
        assert encoder(torch.randn(2, 3, *size)).shape == (2, 16)


def test_a_few_steps_separate_four_textures() -> None:
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=16, size=(32, 32)).train()
    classes = torch.randn(4, 3, 32, 32)
    centres = torch.nn.Parameter(torch.randn(4, 16))
    optimiser = torch.optim.SGD([*encoder.parameters(), centres], lr=0.05, momentum=0.9)
    labels = torch.arange(16) % 4
    losses = []
    for _ in range(15):
        images = classes[labels] + 0.3 * torch.randn(16, 3, 32, 32)
        cosines = F.normalize(encoder(images)) @ F.normalize(centres).T
        loss = F.cross_entropy(8 * cosines, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
