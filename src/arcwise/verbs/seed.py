"""The seed that a user names."""

from __future__ import annotations

from arcwise.evaluation.inputs import generator


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes; any whole number from 0 will do."""
    generator(seed)
