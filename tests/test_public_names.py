"""`import arcwise` is light, and every public name is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import arcwise

OF_A_SERVER = ("enrol", "search", "verify", "remove", "gallery_info", "calibrate", "evaluate")
"""Commands that a server runs: each call waits for what they import."""

OF_SCIPY = ("scipy.special", "scipy.stats", "scipy.sparse", "scipy.optimize")
"""Parts that take up to a quarter of a second to load."""


def test_every_name_is_there() -> None:
    assert sorted(arcwise.__all__) == arcwise.__all__
    for name in arcwise.__all__:
        assert getattr(arcwise, name) is not None
        assert name in dir(arcwise)
    assert isinstance(arcwise.margins, ModuleType)
    assert callable(arcwise.load)
    assert callable(arcwise.margin_softmax)
    assert callable(arcwise.open_gallery)
    assert issubclass(arcwise.ArcwiseError, ValueError)


def test_star_import_is_the_list() -> None:
    names: dict[str, object] = {}
    exec("from arcwise import *", names)
    assert set(arcwise.__all__) == names.keys() - {"__builtins__"}


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = arcwise.nothing
    assert not hasattr(arcwise, "nothing")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import arcwise; dir(arcwise)", ["numpy", "torch", "cv2"]),
        ("import arcwise.cli", ["numpy", "torch", "cv2", "tyro", "rich"]),
        ("import arcwise; arcwise.load; arcwise.open_gallery; arcwise.evaluation", ["torch"]),
        (f"from arcwise.cli import {', '.join(OF_A_SERVER)}", ["torch", "pydantic", *OF_SCIPY]),
    ],
)
def test_nothing_heavy_is_imported(statement: str, absent: list[str]) -> None:
    code = f"{statement}\nimport sys; print(*[n for n in {absent} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
