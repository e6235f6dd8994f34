"""The model folder: written whole or not at all, read strictly."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.bundle import (
    Bundle,
    add_onnx,
    add_thresholds,
    read_bundle,
    reference_image,
    write_bundle,
)
from arcwise.errors import BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.images.preparation import Preparation

PREPARATION = Preparation(height=48, width=48, resize="pad", flip_tta=True)
ARCHITECTURE = {"name": "small", "dim": 4, "size": (48, 48)}
THRESHOLD = Threshold(
    far=1e-2,
    threshold=0.4,
    low=0.35,
    high=0.5,
    resolved=True,
    impostors=5000,
    identities=40,
    far_low=0.004,
    far_high=0.02,
    far_spread=0.5,
    tar=0.9,
    tar_low=0.8,
    tar_high=0.95,
)
SEARCH = SearchThreshold(
    fpir=1e-2,
    gallery=20,
    templates=2,
    threshold=0.5,
    low=0.4,
    high=0.6,
    fpir_low=0.004,
    fpir_high=0.02,
    resolved=True,
    probes=2000,
    identities=40,
    dir=None,
    dir_low=None,
    dir_high=None,
)
SCORES = ScoreMap(12.5, -4.0, 0.5, 300, 5000, 0.01)
DIGEST = "0123456789abcdef"


def state(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "fc.weight": rng.normal(size=(4, 3)).astype(np.float32),
        "bn.num_batches_tracked": np.array(7, np.int64),
        "half": rng.normal(size=5).astype(np.float16),
    }


def write(folder: Path, seed: int = 0, **fields: Any) -> Bundle:
    about: dict[str, Any] = {
        "reference_embedding": np.array([1, 0, 0, 0], np.float32),
        **fields,
    }
    architecture = about.pop("architecture", ARCHITECTURE)
    return write_bundle(folder, state(seed), architecture, PREPARATION, **about)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads((folder / "model.json").read_text())
    change(about)
    (folder / "model.json").write_text(json.dumps(about))


def test_comes_back_whole(tmp_path: Path) -> None:
    written = write(
        tmp_path / "model",
        thresholds=[THRESHOLD],
        measured_on="shop.csv, 40 identities",
        alignment="five-point",
        digests={"train": {DIGEST}},
        training={"steps": 12, "loss": [1.5, {"deep": None}]},
        licence="MIT",
    )
    read = read_bundle(tmp_path / "model")
    assert read == written
    assert read.path == tmp_path / "model"
    assert read.preparation == PREPARATION
    assert read.architecture == {"name": "small", "dim": 4, "size": [48, 48]}
    assert read.thresholds == (THRESHOLD,)
    assert read.measured_on == "shop.csv, 40 identities"
    assert read.digests == {"train": (DIGEST,), "choose": (), "calibrate": ()}
    assert read.training == {"steps": 12, "loss": [1.5, {"deep": None}]}
    assert (read.dim, read.licence, read.alignment) == (4, "MIT", "five-point")
    assert read.onnx is None
    weights = read.state()
    assert weights.keys() == state().keys()
    for key, value in state().items():
        assert weights[key].dtype == value.dtype
        assert weights[key].shape == value.shape
        assert np.array_equal(weights[key], value)


def test_nothing_is_left_beside_and_others_may_read(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "model", seed)
    assert os.listdir(tmp_path) == ["model"]
    assert sorted(os.listdir(tmp_path / "model")) == ["encoder.safetensors", "model.json"]
    plain = tmp_path / "plain"
    plain.touch()
    for name in os.listdir(tmp_path / "model"):  # a server under another account serves it
        assert (tmp_path / "model" / name).stat().st_mode == plain.stat().st_mode


def test_fingerprint_follows_what_an_embedding_depends_on_and_nothing_else(tmp_path: Path) -> None:
    first = write(tmp_path / "a", licence="MIT").fingerprint
    assert write(tmp_path / "b", training={"steps": 3}, thresholds=[THRESHOLD]).fingerprint == first
    assert write(tmp_path / "b", seed=1).fingerprint != first
    assert write(tmp_path / "b", alignment="five-point").fingerprint != first
    flipped = Preparation(height=48, width=48, resize="pad")
    reference = [1.0, 0, 0, 0]
    other = write_bundle(
        tmp_path / "b", state(), ARCHITECTURE, flipped, reference_embedding=reference
    )
    assert other.fingerprint != first
    bigger = {**ARCHITECTURE, "name": "mobilefacenet"}
    other = write_bundle(
        tmp_path / "b", state(), bigger, PREPARATION, reference_embedding=reference
    )
    assert other.fingerprint != first


def test_thresholds_and_onnx_come_later_and_keep_the_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    before = write(folder)
    after = add_thresholds(folder, [THRESHOLD], measured_on="shop", digests=[DIGEST])
    assert after.thresholds == (THRESHOLD,)
    assert after.measured_on == "shop"
    assert after.digests["calibrate"] == (DIGEST,)
    for content in (b"first", b"second"):
        (tmp_path / "new.onnx").write_bytes(content)
        after = add_onnx(folder, tmp_path / "new.onnx")
        assert after.onnx is not None
        assert after.onnx.read_bytes() == content
    assert after.fingerprint == before.fingerprint
    assert after.thresholds == (THRESHOLD,)
    assert after == read_bundle(folder)
    assert sorted(os.listdir(folder)) == ["encoder.onnx", "encoder.safetensors", "model.json"]


def test_a_smaller_onnx_file_has_its_own_reference(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    before = write(folder)
    assert (before.precision, before.onnx_reference) == ("fp32", None)
    (tmp_path / "new.onnx").write_bytes(b"int8")
    reference = (0.0, 0.6, 0.8, 0.0)
    smaller = add_onnx(
        folder, tmp_path / "new.onnx", precision="int8", reference_embedding=reference
    )
    assert (smaller.precision, smaller.onnx_reference) == ("int8", reference)
    assert smaller.fingerprint == before.fingerprint
    path = folder / "model.json"
    about = json.loads(path.read_text())
    for wrong in (
        {"precision": "int8"},
        {"precision": "fp32", "probe": list(reference)},
        {"precision": "int8", "probe": [1.0]},
        {"precision": "int8", "probe": 1.0},
        {"precision": ["int8"], "probe": list(reference)},
        ["int8"],
    ):
        path.write_text(json.dumps({**about, "encoder": {**about["encoder"], "onnx": wrong}}))
        with pytest.raises(BundleError, match=r"onnx.* (lacks|is)|reference embedding"):
            read_bundle(folder)
    del about["files"]["encoder.onnx"]
    path.write_text(json.dumps(about))
    with pytest.raises(BundleError, match="not among the files"):
        read_bundle(folder)


def test_a_calibration_replaces_the_last_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    before = write(folder)
    assert (before.search_thresholds, before.probability) == ((), None)
    full = add_thresholds(
        folder,
        [THRESHOLD],
        search_thresholds=[SEARCH],
        probability=SCORES,
        measured_on="shop",
        digests=[DIGEST],
    )
    assert (full.search_thresholds, full.probability) == ((SEARCH,), SCORES)
    assert full.fingerprint == before.fingerprint
    assert full == read_bundle(folder)
    less = add_thresholds(folder, [THRESHOLD], measured_on="shop", digests=[DIGEST])
    assert (less.search_thresholds, less.probability) == ((), None)


def test_the_calibration_before_stays_in_the_history(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    calibrate = partial(add_thresholds, folder)
    first = calibrate([THRESHOLD], search_thresholds=[SEARCH], measured_on="a", digests=[DIGEST])
    assert first.history == ()
    again = calibrate([THRESHOLD], measured_on="a again", digests=[DIGEST])
    assert again.history == ()  # measured on the same identities
    other = calibrate([], search_thresholds=[SEARCH], measured_on="b", digests=[DIGEST[::-1]])
    assert [one["measured_on"] for one in other.history] == ["a again"]
    assert other.history[0]["thresholds"] == [THRESHOLD.as_dict()]
    third = calibrate([THRESHOLD], measured_on="c", digests=[DIGEST])
    assert [one["measured_on"] for one in third.history] == ["a again", "b"]


def test_thresholds_from_before_templates_were_counted_open(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    add_thresholds(
        folder, [THRESHOLD], search_thresholds=[SEARCH], measured_on="shop", digests=[DIGEST]
    )
    later = ("templates", "fpir_low", "fpir_high", "dir_low", "dir_high")

    def older(description: dict[str, Any]) -> None:
        del description["encoder"]["history"]
        for key in ("far_low", "far_high", "far_spread", "tar_low", "tar_high"):
            del description["encoder"]["thresholds"][0][key]
        for key in later:
            del description["encoder"]["search_thresholds"][0][key]

    edit(folder, older)
    old = read_bundle(folder)
    assert (old.search_thresholds[0].threshold, old.search_thresholds[0].templates) == (0.5, 1)
    assert (old.thresholds[0].tar, old.thresholds[0].tar_low) == (0.9, 0.0)
    assert (old.thresholds[0].far_low, old.thresholds[0].far_high) == (0.0, 1.0)
    assert old.history == ()


def test_a_bundle_from_before_there_were_search_thresholds_opens(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    add_thresholds(folder, [THRESHOLD], measured_on="shop", digests=[DIGEST])
    edit(folder, lambda d: (d["encoder"].pop("search_thresholds"), d["encoder"].pop("probability")))
    old = read_bundle(folder)
    assert (old.thresholds, old.search_thresholds, old.probability) == ((THRESHOLD,), (), None)


def test_an_unlisted_file_is_not_used(tmp_path: Path) -> None:
    write(tmp_path / "model")
    (tmp_path / "model" / "encoder.onnx").write_bytes(b"from nowhere")
    (tmp_path / "model" / "README.md").write_text("notes")
    assert read_bundle(tmp_path / "model").onnx is None


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown key": (lambda d: d.update(colour="rgb"), r"unknown keys \['colour'\]"),
    "missing key": (lambda d: d.pop("licence"), r"lacks \['licence'\]"),
    "wrong type": (lambda d: d.update(licence=3), "licence is 3, of the wrong type"),
    "boolean": (lambda d: d["encoder"].update(probe=True), "of the wrong type"),
    "newer format": (lambda d: d.update(format=3), "format is 3, this Arcwise reads 1 to 2"),
    "another kind": (lambda d: d.update(kind="set"), "kind is 'set'"),
    "preparation key": (
        lambda d: d["encoder"]["preparation"].update(gamma=1),
        "unknown key 'gamma'",
    ),
    "preparation value": (
        lambda d: d["encoder"]["preparation"].update(resize="zoom"),
        "resize is 'zoom'",
    ),
    "size": (lambda d: d["encoder"]["preparation"].update(height=64), "give both the same size"),
    "dim": (lambda d: d["encoder"]["architecture"].update(dim="4"), "architecture is"),
    "architecture": (lambda d: d["encoder"]["architecture"].pop("name"), r"lacks \['name'\]"),
    "size form": (lambda d: d["encoder"]["architecture"].update(size=48), "architecture is"),
    "alignment": (lambda d: d["encoder"].update(alignment="68 points"), "alignment is '68 points'"),
    "oblong": (
        lambda d: (
            d["encoder"]["architecture"].update(size=[48, 40]),
            d["encoder"]["preparation"].update(width=40),
            d["encoder"].update(alignment="five-point"),
        ),
        "square crops",
    ),
    "threshold": (lambda d: d["encoder"].update(thresholds=[{"far": 1}]), "a threshold has"),
    "threshold form": (lambda d: d["encoder"].update(thresholds=[3]), "a threshold has"),
    "search threshold": (
        lambda d: d["encoder"].update(search_thresholds=[{}]),
        "a search threshold has",
    ),
    "search thresholds": (
        lambda d: d["encoder"].update(search_thresholds=None),
        "of the wrong type",
    ),
    "probability": (
        lambda d: d["encoder"].update(probability={"slope": 1}),
        "a probability map has",
    ),
    "probability form": (lambda d: d["encoder"].update(probability=[]), "of the wrong type"),
    "digest": (lambda d: d["digests"].update(train=["Ann"]), "digests.train is no list"),
    "digest use": (lambda d: d["digests"].update(test=[]), r"unknown keys \['test'\]"),
    "probe length": (
        lambda d: d["encoder"].update(probe=[1.0]),
        r"\(probe\) has 1 values, expected 4",
    ),
    "probe norm": (
        lambda d: d["encoder"].update(probe=[1.0, 1.0, 0.0, 0.0]),
        r"\(probe\) has length 1.4142",
    ),
    "probe NaN": (
        lambda d: d["encoder"].update(probe=[float("nan"), 0.0, 0.0, 0.0]),
        "NaN is no number",
    ),
    "files": (lambda d: d["files"].update({"../../x": "0" * 64}), "files are"),
    "file digest": (lambda d: d["files"].update({"encoder.onnx": "xyz"}), "no sha256"),
    "fingerprint": (lambda d: d.update(fingerprint="0" * 64), "the fingerprint does not fit"),
    "edited preparation": (
        lambda d: d["encoder"]["preparation"].update(colour="bgr"),
        "fingerprint does not",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_an_edited_description_is_refused(tmp_path: Path, what: str) -> None:
    change, message = DAMAGE[what]
    write(tmp_path / "model", thresholds=[THRESHOLD])
    edit(tmp_path / "model", change)
    with pytest.raises(BundleError, match=message):
        read_bundle(tmp_path / "model")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    good = (folder / "model.json").read_bytes()
    weights = (folder / "encoder.safetensors").read_bytes()
    for bad in (b"", b"{", b"[]", b"\xff", b"[" * 100_000, good.replace(b"{", b'{"kind":"x",', 1)):
        (folder / "model.json").write_bytes(bad)
        with pytest.raises(BundleError):
            read_bundle(folder)
    (folder / "model.json").write_bytes(good)
    (folder / "encoder.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(BundleError, match="sha256 differs"):
        read_bundle(folder)
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks encoder\.safetensors"):
        read_bundle(folder)


def test_what_is_there_instead_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no model folder"):
        read_bundle(tmp_path / "none" / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file"):
        read_bundle(tmp_path / "file")
    write(tmp_path / "run" / "model")
    with pytest.raises(BundleError, match="run/model is: name that one"):
        read_bundle(tmp_path / "run")
    with pytest.raises(BundleError, match=r"has no model\.json"):
        read_bundle(tmp_path)


def test_bad_values_are_never_written(tmp_path: Path) -> None:
    broken = {**state(), "fc.weight": np.array([[np.inf]], np.float32)}
    with pytest.raises(BundleError, match=r"fc\.weight is not finite"):
        write_bundle(
            tmp_path / "m", broken, ARCHITECTURE, PREPARATION, reference_embedding=[1, 0, 0, 0]
        )
    for fields in (
        {"reference_embedding": [1, 0]},
        {"reference_embedding": [np.nan, 0, 0, 0]},
        {"training": {"loss": float("inf")}},
        {"training": {"path": tmp_path}},
        {"digests": {"test": []}},
        {"alignment": "mesh"},
        {"architecture": {**ARCHITECTURE, "dim": np.int64(4)}},
        {"architecture": {"name": "small"}},
    ):
        with pytest.raises(BundleError):
            write(tmp_path / "m", **fields)
    assert os.listdir(tmp_path) == []


def test_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    with pytest.raises(BundleError, match="is no model folder"):
        write(tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["holiday.jpg"]
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file"):
        write(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")


@pytest.mark.parametrize("call", ["replace", "rename", "fsync"])
def test_a_disk_error_is_one_line_and_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    old = write(tmp_path / "model")
    (tmp_path / "new.onnx").write_bytes(b"graph")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        if call != "replace":
            with pytest.raises(BundleError, match="model cannot be written: No space left"):
                write(tmp_path / "model", seed=1)
        if call != "rename":
            with pytest.raises(BundleError, match="cannot be written"):
                add_onnx(tmp_path / "model", tmp_path / "new.onnx")
    assert read_bundle(tmp_path / "model") == old
    assert not list(tmp_path.rglob(".*"))
    with pytest.raises(BundleError, match="cannot be written"):
        write(tmp_path / "new.onnx" / "inside")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("call", ["replace", "rename", "fsync"])
@pytest.mark.parametrize("when", range(12))
def test_stopped_at_any_moment_the_folder_holds_a_whole_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, when: int
) -> None:
    """Every disk operation in turn is the last one, with no clean-up after it."""
    folder = tmp_path / "model"
    old = write(folder)
    (tmp_path / "new.onnx").write_bytes(b"graph")
    real, done = getattr(os, call), 0

    def mortal(*args: Any) -> Any:
        nonlocal done
        done += 1
        if done > when:
            raise Killed
        return real(*args)

    def nothing(*_: Any, **__: Any) -> None: ...

    monkeypatch.setattr(os, call, mortal)
    monkeypatch.setattr(shutil, "rmtree", nothing)
    new = None
    try:
        new = write(folder, seed=1)
        new = add_onnx(folder, tmp_path / "new.onnx")
    except Killed:
        pass
    monkeypatch.undo()
    left = list(tmp_path.glob(".model.*.old"))
    if not folder.exists():  # between the two renames: nothing there, and said how to go on
        assert call == "rename"
        with pytest.raises(BundleError, match="was being replaced"):
            read_bundle(folder)
    found = read_bundle(folder if folder.exists() else left[0])
    weights = found.state()["fc.weight"]
    assert any(np.array_equal(weights, state(seed)["fc.weight"]) for seed in (0, 1))
    if new is None:
        assert found.fingerprint in (old.fingerprint, write(tmp_path / "b", seed=1).fingerprint)


def test_reference_image_is_always_the_same_and_symmetric_in_nothing() -> None:
    image = reference_image()
    assert image.shape == (97, 131, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, reference_image())
    for twin in (image[:, ::-1], image[::-1], image[..., ::-1]):
        assert np.abs(image.astype(int) - twin).mean() > 20
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    assert (
        digest[:16] == "2cdc4b8ce11a526e"
    )  # every stored reference embedding is of exactly these pixels


ADD = """
import sys
from arcwise.bundle import add_thresholds
from tests.bundle.test_bundle import THRESHOLD
for number in range(8):
    digest = f"{sys.argv[2]}{number:015x}"
    add_thresholds(sys.argv[1], [THRESHOLD], measured_on=digest, digests=[digest])
"""


def test_no_calibration_is_lost_to_another_at_the_same_time(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder)
    words = [sys.executable, "-c", ADD, str(folder)]
    others = [subprocess.Popen([*words, one]) for one in "ab"]
    assert [one.wait() for one in others] == [0, 0]
    bundle = read_bundle(folder)
    measured = {one["measured_on"] for one in bundle.history} | {bundle.measured_on}
    assert measured == {f"{one}{number:015x}" for one in "ab" for number in range(8)}
    assert sorted(os.listdir(folder)) == ["encoder.safetensors", "model.json"]


def test_images_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert write(folder).trained_images() is None
    older = read_bundle(folder).fingerprint
    bundle = write(folder, trained_images=np.array([7, 3, 7, 2**62]))
    assert bundle.fingerprint == older
    found = read_bundle(folder).trained_images()
    assert found is not None
    assert found.tolist() == [3, 7, 2**62]
    add_thresholds(folder, [THRESHOLD], measured_on="x", digests=[])
    assert np.array_equal(read_bundle(folder).trained_images(), found)
    content = (folder / "trained_images.npy").read_bytes()
    (folder / "trained_images.npy").write_bytes(content[:-1] + b"\1")
    with pytest.raises(BundleError, match=r"trained_images\.npy is not the file"):
        read_bundle(folder)
    (folder / "trained_images.npy").unlink()
    with pytest.raises(BundleError, match=r"lacks trained_images\.npy"):
        read_bundle(folder)


@pytest.mark.parametrize("content", [np.zeros(3), np.zeros((2, 2), np.int64)])
def test_something_else_than_digests(tmp_path: Path, content: np.ndarray) -> None:
    folder = tmp_path / "model"
    write(folder, trained_images=[1])
    np.save(folder / "trained_images.npy", content)
    digest = hashlib.sha256((folder / "trained_images.npy").read_bytes()).hexdigest()
    edit(folder, lambda about: about["files"].update({"trained_images.npy": digest}))
    with pytest.raises(BundleError, match="expected one row of int64"):
        read_bundle(folder).trained_images()
