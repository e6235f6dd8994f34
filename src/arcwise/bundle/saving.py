"""An encoder's model folder; thresholds and ONNX added to one later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from arcwise.bundle.description import (
    CALIBRATION,
    IMAGES,
    KIND,
    ONNX,
    WEIGHTS,
    fingerprint,
    read_description,
)
from arcwise.bundle.envelope import DESCRIPTION, as_json
from arcwise.bundle.length_reading import LengthReading
from arcwise.bundle.model_folder import Bundle, read_bundle
from arcwise.bundle.writing import write_model
from arcwise.errors import BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.files import atomic_write, locked, sha256, sync, translate_errors
from arcwise.images.preparation import Preparation

_PATIENCE = 30.0  # seconds to wait for another process that adds something


def write_bundle(
    folder: str | Path,
    state: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    preparation: Preparation,
    *,
    reference_embedding: Sequence[float] | np.ndarray,
    reference_quality: float | None = None,
    alignment: str | None = None,
    thresholds: Iterable[Threshold] = (),
    measured_on: str = "",
    digests: Mapping[str, Iterable[str]] | None = None,
    training: Mapping[str, Any] | None = None,
    licence: str = "",
    trained_images: ArrayLike | None = None,
) -> Bundle:
    """Write a model folder and return it; it replaces an older one.

    Args:
        folder: where to; a folder that exists and holds no model is not touched.
        state: weights by state-dict key, as `encoders.weights.to_numpy` gives them.
        architecture: `encoders.architecture(encoder)`.
        preparation: the one the encoder was trained with.
        reference_embedding: (D,) embedding of `reference_image()`; `runtime.reference_embedding`
            computes it.
        reference_quality: quality of the same image, for an encoder that estimates one.
        alignment: None, "five-point" or "dlib".
        thresholds: of `evaluation.calibrate`.
        measured_on: the data they were measured on.
        digests: identity digests by use ("train", "choose", "calibrate").
        training: a JSON object that summarises the training.
        licence: under which the weights may be used.
        trained_images: `data.digests.content_digest` of each image trained on, if known.

    Raises:
        BundleError: a weight is not finite, a field is not what it should be, or `folder` holds
            something else.
    """
    payload: dict[str, Any] = {
        "architecture": {**architecture, "size": list(architecture.get("size", ()))},
        "preparation": preparation.as_dict(),
        "alignment": alignment,
        "thresholds": [threshold.as_dict() for threshold in thresholds],
        "search_thresholds": [],
        "probability": None,
        "measured_on": measured_on,
        "history": [],
        "probe": [float(value) for value in reference_embedding],
        "onnx": None,
    }
    if reference_quality is not None:
        payload["quality"] = float(reference_quality)
    arrays = {}
    if trained_images is not None:
        arrays[IMAGES] = np.unique(np.asarray(trained_images, np.int64))
    bundle = write_model(
        Path(folder),
        KIND,
        state,
        payload,
        weights=WEIGHTS,
        fingerprint=fingerprint,
        read=read_bundle,
        digests=digests,
        training=training,
        licence=licence,
        arrays=arrays,
    )
    return replace(bundle, path=Path(folder))


def add_thresholds(
    folder: str | Path,
    thresholds: Iterable[Threshold],
    *,
    search_thresholds: Iterable[SearchThreshold] = (),
    probability: ScoreMap | None = None,
    measured_on: str,
    digests: Iterable[str],
) -> Bundle:
    """Put a calibration in the place of a model's own, and return the model.

    The fingerprint stays. The model's own goes into the history, unless it was measured on the same
    identities.

    Args:
        folder: the model folder.
        thresholds: of `evaluation.calibrate`.
        search_thresholds: of `evaluation.calibrate_search`.
        probability: of `evaluation.calibrate_probability`.
        measured_on: the data they were measured on, in words.
        digests: digests of the identities they were measured on.
    """
    folder, digests = Path(folder), sorted(digests)
    with _changing(folder) as about:
        if about["digests"]["calibrate"] != digests and (
            about["thresholds"] or about["search_thresholds"]
        ):
            about["history"].append({key: about[key] for key in CALIBRATION})
        about["thresholds"] = [threshold.as_dict() for threshold in thresholds]
        about["search_thresholds"] = [threshold.as_dict() for threshold in search_thresholds]
        about["probability"] = probability and probability.as_dict()
        about["measured_on"] = measured_on
        about["digests"]["calibrate"] = digests
        _replace_description(folder, about)
    return read_bundle(folder)


def add_length(folder: str | Path, length: LengthReading) -> Bundle:
    """Put what the lengths of a model's embeddings say into its folder, and return the model.

    The fingerprint stays: embeddings are compared by their directions.
    """
    folder = Path(folder)
    with _changing(folder) as about:
        _replace_description(folder, {**about, "length": length.as_dict()})
    return read_bundle(folder)


def add_onnx(
    folder: str | Path,
    file: Path,
    *,
    precision: str = "fp32",
    reference_embedding: Sequence[float] | np.ndarray | None = None,
) -> Bundle:
    """Move `file` into a model folder as its `encoder.onnx`, and return the model.

    The fingerprint stays: the caller vouches that its embeddings may be compared with those of the
    weights. An older file is struck from `model.json` before it is replaced, so that the folder
    can be read whenever this stops.

    Args:
        folder: the model folder.
        file: the network.
        precision: of its numbers.
        reference_embedding: (D,) what it gives for `reference_image()`, for the self-check on
            loading; where the precision is not "fp32".
    """
    folder = Path(folder)
    smaller = None
    if precision != "fp32":
        assert reference_embedding is not None
        smaller = {"precision": precision, "probe": [float(one) for one in reference_embedding]}
    with _changing(folder) as about:
        digest = sha256(file)
        if about["files"].pop(ONNX, None) is not None:
            _replace_description(folder, {**about, "onnx": None})
        sync(file)
        os.replace(file, folder / ONNX)
        about["files"][ONNX], about["onnx"] = digest, smaller
        _replace_description(folder, about)
    return read_bundle(folder)


@contextmanager
def _changing(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of `model.json` while no other process changes it."""
    read_description(folder)  # what is no model folder is not locked
    with (
        translate_errors(folder, error=BundleError),
        locked(folder, "adding to the model", patience=_PATIENCE),
    ):
        yield read_description(folder)


def _replace_description(folder: Path, about: Mapping[str, Any]) -> None:
    with atomic_write(folder / DESCRIPTION, error=BundleError) as file:
        file.write_bytes(as_json(about))
