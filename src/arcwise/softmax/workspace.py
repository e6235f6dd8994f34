"""Large memory that outlives a step, because fresh pages cost as much as the arithmetic on them."""

from __future__ import annotations

import torch
from torch import Tensor


class Workspace:
    """Lends one flat piece of memory at a time, which its borrower may also keep."""

    def __init__(self) -> None:
        self._free: Tensor | None = None

    def take(self, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return (size,) uninitialised numbers, in the last piece given back where it fits."""
        free, self._free = self._free, None
        if free is None or free.dtype != dtype or free.device != device or len(free) < size:
            return torch.empty(size, dtype=dtype, device=device)
        return free[:size]

    def give(self, piece: Tensor | None) -> None:
        """Take a piece back."""
        if piece is not None:
            self._free = piece.new_empty(0).set_(piece.untyped_storage())  # all of it
