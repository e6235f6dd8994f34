"""Whether a smaller network may take the place of the model's: measured on labelled images.

The smaller network is to answer with the thresholds that the model has, and with the embeddings
that are enrolled. So both are measured at these thresholds: the smaller network alone, and images
embedded by it against images embedded by the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.evaluation.intervals import FEW, Rate, percentile_interval, redrawn_means
from arcwise.evaluation.thresholds import resolved
from arcwise.images.decode import decode
from arcwise.runtime import Model
from arcwise.runtime.engines import Floats, OnnxEngine
from arcwise.verbs.unseen_identities import unseen_rows

_CALIBRATION_SHARE = 5  # one identity in so many sets the ranges, the others decide
_CALIBRATION_IMAGES = 256
_DECISION_IMAGES = 2000  # the matrix of their similarities is held
_BATCH = 16


@dataclass(frozen=True)
class ThresholdCheck:
    """The rates at one of the model's thresholds, before and after.

    Attributes:
        far: the false-accept rate that the threshold is for.
        threshold: the similarity.
        tar: true-accept rate of the model.
        far_measured: false-accept rate of the model, on the same images.
        smaller_tar: true-accept rate of the smaller network alone.
        smaller_far: its false-accept rate.
        mixed_tar: true-accept rate of its embeddings against the model's.
        mixed_far: their false-accept rate.
        lost: true-accept rate that is lost, alone or mixed, whichever is more; with the interval
            of the difference.
    """

    far: float
    threshold: float
    tar: Rate
    far_measured: Rate
    smaller_tar: float
    smaller_far: float
    mixed_tar: float
    mixed_far: float
    lost: Rate

    @property
    def problems(self) -> tuple[str, ...]:
        """By how much each rate misses the model's interval; empty where none does."""
        misses = []
        for how, tar, far in (
            ("alone", self.smaller_tar, self.smaller_far),
            ("against embeddings of the model", self.mixed_tar, self.mixed_far),
        ):
            if tar < self.tar.low:
                misses.append(
                    f"{how} it accepts {tar:.2%} of mated pairs, {self.tar.low - tar:.2%} less "
                    f"than the interval of the model's {_percent(self.tar)}"
                )
            if far > self.far_measured.high:
                misses.append(
                    f"{how} it accepts {far:.4%} of impostor pairs, "
                    f"{far - self.far_measured.high:.4%} more than the interval of the model's "
                    f"{_percent(self.far_measured, 4)}"
                )
        return tuple(misses)

    def __str__(self) -> str:
        allowed = self.tar - self.tar.low
        return (
            f"at the threshold for FAR {self.far:g} (similarity >= {self.threshold:.4f})\n"
            f"    mated pairs accepted     {_percent(self.tar)}, smaller {self.smaller_tar:.2%}, "
            f"mixed {self.mixed_tar:.2%}\n"
            f"    impostor pairs accepted  {_percent(self.far_measured, 4)}, smaller "
            f"{self.smaller_far:.4%}, mixed {self.mixed_far:.4%}\n"
            f"    mated pairs lost         {_percent(self.lost)}, allowed {allowed:.2%}"
        )


@dataclass(frozen=True)
class LabelledImages:
    """Images of identities that the model was not trained on.

    Attributes:
        name: of the data set.
        calibration: those that set the ranges of an int8 network.
        decision: those of other identities, that decide.
        thresholds: the model's that they resolve.
        notes: what the user has to know about the identities.
    """

    name: str
    calibration: Manifest
    decision: Manifest
    thresholds: tuple[Threshold, ...]
    notes: tuple[str, ...]


def labelled_images(model: Model, manifest: Manifest, other_identities: bool) -> LabelledImages:
    """Return the images to quantise with, and the images that decide.

    Identities that chose the checkpoint or set the thresholds take part: they favour the model,
    not the smaller network.

    Args:
        model: with thresholds.
        manifest: labelled images.
        other_identities: whether identities are others than in training, though they may be
            called alike.

    Raises:
        ArcwiseError: the model has no thresholds, the data no images or no identities, or too few
            of them to decide.
    """
    if not any(one.resolved for one in model.thresholds):
        raise ArcwiseError(
            f"{model.path} has no thresholds, at which a smaller network is judged: run `arcwise "
            f"calibrate {model.path} DATA` first"
        )
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a network is made smaller on images")
    if "identity" not in manifest.table.column_names:
        raise ArcwiseError(
            f"{manifest.name}: has no identities; expected labelled images, which decide whether "
            "the smaller network is as good"
        )
    unseen = unseen_rows(manifest, [model], (), other_identities=other_identities)
    labels = unseen.manifest.labels
    order = np.random.default_rng(0).permutation(len(unseen.manifest.classes))
    calibrating = max(1, len(order) // _CALIBRATION_SHARE)
    if len(order) - calibrating < FEW:
        raise ArcwiseError(
            f"{manifest.name}: {len(order)} identities that the model was not trained on"
            f"{unseen.without} are too few; expected {FEW} that decide, besides one in "
            f"{_CALIBRATION_SHARE} that sets the ranges: bring {FEW * 5 // 4} or more"
        )
    calibration = unseen.manifest.select(_rows_of(labels, order[:calibrating], _CALIBRATION_IMAGES))
    decision = unseen.manifest.select(_rows_of(labels, order[calibrating:], _DECISION_IMAGES))
    sizes = np.bincount(decision.labels)
    impostors = (len(decision) ** 2 - int((sizes**2).sum())) // 2
    thresholds = tuple(
        one for one in model.thresholds if one.resolved and resolved(one.far, impostors)
    )
    if not thresholds or sizes.max() < 2:
        raise ArcwiseError(
            f"{manifest.name}: {len(decision)} images of {len(sizes)} identities resolve none of "
            f"the rates that {model.path} has thresholds for{unseen.without}; bring more"
        )
    return LabelledImages(manifest.name, calibration, decision, thresholds, unseen.notes)


def calibration_batches(model: Model, images: Manifest) -> list[Floats]:
    """Return (N, 3, H, W) prepared images, some at a time; an unreadable one raises."""
    landmarks = images.column("landmarks") or [None] * len(images)
    pixels = [
        model.prepare(decode(images.read(row), images.images[row]), landmarks[row])
        for row in range(len(images))
    ]
    return [
        model.preparation.tensor(np.stack(pixels[start : start + _BATCH]))
        for start in range(0, len(pixels), _BATCH)
    ]


def embeddings_of(model: Model, networks: Sequence[Path], images: Manifest) -> list[Floats]:
    """Return (N, D) unit-length embeddings by each ONNX file; an unreadable image raises."""
    vectors = []
    for network in networks:
        engine = OnnxEngine(network, (model.preparation.height, model.preparation.width))
        embedded = runtime.embed_manifest(replace(model, engine=engine), images)
        if embedded.failures:
            raise embedded.failures[0]
        vectors.append(embedded.vectors)
    return vectors


def check_thresholds(
    before: Floats, after: Floats, labels: np.ndarray, thresholds: Sequence[Threshold]
) -> tuple[ThresholdCheck, ...]:
    """Return the rates of the same images before and after, at each threshold.

    Intervals draw identities. An image is not compared with itself, nor with its other embedding.

    Args:
        before: (N, D) unit-length embeddings by the model.
        after: (N, D) of the same images by the smaller network.
        labels: (N,) int64 identities.
        thresholds: the model's.
    """
    impostor = labels[:, None] != labels
    mated = ~impostor & ~np.eye(len(labels), dtype=bool)
    owner = labels[np.nonzero(mated)[0]]
    pairs = [
        (similarity[mated], similarity[impostor])
        for similarity in (before @ before.T, after @ after.T, before @ after.T)
    ]
    model = evaluation.verification_from_embeddings(before, labels)
    checks = []
    for one in thresholds:
        hits = [mates >= one.threshold for mates, _ in pairs]
        tars = [float(np.mean(hit)) for hit in hits]
        fars = [float(np.mean(others >= one.threshold)) for _, others in pairs]
        worst = 1 if tars[1] <= tars[2] else 2
        difference = hits[0].astype(float) - hits[worst]
        low, high = percentile_interval(redrawn_means(difference, owner))
        lost = float(np.mean(difference))
        checks.append(
            ThresholdCheck(
                far=one.far,
                threshold=one.threshold,
                tar=model.tar_with(one.threshold),
                far_measured=model.far_with(one.threshold),
                smaller_tar=tars[1],
                smaller_far=fars[1],
                mixed_tar=tars[2],
                mixed_far=fars[2],
                lost=Rate(lost, min(low, lost), max(high, lost)),
            )
        )
    return tuple(checks)


def _rows_of(labels: np.ndarray, identities: np.ndarray, most: int) -> list[int]:
    """Return at most `most` rows of (N,) labels: ten of each identity, more where these are few."""
    of_each = max(10, most // len(identities))
    rows: list[int] = []
    for identity in identities:
        rows += np.flatnonzero(labels == identity)[:of_each].tolist()
    return rows[:most]


def _percent(rate: Rate, digits: int = 2) -> str:
    return f"{float(rate):.{digits}%} [{rate.low:.{digits}%}, {rate.high:.{digits}%}]"
