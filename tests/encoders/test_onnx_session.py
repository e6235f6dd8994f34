"""One function of images, however a file lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.encoders.onnx_session import OnnxSession
from arcwise.errors import ArcwiseError
from tests.onnx_networks import SIZE, D, network

IMAGES = np.random.default_rng(1).normal(size=(5, 3, *SIZE)).astype(np.float32)

FORMS: dict[str, dict[str, Any]] = {
    "usual": {},
    "colours last": {"layout": "nhwc"},
    "one at a time": {"batch": 1},
    "four at a time": {"batch": 4},
    "half": {"half": True},
    "any size": {"size": ("h", "w")},
    "no shape": {"unsaid": True},
    "no shape, colours last": {"unsaid": True, "layout": "nhwc"},
    "all of it": {"layout": "nhwc", "batch": 1, "half": True},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_one_function(form: str, tmp_path: Path) -> None:
    usual = OnnxSession(network(tmp_path / "usual.onnx"), SIZE, threads=1)
    file = network(tmp_path / "n.onnx", **FORMS[form])
    near = 0.02 if "half" in FORMS[form] else 1e-5
    for given in (file, file.read_bytes()):
        session = OnnxSession(given, SIZE, threads=1)
        assert session(IMAGES) == pytest.approx(usual(IMAGES), abs=near)
        assert session.layout == FORMS[form].get("layout", "nchw")
        assert session.batch == FORMS[form].get("batch", 0)
        assert session.precision == ("float16" if "half" in FORMS[form] else "float32")


def test_its_own_size(tmp_path: Path) -> None:
    for layout in ("nchw", "nhwc"):
        file = network(tmp_path / "n.onnx", layout=layout)
        assert OnnxSession(file, None, threads=1, usual_size=(9, 9)).size == SIZE
    anything = network(tmp_path / "a.onnx", size=("h", "w"))
    assert OnnxSession(anything, None, threads=1, usual_size=(9, 9)).size == (9, 9)
    with pytest.raises(ArcwiseError, match="--size"):
        OnnxSession(anything, None, threads=1)
    with pytest.raises(ArcwiseError, match=r"\(N, 3, 9, 20\)"):
        OnnxSession(network(tmp_path / "n.onnx"), (9, 20), threads=1)


def test_one_of_several_outputs(tmp_path: Path) -> None:
    file = network(tmp_path / "n.onnx", extra=True)
    session = OnnxSession(file, SIZE, threads=1)
    assert list(session.outputs) == ["positive", "embedding"]
    with pytest.raises(ArcwiseError, match=r"expected \(N, D\)"):
        session(IMAGES)
    assert OnnxSession(file, SIZE, threads=1, output="embedding")(IMAGES).shape == (5, D)
    with pytest.raises(ArcwiseError, match="no output 'x'"):
        OnnxSession(file, SIZE, threads=1, output="x")
