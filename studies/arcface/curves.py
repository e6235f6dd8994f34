"""A margin as curves: what the target class is given for an angle, and where two classes meet."""

from __future__ import annotations

import math

import numpy as np
import torch

from arcwise.margins import Margin, SphereFace
from arcwise.margins.margin import State

AT_THE_END: State = {"step": torch.tensor(10**9)}
"""Of an annealed SphereFace: λ has fallen to where it stays."""


def psi(
    margin: Margin, degrees: np.ndarray, length: float = 1.0, state: State | None = None
) -> np.ndarray:
    """ψ(θ), the target's logit over s (ArcFace, figure 4b).

    Args:
        margin: whose.
        degrees: (N,) angles θ to the own centre.
        length: of the embedding, for margins that ask.
        state: running statistics, for margins that have some.
    """
    if state is None:
        state = AT_THE_END if isinstance(margin, SphereFace) else margin.initial()
    cosine = torch.from_numpy(np.cos(np.radians(degrees)))
    value, _, _ = margin.target(cosine, torch.full_like(cosine, length), state)
    return value.numpy()


def counted(margin: Margin, cosines: np.ndarray, target: float, state: State) -> np.ndarray:
    """What cosines to other classes count as, where the target's value is ψ = target."""
    value, _ = margin.negatives(
        torch.from_numpy(cosines)[None], torch.tensor([target], dtype=torch.float64), state
    )
    return value[0].numpy()


def boundary(margin: Margin, degrees: np.ndarray) -> np.ndarray:
    """θ₂ in degrees at which class 1 just wins, by θ₁: cos θ₂ = ψ(θ₁) (ArcFace, figure 5).

    NaN where no angle is far enough. The boundary of class 2 has the two angles exchanged.
    """
    value = psi(margin, degrees)
    reached = np.abs(value) <= 1.0
    return np.where(reached, np.degrees(np.arccos(np.where(reached, value, 1.0))), math.nan)
