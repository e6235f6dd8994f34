"""The study of dlib's network, on a few pairs. Run by `make test-dlib`."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from studies.dlib_faces import page

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs import import_dlib
from arcwise.verbs.data_get import get

if find_spec(import_dlib.MODULE) is None:
    pytest.skip("needs the network's file: make test-dlib", allow_module_level=True)


def test_faces_have_to_be_turned_onto_its_template(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCWISE_DATA", str(data_dir))
    import_dlib.import_dlib(tmp_path / "model")
    get("lfw", tmp_path / "lfw")
    lfw = open_manifest(tmp_path / "lfw")
    assert lfw.pairs is not None
    few = replace(lfw, pairs=lfw.pairs.take(list(range(0, len(lfw.pairs), 60))))
    text = page(runtime.load(tmp_path / "model"), few, "12345678")
    scaled, turned, *_ = (
        float(re.findall(r"\| (\d+\.\d) %", line)[0]) for line in text.splitlines()[2:7]
    )
    assert scaled < 92
    assert turned > 95
