"""The bundle: a folder that is a model.

    model.json            what it is, how to prepare a picture, what its scores mean
    encoder.safetensors   the weights
    encoder.onnx          the same function for a machine without torch (optional)
    trained_images.npy    digests of the pictures it was trained on, 8 bytes each (optional)

What `model.json` says about preparing a picture is executed by the runtime, not described. It is
read strictly: a key too many or too few, or a file whose digest differs, and the folder is refused.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from arcwise.bundle.description import (
    CALIBRATION,
    DESCRIPTION,
    FORMAT,
    IMAGES,
    ONNX,
    USES,
    WEIGHTS,
    fingerprint,
    read_description,
    write_description,
)
from arcwise.bundle.disk import disk, sha256, swap, sync
from arcwise.bundle.probe import probe_image
from arcwise.errors import BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.images.preparation import Preparation

__all__ = [
    "Bundle",
    "add_onnx",
    "add_thresholds",
    "probe_image",
    "read_bundle",
    "write_bundle",
]


@dataclass(frozen=True)
class Bundle:
    """A model folder, read and verified.

    Attributes:
        path: the folder.
        architecture: `{"name", "dim", "size": [H, W]}`, what `encoders.create` needs.
        preparation: how a picture becomes the encoder's input.
        probe: (D,) unit-length embedding of `probe_image()`, for the self-check on loading.
        fingerprint: sha256 of weights, architecture and preparation. Thresholds, the training
            summary and the ONNX file are not in it: adding them keeps enrolled vectors valid.
        files: sha256 of each weight file, by name.
        alignment: None, or "five-point": where landmarks are known, the face is turned onto the
            template of `images.landmarks` before the preparation; else it is taken as turned.
        thresholds: similarities for stated false-accept rates, with their intervals.
        search_thresholds: similarities for stated rates of unknown pictures answered, in galleries
            of a stated size.
        probability: what a similarity says as a probability; None where it was not measured.
        measured_on: the data all three were measured on.
        history: the calibrations that these took the place of, the oldest first, with the keys of
            `description.CALIBRATION`.
        digests: digests of the identities used to train, choose and calibrate, by use.
        training: a summary of the training; any JSON object.
        licence: under which the weights may be used.
        kind: "encoder".
    """

    path: Path
    architecture: Mapping[str, Any]
    preparation: Preparation
    probe: tuple[float, ...]
    fingerprint: str
    files: Mapping[str, str]
    alignment: str | None = None
    thresholds: tuple[Threshold, ...] = ()
    search_thresholds: tuple[SearchThreshold, ...] = ()
    probability: ScoreMap | None = None
    measured_on: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    digests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    kind: str = "encoder"

    @property
    def dim(self) -> int:
        """D, the size of an embedding."""
        return self.architecture["dim"]

    @property
    def onnx(self) -> Path | None:
        """The ONNX file, if the bundle has one."""
        return self.path / ONNX if ONNX in self.files else None

    def trained_images(self) -> NDArray[np.int64] | None:
        """(M,) sorted `content_digest`s of the pictures trained on; None if they are not known."""
        if IMAGES not in self.files:
            return None
        try:
            found = np.load(self.path / IMAGES, allow_pickle=False)
        except (OSError, ValueError, EOFError) as problem:
            raise BundleError(
                f"{self.path / IMAGES} cannot be read ({problem}): copy the model folder again"
            ) from None
        if found.dtype != np.int64 or found.ndim != 1:
            raise BundleError(
                f"{self.path / IMAGES} holds {found.dtype} of shape {found.shape}, expected one "
                "row of int64: copy the model folder again"
            )
        return found

    def state(self) -> dict[str, np.ndarray]:
        """The weights by state-dict key."""
        try:
            return load_file(self.path / WEIGHTS)
        except (OSError, SafetensorError) as problem:
            raise BundleError(
                f"{self.path / WEIGHTS} cannot be read ({problem}): copy the model folder again"
            ) from None


_NO_DIGESTS: dict[str, Iterable[str]] = dict.fromkeys(USES, ())


def write_bundle(
    folder: str | Path,
    state: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    preparation: Preparation,
    *,
    probe: Sequence[float] | np.ndarray,
    alignment: str | None = None,
    thresholds: Iterable[Threshold] = (),
    measured_on: str = "",
    digests: Mapping[str, Iterable[str]] | None = None,
    training: Mapping[str, Any] | None = None,
    licence: str = "",
    trained_images: ArrayLike | None = None,
) -> Bundle:
    """The bundle, written beside `folder` and renamed into place; it replaces an older bundle.

    Args:
        folder: where to; a folder that is there and holds no bundle is not touched.
        state: weights by state-dict key, as `encoders.weights.to_numpy` gives them.
        architecture: `encoders.architecture(encoder)`.
        preparation: the one the encoder was trained with.
        probe: (D,) embedding of `probe_image()`; `runtime.probe_embedding` computes it.
        alignment: None or "five-point".
        thresholds: of `evaluation.calibrate`.
        measured_on: the data they were measured on.
        digests: identity digests by use ("train", "choose", "calibrate").
        training: a JSON object that summarises the training.
        licence: under which the weights may be used.
        trained_images: `data.content.content_digest` of each picture trained on, if known.

    Raises:
        BundleError: a weight is not finite, a field is not what it should be, or `folder` holds
            something else.
    """
    folder = Path(folder)
    for key, value in state.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise BundleError(
                f"the weights are not saved: {key} is not finite. The training diverged; go back "
                "to an earlier checkpoint and lower the learning rate"
            )
    if folder.is_file():
        raise BundleError(f"{folder} is a file: name a folder for the model")
    if folder.exists() and not (folder / DESCRIPTION).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} holds something that is no bundle: name an empty place")
    about = {
        "format": FORMAT,
        "kind": "encoder",
        "architecture": {**architecture, "size": list(architecture.get("size", ()))},
        "preparation": preparation.as_dict(),
        "alignment": alignment,
        "thresholds": [threshold.as_dict() for threshold in thresholds],
        "measured_on": measured_on,
        "history": [],
        "digests": {
            use: sorted(found) for use, found in ({**_NO_DIGESTS, **(digests or {})}).items()
        },
        "training": dict(training or {}),
        "licence": licence,
        "probe": [float(value) for value in probe],
    }
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.new"
    try:
        with disk(folder, "written"):
            beside.mkdir(parents=True)
            # Not `save_file`: that leaves a file which only this account may read.
            (beside / WEIGHTS).write_bytes(save({k: _c_order(v) for k, v in state.items()}))
            sync(beside / WEIGHTS)
            about["files"] = {WEIGHTS: sha256(beside / WEIGHTS)}
            if trained_images is not None:
                np.save(beside / IMAGES, np.unique(np.asarray(trained_images, np.int64)))
                sync(beside / IMAGES)
                about["files"][IMAGES] = sha256(beside / IMAGES)
            about["fingerprint"] = fingerprint(about)
            write_description(beside, about)
            bundle = read_bundle(beside)  # what is refused when read is refused when written
            swap(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return replace(bundle, path=folder)


def read_bundle(folder: str | Path) -> Bundle:
    """The bundle in a folder, every field and digest checked.

    Raises:
        BundleError: there is none, it is damaged, or it was written by another version.
    """
    folder = Path(folder)
    with disk(folder, "read"):
        about = read_description(folder)
        for name, digest in about["files"].items():
            _verify(folder / name, digest)
    return Bundle(
        path=folder,
        architecture=about["architecture"],
        preparation=Preparation.from_dict(about["preparation"]),
        probe=tuple(about["probe"]),
        fingerprint=about["fingerprint"],
        files=about["files"],
        alignment=about["alignment"],
        thresholds=tuple(Threshold.from_dict(values) for values in about["thresholds"]),
        search_thresholds=tuple(map(SearchThreshold.from_dict, about["search_thresholds"])),
        probability=about["probability"] and ScoreMap.from_dict(about["probability"]),
        measured_on=about["measured_on"],
        history=tuple(about["history"]),
        digests={use: tuple(found) for use, found in about["digests"].items()},
        training=about["training"],
        licence=about["licence"],
        kind=about["kind"],
    )


def add_thresholds(
    folder: str | Path,
    thresholds: Iterable[Threshold],
    *,
    search_thresholds: Iterable[SearchThreshold] = (),
    probability: ScoreMap | None = None,
    measured_on: str,
    digests: Iterable[str],
) -> Bundle:
    """The bundle with this calibration instead of its own; the fingerprint stays.

    Its own goes into the history. One measured on the same identities takes the place of the last.

    Args:
        folder: the bundle.
        thresholds: of `evaluation.calibrate`.
        search_thresholds: of `evaluation.calibrate_search`.
        probability: of `evaluation.calibrate_probability`.
        measured_on: the data they were measured on, in words.
        digests: digests of the identities they were measured on.
    """
    folder = Path(folder)
    about = read_description(folder)
    if about["digests"]["calibrate"] != sorted(digests := list(digests)) and (
        about["thresholds"] or about["search_thresholds"]
    ):
        about["history"].append({key: about[key] for key in CALIBRATION})
    about["thresholds"] = [threshold.as_dict() for threshold in thresholds]
    about["search_thresholds"] = [threshold.as_dict() for threshold in search_thresholds]
    about["probability"] = probability and probability.as_dict()
    about["measured_on"] = measured_on
    about["digests"]["calibrate"] = sorted(digests)
    with disk(folder, "written"):
        write_description(folder, about)
    return read_bundle(folder)


def add_onnx(folder: str | Path, file: Path) -> Bundle:
    """The bundle with `file` moved in as its `encoder.onnx`; the fingerprint stays.

    An older one is struck from `model.json` before it is replaced, so that whenever this stops,
    what is left can be read.
    """
    folder = Path(folder)
    about = read_description(folder)
    with disk(folder, "written"):
        digest = sha256(file)
        if about["files"].pop(ONNX, None) is not None:
            write_description(folder, about)
        sync(file)
        os.replace(file, folder / ONNX)
        about["files"][ONNX] = digest
        write_description(folder, about)
    return read_bundle(folder)


def _verify(path: Path, digest: str) -> None:
    """Nothing, if the weight file is there and has that digest."""
    again = "copy the model folder again, whole" + (
        ", or export again" if path.name == ONNX else ""
    )
    if not path.is_file():
        raise BundleError(f"{path.parent} lacks {path.name}: {again}")
    if sha256(path) != digest:
        raise BundleError(
            f"{path} is not the file that {DESCRIPTION} describes (its sha256 differs): {again}"
        )


def _c_order(array: np.ndarray) -> np.ndarray:
    """The array as safetensors reads its memory, without one dimension more (0-d stays 0-d)."""
    return np.ascontiguousarray(array).reshape(array.shape)
