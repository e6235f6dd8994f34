"""One JSON document on standard output, whatever the values and the locale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from arcwise.cli.as_json import plain, print_json
from arcwise.errors import ImageError
from arcwise.evaluation import Rate


@dataclass(frozen=True)
class Found:
    name: Path
    values: tuple[float, ...]


class Pair(NamedTuple):
    a: int
    b: str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ([float("inf"), -np.inf, 1.5], [None, None, 1.5]),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.bool_(True), True),
        (Rate(0.5, float("nan"), 1.0, False),
         {"value": 0.5, "low": None, "high": 1.0, "resolved": False}),
        (ImageError("a.jpg", "empty file"), {"image": "a.jpg", "reason": "empty file"}),
        (Found(Path("x/y"), (1.0, float("inf"))), {"name": "x/y", "values": [1.0, None]}),
        ({1: Pair(2, "c")}, {"1": {"a": 2, "b": "c"}}),
    ],
)  # fmt: skip
def test_plain(value: Any, expected: Any) -> None:
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected


def test_no_silent_guess() -> None:
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_text_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Ärtikel 图"})
    assert "Ärtikel 图" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_locale(encoding: str) -> None:
    """What no locale has, and bytes that are no text, come back as they were."""
    name = "Ä图😀\udcff"
    code = f"from arcwise.cli.as_json import print_json; print_json({{'name': {name!a}}})"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout.decode("utf-8"))["name"] == name
