"""The payload of an encoder in `model.json`: what may be in it, read strictly and written whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.bundle.envelope import (
    DESCRIPTION,
    check_files,
    check_fingerprint,
    check_types,
    digest_of,
    read_envelope,
    same_keys,
)
from arcwise.bundle.length_reading import LengthReading
from arcwise.errors import ArcwiseError, BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.images.preparation import Preparation

KIND = "encoder"
WEIGHTS, ONNX = "encoder.safetensors", "encoder.onnx"
IMAGES = "trained_images.npy"
PRECISIONS = ("fp32", "fp16", "int8")
"""Of the numbers in the ONNX file."""
ALIGNMENTS = (None, "five-point", "dlib")
_KEYS = {
    "architecture": dict,
    "preparation": dict,
    "alignment": (str, type(None)),
    "thresholds": list,
    "search_thresholds": list,
    "probability": (dict, type(None)),
    "measured_on": str,
    "history": list,
    "length": (dict, type(None)),
    "probe": list,  # the reference embedding; the word is of the format, and stays
    "quality": (float, type(None)),  # of the reference image
    "onnx": (dict, type(None)),
}
_LATER: dict[str, Any] = {
    "search_thresholds": [],
    "probability": None,
    "history": [],
    "length": None,
    "quality": None,  # none is estimated; written only where one is, so that others are as before
    "onnx": None,  # its numbers are fp32, and it embeds as the weights do
}
"""What model folders written before these keys existed mean by their absence."""


def read_description(folder: Path) -> dict[str, Any]:
    """Return envelope and payload of an encoder, every field checked; no weight file is opened."""
    about = {**_LATER, **read_envelope(folder, KIND)}
    try:
        _check(about)
    except ArcwiseError as problem:
        raise BundleError(f"{folder / DESCRIPTION}: {problem}") from None
    return about


def fingerprint(about: Mapping[str, Any]) -> str:
    """Return the hex sha256 of everything that decides what an embedding is."""
    essence = {key: about[key] for key in ("kind", "preparation", "alignment")}
    architecture = about["architecture"]  # where its weights once came from decides nothing
    essence["architecture"] = {key: architecture[key] for key in architecture if key != "weights"}
    essence["weights"] = about["files"][WEIGHTS]
    return digest_of(essence)


def _check(about: Any) -> None:
    """Raise an ArcwiseError unless every field of the payload is what it should be."""
    check_types(about, _KEYS)
    _check_architecture(about["architecture"], about["preparation"])
    if about["alignment"] not in ALIGNMENTS:
        raise BundleError(f"alignment is {about['alignment']!r}, expected one of {ALIGNMENTS}")
    if about["alignment"] is not None and len(set(about["architecture"]["size"])) > 1:
        raise BundleError("alignment makes square crops, the encoder takes others")
    _check_calibration(about)
    if about["length"] is not None:
        LengthReading.from_dict(about["length"])
    _check_reference(about["probe"], about["architecture"]["dim"])
    if about["quality"] is not None and not 0 <= about["quality"] < np.inf:
        raise BundleError(f"quality is {about['quality']!r}, expected 0 or more")
    _check_onnx(about["onnx"], about)
    check_files(about, WEIGHTS, (ONNX, IMAGES))
    check_fingerprint(about, fingerprint(about), "weights, architecture and preparation")


CALIBRATION = ("thresholds", "search_thresholds", "probability", "measured_on")
"""What a calibration is; an older one stays in the history with the same keys."""


def _check_calibration(about: Any) -> None:
    for number, one in enumerate((about, *about["history"])):
        if number:
            same_keys("a calibration in the history", one, CALIBRATION)
        for values in one["thresholds"]:
            Threshold.from_dict(values)
        for values in one["search_thresholds"]:
            SearchThreshold.from_dict(values)
        if one["probability"] is not None:
            ScoreMap.from_dict(one["probability"])


def _check_architecture(architecture: Any, preparation: Any) -> None:
    if isinstance(architecture, dict):
        architecture = {"arguments": {}, "weights": ""} | architecture
    same_keys("architecture", architecture, ("name", "dim", "size", "arguments", "weights"))
    prepared = Preparation.from_dict(preparation)
    name, dim, size = architecture["name"], architecture["dim"], architecture["size"]
    numbers = [dim, *size] if isinstance(size, list) else []
    whole = all(type(number) is int and number >= 1 for number in numbers)
    if not isinstance(name, str) or len(numbers) != 3 or not whole:
        raise BundleError(
            f"architecture is {architecture}, expected a name, dim >= 1 and size [height, width]"
        )
    for key, kind in (("arguments", dict), ("weights", str)):
        if not isinstance(architecture[key], kind):
            raise BundleError(f"architecture.{key} is {architecture[key]!r:.80}, of the wrong type")
    if [prepared.height, prepared.width] != size:
        raise BundleError(
            f"images are prepared to {prepared.height} x {prepared.width} but the encoder takes "
            f"{size[0]} x {size[1]}: give both the same size"
        )


def _check_onnx(onnx: Any, about: Any) -> None:
    """Raise unless this describes an ONNX file of smaller numbers than the weights'."""
    if onnx is None:
        return
    same_keys("onnx", onnx, ("precision", "probe"))
    if onnx["precision"] not in PRECISIONS[1:]:
        raise BundleError(f"onnx.precision is {onnx['precision']!r}, expected {PRECISIONS[1:]}")
    if ONNX not in about["files"]:
        raise BundleError(f"onnx describes {ONNX}, which is not among the files: export again")
    if not isinstance(onnx["probe"], list):
        raise BundleError(f"onnx.probe is {onnx['probe']!r:.80}, of the wrong type")
    _check_reference(onnx["probe"], about["architecture"]["dim"])


def _check_reference(embedding: list[Any], dim: int) -> None:
    if len(embedding) != dim or not all(type(value) is float for value in embedding):
        raise BundleError(
            f"the reference embedding (probe) has {len(embedding)} values, expected {dim} numbers"
        )
    length = float(np.linalg.norm(embedding))
    if not abs(length - 1) <= 1e-3:  # so that NaN is refused too
        raise BundleError(f"the reference embedding (probe) has length {length:.4f}, expected 1")
