"""The seed that a user names."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes; any whole number from 0 will do."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise ArcwiseError(f"seed is {seed!r}; expected a whole number from 0")
