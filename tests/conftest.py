"""Fixtures shared by every room's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; the test is skipped, with the reason, where there is none."""
    folder = os.environ.get("ARCWISE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data: set ARCWISE_DATA to the folder that holds the data sets")
    return Path(folder)
