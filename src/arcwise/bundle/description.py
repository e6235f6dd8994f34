"""`model.json`: what may be in it, read strictly and written whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.errors import ArcwiseError, BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.images.preparation import Preparation

FORMAT = 1
DESCRIPTION, WEIGHTS, ONNX = "model.json", "encoder.safetensors", "encoder.onnx"
IMAGES = "trained_images.npy"
USES = ("train", "choose", "calibrate")
PRECISIONS = ("fp32", "fp16", "int8")
"""Of the numbers in the ONNX file."""
ALIGNMENTS = (None, "five-point", "dlib")
_KEYS = {
    "format": int,
    "kind": str,
    "architecture": dict,
    "preparation": dict,
    "alignment": (str, type(None)),
    "thresholds": list,
    "search_thresholds": list,
    "probability": (dict, type(None)),
    "measured_on": str,
    "history": list,
    "digests": dict,
    "training": dict,
    "licence": str,
    "probe": list,  # the reference embedding; the word is of the format, and stays
    "quality": (float, type(None)),  # of the reference image
    "onnx": (dict, type(None)),
    "files": dict,
    "fingerprint": str,
}
_LATER: dict[str, Any] = {
    "search_thresholds": [],
    "probability": None,
    "history": [],
    "quality": None,  # none is estimated; written only where one is, so that others are as before
    "onnx": None,  # its numbers are fp32, and it embeds as the weights do
}
"""What model folders written before these keys existed mean by their absence."""


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of `model.json`, every field checked; the weight files are not opened."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BundleError(_what_is_there_instead(folder))
    try:
        about = json.loads(path.read_bytes(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise BundleError(f"{path} is not valid JSON ({problem}): copy the model again") from None
    if isinstance(about, dict):
        about = {**_LATER, **about}
    try:
        _check(about)
    except ArcwiseError as problem:
        raise BundleError(f"{path}: {problem}") from None
    return about


def as_json(about: Mapping[str, Any]) -> bytes:
    """Return the content of `model.json` as it is written.

    Raises:
        BundleError: it holds something that JSON cannot.
    """
    try:
        text = json.dumps(about, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as problem:
        raise BundleError(f"the description is no JSON: {problem}") from None
    return f"{text}\n".encode()


def fingerprint(about: Mapping[str, Any]) -> str:
    """Return the hex sha256 of everything that decides what an embedding is."""
    essence = {key: about[key] for key in ("kind", "preparation", "alignment")}
    architecture = about["architecture"]  # where its weights once came from decides nothing
    essence["architecture"] = {key: architecture[key] for key in architecture if key != "weights"}
    essence["weights"] = about["files"][WEIGHTS]
    try:
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()
    except TypeError as problem:
        raise BundleError(f"the architecture is no JSON: {problem}") from None


def _check(about: Any) -> None:
    """Raise an ArcwiseError unless every field of a description is what it should be."""
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        got = about.get("format") if isinstance(about, dict) else type(about).__name__
        raise BundleError(
            f"format is {got!r}, this Arcwise reads {FORMAT}: use the Arcwise that wrote it, or "
            "train and save again"
        )
    _same_keys("the description", about, _KEYS)
    for key, kind in _KEYS.items():
        if not isinstance(about[key], kind) or isinstance(about[key], bool):
            raise BundleError(f"{key} is {about[key]!r:.80}, of the wrong type")
    if about["kind"] != "encoder":
        raise BundleError(f"kind is {about['kind']!r}, expected 'encoder': it embeds no images")
    _check_architecture(about["architecture"], about["preparation"])
    if about["alignment"] not in ALIGNMENTS:
        raise BundleError(f"alignment is {about['alignment']!r}, expected one of {ALIGNMENTS}")
    if about["alignment"] is not None and len(set(about["architecture"]["size"])) > 1:
        raise BundleError("alignment makes square crops, the encoder takes others")
    _check_calibration(about)
    _same_keys("digests", about["digests"], USES)
    for use, digests in about["digests"].items():
        if not isinstance(digests, list) or not all(_is_hex(digest, 16) for digest in digests):
            raise BundleError(f"digests.{use} is no list of identity digests (16 hex digits each)")
    _check_reference(about["probe"], about["architecture"]["dim"])
    if about["quality"] is not None and not 0 <= about["quality"] < np.inf:
        raise BundleError(f"quality is {about['quality']!r}, expected 0 or more")
    _check_onnx(about["onnx"], about)
    files = about["files"]
    if WEIGHTS not in files or not files.keys() <= {WEIGHTS, ONNX, IMAGES}:
        raise BundleError(
            f"files are {sorted(files)}, expected {WEIGHTS} and perhaps {ONNX} and {IMAGES}"
        )
    if not all(_is_hex(digest, 64) for digest in files.values()):
        raise BundleError("files holds something that is no sha256")
    if about["fingerprint"] != fingerprint(about):
        raise BundleError(
            "the fingerprint does not fit the weights, architecture and preparation: one of them "
            "was edited. Take the original, or save the model again"
        )


CALIBRATION = ("thresholds", "search_thresholds", "probability", "measured_on")
"""What a calibration is; an older one stays in the history with the same keys."""


def _check_calibration(about: Any) -> None:
    for number, one in enumerate((about, *about["history"])):
        if number:
            _same_keys("a calibration in the history", one, CALIBRATION)
        for values in one["thresholds"]:
            Threshold.from_dict(values)
        for values in one["search_thresholds"]:
            SearchThreshold.from_dict(values)
        if one["probability"] is not None:
            ScoreMap.from_dict(one["probability"])


def _check_architecture(architecture: Any, preparation: Any) -> None:
    if isinstance(architecture, dict):
        architecture = {"arguments": {}, "weights": ""} | architecture
    _same_keys("architecture", architecture, ("name", "dim", "size", "arguments", "weights"))
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
    _same_keys("onnx", onnx, ("precision", "probe"))
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


def _same_keys(what: str, values: Any, expected: Iterable[str]) -> None:
    expected = set(expected)
    if not isinstance(values, dict) or values.keys() != expected:
        got = set(values) if isinstance(values, dict) else set()
        raise BundleError(
            f"{what} has unknown keys {sorted(got - expected)} and lacks {sorted(expected - got)}:"
            " it was edited by hand or written by another version of Arcwise"
        )


def _is_hex(value: Any, digits: int) -> bool:
    return isinstance(value, str) and len(value) == digits and set(value) <= set("0123456789abcdef")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; refuse a key that comes twice, whose second value would win unseen."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key comes twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _what_is_there_instead(folder: Path) -> str:
    if folder.is_file():
        return f"{folder} is a file, expected a model folder with {DESCRIPTION} in it"
    if folder.is_dir():
        inside = folder / "model"
        if (inside / DESCRIPTION).is_file():
            return f"{folder} is no model folder, but {inside} is: name that one"
        return f"{folder} has no {DESCRIPTION}: it is no model folder, or was not written whole"
    left = sorted(folder.parent.glob(f".{folder.name}.*.old")) if folder.parent.is_dir() else []
    if left:
        return f"{folder} was being replaced when that stopped: rename {left[-1]} back to it"
    return f"there is no model folder {folder}: check the path"
