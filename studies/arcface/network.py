"""A small network for small pictures: its trainings take seconds of one core."""

from __future__ import annotations

from torch import Tensor, nn

SIZE = 32


class Network(nn.Sequential):
    """(N, 3, 32, 32) → (N, D), not normalised: three convolutions and a matrix."""

    def __init__(self, dim: int) -> None:
        layers: list[nn.Module] = []
        for inside, outside in ((3, 24), (24, 48), (48, 96)):
            layers += [
                nn.Conv2d(inside, outside, 3, 2, 1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.Flatten(), nn.Linear(96 * 16, dim), nn.BatchNorm1d(dim, affine=False)]
        super().__init__(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, D) embeddings of (N, 3, 32, 32) prepared pictures."""
        return super().forward(pictures).float()
