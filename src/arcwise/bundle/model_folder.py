"""An encoder's model folder, read: every field and every digest checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.bundle.description import IMAGES, ONNX, WEIGHTS, read_description
from arcwise.bundle.length_reading import LengthReading
from arcwise.bundle.weight_files import read_state, verify_files
from arcwise.errors import BundleError
from arcwise.evaluation import ScoreMap, SearchThreshold, Threshold
from arcwise.files import translate_errors
from arcwise.images.preparation import Preparation


@dataclass(frozen=True)
class Bundle:
    """A model folder, read and verified.

    Attributes:
        path: the folder.
        architecture: `{"name", "dim", "size": [H, W]}`, what `encoders.create` needs.
        preparation: how an image becomes the encoder's input.
        reference_embedding: (D,) unit-length embedding of `reference_image()`, for the self-check
            on loading.
        fingerprint: sha256 of weights, architecture and preparation. Thresholds, the training
            summary and the ONNX file are not in it: adding them keeps enrolled vectors valid.
        files: sha256 of each weight file, by name.
        precision: of the ONNX file: "fp32", or "fp16" or "int8" where its numbers are smaller than
            those of the weights.
        onnx_reference: (D,) what the ONNX file gives for `reference_image()` where its precision
            is not "fp32"; else None, as it is then `reference_embedding`.
        reference_quality: quality of `reference_image()`; None where the encoder estimates none.
        alignment: None, "five-point" or "dlib": where landmarks are known, the face is turned onto
            that template of `images.landmarks` before the preparation. Else it is taken as turned.
        thresholds: similarities for stated false-accept rates, with their intervals.
        search_thresholds: similarities for stated rates of unknown images answered, in galleries
            of a stated size.
        probability: what a similarity says as a probability; None where it was not measured.
        measured_on: the data all three were measured on.
        history: the calibrations that these took the place of, the oldest first, with the keys of
            `description.CALIBRATION`.
        length: what the length of an embedding says; None where it was not trained to say anything.
        digests: digests of the identities used to train, choose and calibrate, by use.
        training: a summary of the training; any JSON object.
        licence: under which the weights may be used.
        kind: "encoder".
    """

    path: Path
    architecture: Mapping[str, Any]
    preparation: Preparation
    reference_embedding: tuple[float, ...]
    fingerprint: str
    files: Mapping[str, str]
    precision: str = "fp32"
    onnx_reference: tuple[float, ...] | None = None
    reference_quality: float | None = None
    alignment: str | None = None
    thresholds: tuple[Threshold, ...] = ()
    search_thresholds: tuple[SearchThreshold, ...] = ()
    probability: ScoreMap | None = None
    measured_on: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    length: LengthReading | None = None
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
        """The ONNX file, if the folder has one."""
        return self.path / ONNX if ONNX in self.files else None

    def trained_images(self) -> NDArray[np.int64] | None:
        """Return the (M,) sorted `content_digest`s of the images trained on; None if not known."""
        if IMAGES not in self.files:
            return None
        try:
            digests = np.load(self.path / IMAGES, allow_pickle=False)
        except (OSError, ValueError, EOFError) as problem:
            raise BundleError(
                f"{self.path / IMAGES} cannot be read ({problem}): copy the model folder again"
            ) from None
        if digests.dtype != np.int64 or digests.ndim != 1:
            raise BundleError(
                f"{self.path / IMAGES} holds {digests.dtype} of shape {digests.shape}, expected "
                "one row of int64: copy the model folder again"
            )
        return digests

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights by state-dict key."""
        return read_state(self.path / WEIGHTS)


def read_bundle(folder: str | Path) -> Bundle:
    """Return the bundle in a folder, every field and digest checked.

    Raises:
        BundleError: there is none, it is damaged, or it was written by another version.
    """
    folder = Path(folder)
    with translate_errors(folder, action="read", error=BundleError):
        about = read_description(folder)
        verify_files(folder, about["files"], {ONNX: ", or export again"})
    onnx = about["onnx"]
    return Bundle(
        path=folder,
        architecture=about["architecture"],
        preparation=Preparation.from_dict(about["preparation"]),
        reference_embedding=tuple(about["probe"]),
        fingerprint=about["fingerprint"],
        files=about["files"],
        precision="fp32" if onnx is None else onnx["precision"],
        onnx_reference=None if onnx is None else tuple(onnx["probe"]),
        reference_quality=about["quality"],
        alignment=about["alignment"],
        thresholds=tuple(Threshold.from_dict(values) for values in about["thresholds"]),
        search_thresholds=tuple(map(SearchThreshold.from_dict, about["search_thresholds"])),
        probability=about["probability"] and ScoreMap.from_dict(about["probability"]),
        measured_on=about["measured_on"],
        history=tuple(about["history"]),
        length=about["length"] and LengthReading.from_dict(about["length"]),
        digests={use: tuple(digests) for use, digests in about["digests"].items()},
        training=about["training"],
        licence=about["licence"],
        kind=about["kind"],
    )


def reference_image() -> NDArray[np.uint8]:
    """Return the (97, 131, 3) uint8 RGB image that every model is checked with on loading.

    Integer arithmetic makes it the same everywhere. It has colours, edges, fine and coarse
    structure, no symmetry, and odd sides: a wrong channel order, resize policy, normalisation or
    mirror changes its embedding.
    """
    y, x = np.mgrid[0:97, 0:131]
    red = (x * 255) // 130
    green = (y * y * 255) // (96 * 96)
    blue = ((x * 3 + y * 5) % 64) * 4
    image = np.stack([red, green, blue], axis=-1)
    disc = (x - 88) ** 2 + (y - 34) ** 2 < 24**2
    image[disc] = (230, 40, 60)
    image[(x - 30) * 2 + (y - 60) * 3 > 150] //= 2
    board = (x < 48) & (y > 52) & ((x // 8 + y // 8) % 2 == 0)
    image[board] = (20, 200, 240)
    return image.astype(np.uint8)
