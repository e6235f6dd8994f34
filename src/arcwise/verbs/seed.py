"""The seed that a user names."""

from __future__ import annotations

from arcwise.errors import ArcwiseError


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes."""
    if seed < 0:
        raise ArcwiseError(f"seed is {seed}; expected a whole number from 0")
