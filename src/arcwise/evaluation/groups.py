"""Verification of each group of pairs, such as age gaps or domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS
from arcwise.evaluation.scored import scored_pairs
from arcwise.evaluation.thresholds import resolved
from arcwise.evaluation.verification import Verification, verification


@dataclass(frozen=True, eq=False, repr=False)
class Groups:
    """The verification of each group of pairs; prints itself.

    Every group has its own thresholds. The rates of one threshold for all groups are
    `measured[name].far_with(threshold)` and `tar_with`.

    Attributes:
        measured: verification of each group that has pairs of both kinds, in the groups' order.
        unmeasured: mated and impostor pairs of each other group, whose errors cannot be measured.
        far: false-accept rate of the printed table.
    """

    measured: Mapping[str, Verification]
    unmeasured: Mapping[str, tuple[int, int]]
    far: float

    def __str__(self) -> str:
        width = max(map(len, [*self.measured, *self.unmeasured]))
        lines = [f"{len(self.measured)} groups of pairs: mated, impostors, EER, TAR@{self.far:g}"]
        for name, result in self.measured.items():
            enough = resolved(self.far, result.impostors)
            tar = str(result.tar_at(self.far)) if enough else "too few impostors"
            lines.append(
                f"  {name:<{width}}  {len(result.mated):>7} {result.impostors:>7}  "
                f"{result.eer}  {tar}"
            )
        for name, (mated, impostors) in self.unmeasured.items():
            lines.append(f"  {name:<{width}}  {mated:>7} {impostors:>7}  not measurable")
        return "\n".join(lines)

    __repr__ = __str__


def by_group(
    similarity: np.ndarray,
    same: np.ndarray,
    groups: inputs.Identities | Sequence[float],
    *,
    edges: Sequence[float] | None = None,
    far: float = 1e-2,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Groups:
    """Return verification of each group of pairs, with intervals.

    Args:
        similarity: (N,) scores, higher is closer.
        same: (N,) bool, both images show one identity.
        groups: (N,) the group of each pair; with `edges` numbers, such as years between images.
        edges: ascending ends of the bins that numbers are put in: 0, 6, 16 makes 0 to below 6,
            6 to below 16; a number outside is an error.
        far: false-accept rate of the printed table.
        ids_a: (N,) identity of each pair's first image; with `ids_b`, intervals draw identities.
        ids_b: (N,) identity of each pair's second image.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no group has pairs of both kinds, a number lies in no bin, or an
            error of `verification`.
    """
    pairs = scored_pairs(similarity, same, ids_a, ids_b)
    count, rate = len(pairs.same), inputs.fraction("far", far)
    if edges is None:
        names, member = inputs.numbered(inputs.identities("groups", np.asarray(groups), count))
    else:
        names, member = _binned(groups, edges, count)
    measured: dict[str, Verification] = {}
    unmeasured: dict[str, tuple[int, int]] = {}
    for group, name in enumerate(map(str, names)):
        rows = np.flatnonzero(member == group)
        mated = int(np.count_nonzero(pairs.same[rows]))
        if mated in (0, len(rows)):
            unmeasured[name] = mated, len(rows) - mated
            continue
        ids = pairs.identities
        measured[name] = verification(
            pairs.similarity[rows],
            pairs.same[rows],
            None,
            ids_a=None if ids is None else ids.first[rows],
            ids_b=None if ids is None else ids.second[rows],
            draws=draws,
            seed=seed,
        )
    if not measured:
        raise ArcwiseError(
            f"none of {len(names)} groups has mated and impostor pairs, expected both in some: "
            "give impostor pairs the group that they are to be compared in"
        )
    return Groups(measured, unmeasured, rate)


def _binned(
    groups: inputs.Identities | Sequence[float], edges: Sequence[float], count: int
) -> tuple[list[str], np.ndarray]:
    """Return the names of the bins and the bin of each pair (N,)."""
    values = inputs.scores("groups", np.asarray(groups), 1)
    if len(values) != count:
        raise ArcwiseError(f"groups has {len(values)} numbers, expected {count}: one for each pair")
    ends = np.asarray(edges, dtype=np.float64)
    if ends.ndim != 1 or len(ends) < 2 or not (np.diff(ends) > 0).all():
        raise ArcwiseError(f"edges is {edges}, expected two or more ascending numbers")
    outside = np.flatnonzero((values < ends[0]) | (values >= ends[-1]))
    if len(outside):
        raise ArcwiseError(
            f"groups[{outside[0]}] is {values[outside[0]]:g}, expected {ends[0]:g} to below "
            f"{ends[-1]:g} ({len(outside)} such pairs): give wider edges, or leave the pairs out"
        )
    names = [f"{low:g} to below {high:g}" for low, high in pairwise(ends)]
    return names, np.searchsorted(ends, values, side="right") - 1
