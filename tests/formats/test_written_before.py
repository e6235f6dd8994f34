"""Files that an earlier Arcwise wrote are opened: a model folder, a gallery, a run.

`written_before.zip` holds them, as version 0.1.0 wrote them in November 2026: an encoder with
generated weights, exported and calibrated twice on rendered products, a calibrated gallery of six
of them, the config of a run, and what embedding and search answered then.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arcwise
from arcwise.bundle import read_bundle
from arcwise.evaluation import SearchThreshold, Threshold

IMAGE = (np.arange(40 * 40 * 3) % 251).astype(np.uint8).reshape(40, 40, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with zipfile.ZipFile(Path(__file__).parent / "written_before.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> Any:
    return json.loads((folder / "expected.json").read_text())


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_model_embeds_as_then(folder: Path, answers: Any, engine: str) -> None:
    vector = arcwise.load(folder / "model", runtime=engine).embed([IMAGE])[0]
    np.testing.assert_allclose(vector, answers["embedding"], atol=1e-5)


def test_model_keeps_its_thresholds(folder: Path) -> None:
    bundle = read_bundle(folder / "model")
    assert [type(one) for one in bundle.thresholds] == [Threshold]
    assert bundle.thresholds[0].far == 0.3
    assert {one.gallery for one in bundle.search_thresholds} == {4}
    assert all(isinstance(one, SearchThreshold) for one in bundle.search_thresholds)
    assert len(bundle.history) == 1
    assert bundle.training["step"] == 30
    assert len(bundle.digests["train"]) > 0


def test_gallery_answers_as_then(folder: Path, answers: Any) -> None:
    model = arcwise.load(folder / "model")
    with arcwise.open_gallery(folder / "shop.gallery", model=model) as gallery:
        hits = gallery.search(model.embed([IMAGE]), k=3)[0]
        assert [one.identity for one in hits] == [name for name, _ in answers["hits"]]
        similarities = [one.similarity for one in hits]
        np.testing.assert_allclose(similarities, [one for _, one in answers["hits"]], atol=1e-5)
        assert gallery.calibration.identities == 6
        assert gallery.calibration.thresholds[0].fpir == 0.3


def test_gallery_takes_new_templates(folder: Path) -> None:
    model = arcwise.load(folder / "model")
    vectors = model.embed([IMAGE])
    with arcwise.open_gallery(folder / "shop.gallery", model=model) as gallery:
        gallery.enrol([("new", vectors[0], {})])
        assert gallery.search(vectors, k=1)[0][0].identity == "new"
        gallery.remove("new")
