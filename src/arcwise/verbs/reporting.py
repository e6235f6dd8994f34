"""Whether this installation can write reports."""

from __future__ import annotations

from importlib.util import find_spec

NO_REPORT = "no report: it needs matplotlib and jinja2, pip install 'arcwise[report]'"
"""The message for a user who gets no report."""


def can_report() -> bool:
    """Return whether the libraries for reports are installed, without importing them."""
    return all(find_spec(name) is not None for name in ("matplotlib", "jinja2"))
