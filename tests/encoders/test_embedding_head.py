from __future__ import annotations

import numpy as np
import pytest
import torch

from arcwise.encoders.embedding_head import EmbeddingHead, Features
from arcwise.errors import ArcwiseError

POSITIONS = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
TOKEN = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))

POOLED = {
    "mean": lambda p, t: p.mean(2),
    "gem": lambda p, t: np.cbrt((p**3).mean(2)),
    "mean+max": lambda p, t: np.hstack([p.mean(2), p.max(2)]),
    "cls": lambda p, t: t,
    "cls+mean": lambda p, t: np.hstack([t, p.mean(2)]),
}


@pytest.mark.parametrize("pooling", POOLED)
def test_pooling(pooling: str) -> None:
    head = EmbeddingHead(4, 2, pooling, "linear")
    expected = POOLED[pooling](POSITIONS.double().numpy(), TOKEN.double().numpy())
    pooled = head.pool(Features(POSITIONS, TOKEN))
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=1e-5)
    assert head.width == expected.shape[1]


@pytest.mark.parametrize("dim", [4, 6, 9])
def test_an_orthogonal_projection_has_orthonormal_rows_or_columns_and_is_not_trained(
    dim: int,
) -> None:
    head = EmbeddingHead(6, dim, "mean", "orthogonal")
    matrix = head.project[1].matrix
    product = matrix @ matrix.T if dim <= 6 else matrix.T @ matrix
    torch.testing.assert_close(product, torch.eye(min(dim, 6)), atol=1e-5, rtol=0)
    assert [name for name, _ in head.named_parameters()] == ["project.0.weight", "project.0.bias"]


def test_without_a_projection_the_features_are_the_embedding() -> None:
    head = EmbeddingHead(4, 4, "mean", "none")
    assert torch.equal(head(head.pool(Features(POSITIONS))), POSITIONS.mean(2))


@pytest.mark.parametrize(
    ("dim", "pooling", "projection", "problem"),
    [
        (4, "median", "linear", "pooling is 'median'"),
        (4, "mean", "quadratic", "projection is 'quadratic'"),
        (5, "mean", "none", "dim=4"),
    ],
)
def test_what_does_not_fit(dim: int, pooling: str, projection: str, problem: str) -> None:
    with pytest.raises(ArcwiseError, match=problem):
        EmbeddingHead(4, dim, pooling, projection)


def test_no_class_token() -> None:
    with pytest.raises(ArcwiseError, match="no class token"):
        EmbeddingHead(4, 4, "cls", "none").pool(Features(POSITIONS))
