"""One envelope for every kind of model: old folders, other kinds, a linkage model."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.bundle import LinkageBundle, add_thresholds, read_bundle, read_linkage, write_linkage
from arcwise.errors import BundleError
from tests.bundle.test_bundle import DIGEST, THRESHOLD, write

STATE = {"layers.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
SETTINGS: dict[str, Any] = {
    "dim": 4,
    "widths": (4, 2),
    "aggregation": "mean",
    "hops": (8, 3),
    "links": 2,
    "threshold": 0.5,
    "largest": 300,
}
OLD = Path(__file__).parent.parent / "formats" / "written_before.zip"


def linkage(folder: Path, **fields: Any) -> LinkageBundle:
    return write_linkage(folder, STATE, **{**SETTINGS, **fields})


def test_a_folder_of_format_1_becomes_format_2_when_calibrated(tmp_path: Path) -> None:
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "model"
    flat = json.loads((folder / "model.json").read_text())
    assert flat["format"] == 1
    assert "preparation" in flat
    old = read_bundle(folder)
    new = add_thresholds(folder, [THRESHOLD], measured_on="shop", digests=[DIGEST])
    nested = json.loads((folder / "model.json").read_text())
    assert nested["format"] == 2
    assert nested["encoder"]["preparation"] == flat["preparation"]
    assert new.fingerprint == old.fingerprint == flat["fingerprint"]
    assert (new.digests["train"], new.training) == (old.digests["train"], old.training)
    assert new.thresholds == (THRESHOLD,)


def test_every_kind_has_the_same_envelope(tmp_path: Path) -> None:
    write(tmp_path / "encoder", licence="MIT", training={"steps": 3})
    linkage(tmp_path / "linkage", licence="MIT", training={"steps": 3})
    both = [json.loads((tmp_path / k / "model.json").read_text()) for k in ("encoder", "linkage")]
    assert both[0].keys() - {"encoder"} == both[1].keys() - {"linkage"}
    for about in both:
        assert (about["format"], about["licence"], about["training"]) == (2, "MIT", {"steps": 3})


def test_a_linkage_model_comes_back_whole(tmp_path: Path) -> None:
    digests = {"train": [DIGEST]}
    written = linkage(tmp_path / "model", embeddings_of="f" * 64, digests=digests)
    read = read_linkage(tmp_path / "model")
    assert read == written
    assert {key: getattr(read, key) for key in SETTINGS} == SETTINGS
    assert read.digests == {"train": (DIGEST,), "choose": (), "calibrate": ()}
    assert read.embeddings_of == "f" * 64
    assert np.array_equal(read.state()["layers.0.weight"], STATE["layers.0.weight"])


def test_fingerprint_of_a_linkage_model(tmp_path: Path) -> None:
    first = linkage(tmp_path / "a").fingerprint
    assert linkage(tmp_path / "b", threshold=0.9, largest=10).fingerprint == first
    assert linkage(tmp_path / "b", hops=(8, 4)).fingerprint != first
    assert linkage(tmp_path / "b", aggregation="weighted").fingerprint != first


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "encoder")
    linkage(tmp_path / "linkage")
    with pytest.raises(BundleError, match=r"'linkage'.* expected a model of kind 'encoder'"):
        read_bundle(tmp_path / "linkage")
    with pytest.raises(BundleError, match=r"'encoder'.* expected a model of kind 'linkage'"):
        read_linkage(tmp_path / "encoder")


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda d: d["linkage"].update(colour="rgb"),
    "missing key": lambda d: d["linkage"].pop("hops"),
    "no payload": lambda d: d.pop("linkage"),
    "two payloads": lambda d: d.update(encoder={}),
    "payload form": lambda d: d.update(linkage=[]),
    "envelope in the payload": lambda d: d["linkage"].update(licence="MIT"),
    "digests": lambda d: d["digests"].update(train=["Ann"]),
    "format": lambda d: d.update(format=True),
    "kind": lambda d: d.update(kind=["linkage"]),
    "dim": lambda d: d["linkage"].update(dim=0),
    "widths": lambda d: d["linkage"].update(widths=[4, -2]),
    "hops": lambda d: d["linkage"].update(hops=[]),
    "aggregation": lambda d: d["linkage"].update(aggregation="sum"),
    "threshold": lambda d: d["linkage"].update(threshold=1.5),
    "files": lambda d: d["files"].update({"encoder.onnx": "0" * 64}),
    "edited": lambda d: d["linkage"].update(links=3),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_an_edited_description_is_refused(tmp_path: Path, what: str) -> None:
    linkage(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    about = json.loads(path.read_text())
    DAMAGE[what](about)
    path.write_text(json.dumps(about))
    with pytest.raises(BundleError):
        read_linkage(tmp_path / "model")


def test_what_would_be_refused_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="hops"):
        linkage(tmp_path / "model", hops=(8, 0))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_weight_file(tmp_path: Path) -> None:
    linkage(tmp_path / "model")
    (tmp_path / "model" / "linkage.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match=r"linkage\.safetensors"):
        read_linkage(tmp_path / "model")
