"""Encoders of timm where timm is not installed; `make test-timm` tests them where it is."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from arcwise import encoders
from arcwise.encoders.weights import rebuild
from arcwise.errors import ArcwiseError

pytestmark = pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")


def test_without_timm() -> None:
    with pytest.raises(ArcwiseError, match=r"not installed: pip install 'arcwise\[timm\]'"):
        encoders.create("timm:resnet18")


def test_a_model_folder_of_a_timm_model() -> None:
    architecture = {"name": "timm:resnet18", "dim": 8, "size": [64, 64]}
    with pytest.raises(ArcwiseError, match="needs the library timm"):
        rebuild({**architecture, "arguments": {"timm": "1.0.31"}}, {})
