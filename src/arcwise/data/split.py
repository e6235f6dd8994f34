"""Identities held out to choose and to calibrate on: never a picture of them in training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.identity import identity_key, older_forms

_SALT = "arcwise:"
_LEAST, _LEAST_PAIRED = 6, 4  # two to train on, two in each half


class Split(NamedTuple):
    """Three manifests without a common identity."""

    train: Manifest
    choose: Manifest
    calibrate: Manifest


def identity_digest(identity: str) -> str:
    """16 hexadecimal characters that stand for an identity in a model folder.

    They are the same for all its written forms. Enough to find out whether an identity was
    trained on; the name is not written down. (It can be found by trying names: a digest is not
    anonymity.)
    """
    return text_digest(identity_key(identity))


def known_digests(identity: str) -> set[str]:
    """Every digest that may stand for an identity in a model folder.

    Besides `identity_digest`, those of folders written when names were taken as they were.
    """
    return {text_digest(form) for form in older_forms(identity)}


def text_digest(text: str) -> str:
    """16 hexadecimal characters that stand for exactly this text."""
    return hashlib.sha256((_SALT + text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def hold_out(manifest: Manifest, fraction: float, seed: int) -> Split:
    """The manifest cut into training, choosing and calibrating, by identity.

    round(fraction x C) of the C identities are held out, one half to choose a model, the other to
    calibrate its thresholds. Those with one image and those with more are drawn apart, in
    proportion: only the latter have genuine pairs, and each half gets two of them at the least.
    Who is drawn depends on a seeded hash of the name alone, so a data set that grows keeps nearly
    all of its split.

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
    if len(counts) < _LEAST or len(several) < _LEAST_PAIRED:
        raise ArcwiseError(
            f"{manifest.name}: {len(counts)} identities, {len(several)} of them with 2 images or "
            f"more; holding some out needs {_LEAST}, {_LEAST_PAIRED} of them with 2 images; bring "
            "more, or evaluate on a data set of other identities"
        )
    held = min(max(round(fraction * len(counts)), _LEAST_PAIRED), len(counts) - 2)
    held_several = round(held * len(several) / len(counts))
    held_several = min(max(held_several, _LEAST_PAIRED, held - len(single)), len(several), held)
    choose, calibrate = _halves(several, held_several, seed)
    further = _halves(single, held - held_several, seed)
    calibrate |= further[0]  # the larger part of an odd number, to the half that had the smaller
    choose |= further[1]
    return Split(
        train=_of(manifest, counts.keys() - choose - calibrate),
        choose=_of(manifest, choose),
        calibrate=_of(manifest, calibrate),
    )


def _halves(identities: list[str], count: int, seed: int) -> tuple[set[str], set[str]]:
    """`count` identities in two halves; both draws by hash, so a newcomer moves one or two."""
    drawn = sorted(identities, key=lambda identity: _place(identity, f"{seed}:draw"))[:count]
    drawn.sort(key=lambda identity: _place(identity, f"{seed}:half"))
    middle = (count + 1) // 2
    return set(drawn[:middle]), set(drawn[middle:])


def _place(identity: str, draw: str) -> bytes:
    return hashlib.sha256(f"{_SALT}{draw}:{identity}".encode("utf-8", "surrogatepass")).digest()


def _of(manifest: Manifest, identities: Collection[str]) -> Manifest:
    rows = [row for row, one in enumerate(manifest.identities) if one in identities]
    return manifest.select(np.array(rows, np.int64))
