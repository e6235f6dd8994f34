"""Identities held out of training, for validation and for calibration."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

_SALT = "arcwise:"
_LEAST, LEAST_PAIRED = 6, 4  # two to train on, two in each half


class Split(NamedTuple):
    """Three manifests without a common identity."""

    train: Manifest
    validation: Manifest
    calibration: Manifest


def hold_out(manifest: Manifest, fraction: float, seed: int) -> Split:
    """Split a manifest by identity: training, validation and calibration.

    round(fraction x C) of the C identities are held out: one half for validation, to choose a
    checkpoint; the other for calibration of its thresholds. Identities with one image and those
    with more are drawn separately, in proportion. Only the latter have mated pairs, and each half
    gets two of them at least. The draw depends on a seeded hash of the name alone, so a data set
    that grows keeps nearly all of its split.

    Args:
        manifest: at least 6 identities, 4 of them with two images or more.
        fraction: of the identities to hold out, above 0 and below 1.
        seed: another seed, another draw.

    Raises:
        ArcwiseError: the fraction is out of range, or there are too few identities.
    """
    if not 0.0 < fraction < 1.0:
        raise ArcwiseError(f"held-out fraction is {fraction}; expected above 0 and below 1")
    counts = Counter(manifest.identities)
    several = [identity for identity, count in counts.items() if count >= 2]
    single = [identity for identity, count in counts.items() if count == 1]
    if len(counts) < _LEAST or len(several) < LEAST_PAIRED:
        raise ArcwiseError(
            f"{manifest.name}: {len(counts)} identities, {len(several)} of them with 2 images or "
            f"more; holding some out needs {_LEAST}, {LEAST_PAIRED} of them with 2 images; bring "
            "more, or evaluate on a data set of other identities"
        )
    held = min(max(round(fraction * len(counts)), LEAST_PAIRED), len(counts) - 2)
    held_several = round(held * len(several) / len(counts))
    held_several = min(max(held_several, LEAST_PAIRED, held - len(single)), len(several), held)
    validation, calibration = _halves(several, held_several, seed)
    further = _halves(single, held - held_several, seed)
    calibration |= further[0]  # the larger part of an odd number, to the half that had the smaller
    validation |= further[1]
    return Split(
        train=_of(manifest, counts.keys() - validation - calibration),
        validation=_of(manifest, validation),
        calibration=_of(manifest, calibration),
    )


def _halves(identities: list[str], count: int, seed: int) -> tuple[set[str], set[str]]:
    """Return `count` identities in two halves, drawn by hash: a new identity moves one or two."""
    drawn = sorted(identities, key=lambda identity: _place(identity, f"{seed}:draw"))[:count]
    drawn.sort(key=lambda identity: _place(identity, f"{seed}:half"))
    middle = (count + 1) // 2
    return set(drawn[:middle]), set(drawn[middle:])


def _place(identity: str, draw: str) -> bytes:
    return hashlib.sha256(f"{_SALT}{draw}:{identity}".encode("utf-8", "surrogatepass")).digest()


def _of(manifest: Manifest, identities: Collection[str]) -> Manifest:
    rows = [row for row, one in enumerate(manifest.identities) if one in identities]
    return manifest.select(np.array(rows, np.int64))
