"""Whether this installation can write reports."""

from __future__ import annotations

from importlib.util import find_spec

NO_REPORT = "no report: it needs matplotlib and jinja2, pip install 'arcwise[report]'"
"""What to tell a user who gets none."""


def can_report() -> bool:
    """Whether what draws and lays out reports is installed; nothing is imported."""
    return all(find_spec(name) is not None for name in ("matplotlib", "jinja2"))
