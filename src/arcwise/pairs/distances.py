"""How far apart two directions are, from their cosine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.sphere import angle

Distance = Literal["angular", "euclidean"]


def distance_of(name: str, distance: str, *, squared: bool) -> Callable[[Tensor], Tensor]:
    """What turns cosines into these distances; `squared` is about the Euclidean ones."""
    if distance not in get_args(Distance):
        raise ArcwiseError(
            f'{name}: got distance={distance!r}; expected one of "angular", "euclidean"'
        )
    if distance == "angular":
        return angle
    return squared_chord if squared else chord


def check_margin(name: str, margin: float) -> None:
    """Whether a margin is a distance."""
    if not 0 <= margin < math.inf:
        raise ArcwiseError(f"{name}: got margin={margin!r}; expected a number not below 0")


def squared_chord(cosines: Tensor) -> Tensor:
    """‖a - b‖² = 2 - 2 cos θ of unit vectors, 0 to 4."""
    return 2 - 2 * cosines


def chord(cosines: Tensor) -> Tensor:
    """‖a - b‖ of unit vectors, 0 to 2; slope 0 where the two coincide, as for `angle`."""
    fixed = cosines.detach()
    length = (2 - 2 * fixed).sqrt()
    slope = torch.where(length > 0, -1 / length, 0.0)
    return length + slope * (cosines - fixed)
