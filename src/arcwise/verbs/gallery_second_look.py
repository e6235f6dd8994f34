"""Whether a second look at the hits finds more in a gallery as it is, and its thresholds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arcwise import evaluation
from arcwise.evaluation import Rate, TwoScores
from arcwise.evaluation.intervals import FEW
from arcwise.evaluation.thresholds import RESOLVED_BY, resolved
from arcwise.gallery import GallerySize, SecondLook
from arcwise.gallery.decision import LEAST_IDENTITIES, NEIGHBOURS


@dataclass(frozen=True)
class SecondLookTrial:
    """What a second look was found to be worth.

    Attributes:
        kept: its thresholds, where it finds more beyond chance; None otherwise.
        gain: by how much the detection rate is higher, in the mean over the rates, with its 95 %
            interval over identities; None where that was not measured.
        rates: false-positive rates it was measured at.
        reason: why it was not measured, in words; empty where it was.
    """

    kept: SecondLook | None
    gain: Rate | None = None
    rates: tuple[float, ...] = ()
    reason: str = ""


def try_second_look(
    unknown: TwoScores, own: TwoScores, fpirs: Sequence[float], size: GallerySize, seed: int
) -> SecondLookTrial:
    """Return what comparing how far the best similarity is above the next ones is worth.

    Args:
        unknown: images of strangers: their best similarity, and how far it is above the next.
        own: further images of enrolled identities; minus infinity where another is the closest.
        fpirs: false-positive identification rates.
        size: of the gallery.
        seed: of the draws.
    """
    strangers, owners = (len(set(np.asarray(one.ids).tolist())) for one in (unknown, own))
    reason = ""
    if size.identities < LEAST_IDENTITIES:
        reason = f"{size.identities} identities are enrolled, fewer than {LEAST_IDENTITIES}"
    elif min(strangers, owners) < FEW:
        reason = (
            f"further images of {owners} enrolled identities and of {strangers} others are there, "
            f"and it takes {FEW} of both"
        )
    elif not any(resolved(one, len(unknown.ids)) for one in fpirs):
        reason = f"no rate is resolved by {len(unknown.ids)} images, it takes {RESOLVED_BY} / FPIR"
    if reason:
        return SecondLookTrial(None, reason=reason)
    gain, rates = evaluation.detection_gain(unknown, own, fpirs, seed=seed)
    if gain.low <= 0:
        return SecondLookTrial(None, gain, rates)
    thresholds = evaluation.calibrate_in_gallery(
        unknown.second,
        unknown.ids,
        rates,
        gallery=size.identities,
        own=own.second,
        own_ids=own.ids,
        seed=seed,
    )
    return SecondLookTrial(SecondLook(NEIGHBOURS, thresholds), gain, rates)
