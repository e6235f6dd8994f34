"""Batches to try the losses between samples on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from arcwise import pairs


def triplet(x, y, *, triplets=None, generator=None, chunk=256, **numbers):
    loss = pairs.Triplet(**numbers)
    return loss.loss(x, y, triplets=triplets, generator=generator, chunk=chunk)[0]


def contrastive(x, y, *, chunk=256, **numbers):
    return pairs.Contrastive(**numbers).loss(x, y, chunk=chunk)[0]


def circle(x, y, *, chunk=256, **numbers):
    return pairs.Circle(**numbers).loss(x, y, chunk=chunk)[0]


def supervised_contrastive(x, y, *, chunk=256, **numbers):
    return pairs.SupervisedContrastive(**numbers).loss(x, y, chunk=chunk)[0]


LOSSES = {
    "triplet all": lambda x, y, **how: triplet(x, y, margin=0.35, mining="all", **how),
    "triplet hard": lambda x, y, **how: triplet(x, y, margin=0.35, mining="hard", **how),
    "triplet semi-hard": lambda x, y, **how: triplet(
        x, y, margin=0.35, generator=torch.Generator().manual_seed(0), **how
    ),
    "euclidean all": lambda x, y, **how: triplet(
        x, y, margin=0.2, distance="euclidean", mining="all", **how
    ),
    "euclidean semi-hard": lambda x, y, **how: triplet(
        x, y, margin=0.2, distance="euclidean", generator=torch.Generator().manual_seed(0), **how
    ),
    "contrastive": contrastive,
    "contrastive angular": lambda x, y, **how: contrastive(
        x, y, margin=1.2, distance="angular", **how
    ),
    "circle": circle,
    "supervised": supervised_contrastive,
}


def draw(
    n: int, d: int, classes: int, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Directions without order, labels with some -1."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = torch.randint(-1, classes, (n,), generator=generator)
    return x.to(dtype), y


def awkward(n: int, d: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """The same with equal rows, opposite rows and zero rows."""
    x, y = draw(n, d, classes, seed)
    generator = torch.Generator().manual_seed(seed)
    for how in ("copy", "opposite", "longer", "zero"):
        i, j = torch.randint(0, n, (2,), generator=generator).tolist()
        x[i] = {"copy": x[j], "opposite": -x[j], "longer": 4 * x[j], "zero": 0 * x[j]}[how]
    return x, y


def waves(n: int = 12, d: int = 4) -> tuple[Tensor, Tensor]:
    """A batch that needs no generator: what another implementation says of it stays true."""
    x = [[math.cos(1.7 * i + 0.9 * j * j + 0.3 * i * j) for j in range(d)] for i in range(n)]
    return torch.tensor(x, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4])


class Largest(TorchDispatchMode):
    """How many elements the largest tensor has that anything makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self.elements = max(self.elements, leaf.numel())
        return made
