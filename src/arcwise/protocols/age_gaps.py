"""Retrieval of mates that are so many years older or younger than the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import MateGap, Retrieval
from arcwise.protocols.pair_groups import AGE_GAPS, GroupBy, bin_names
from arcwise.protocols.result import GapRetrieval, ProtocolFit
from arcwise.protocols.search_protocol import SearchProtocol
from arcwise.protocols.template_set import TemplateSet

BY_AGE_GAP = "retrieval by age gap"


@dataclass(frozen=True, eq=False)
class AgeGaps:
    """Ages of the templates, and where groups of gaps between them end.

    Attributes:
        ages: (U,) float64, NaN where it is not known.
        edges: ascending gaps, each in the group that it ends.
    """

    ages: np.ndarray
    edges: tuple[float, ...]

    def retrieve(
        self, search: SearchProtocol, vectors: np.ndarray, ids: np.ndarray, seed: int
    ) -> GapRetrieval:
        """Return retrieval in each group of gaps.

        Args:
            search: which templates search which.
            vectors: (U, D) unit vectors of the templates.
            ids: (U,) their identities.
            seed: of the intervals.
        """
        groups: dict[str, Retrieval] = {}
        unmeasured: dict[str, str] = {}
        bounds = pairwise((-1.0, *self.edges, np.inf))
        for name, (above, up_to) in zip(bin_names(self.edges), bounds, strict=True):
            gap = MateGap(self.ages, above=above, up_to=up_to)
            try:
                groups[name] = search.retrieve(vectors, ids, seed, gap)
            except ArcwiseError:  # no query has a mate at such a gap
                unmeasured[name] = "no query has a mate at such a gap"
        definition = (
            "every query whose age is known searches all; mates at another gap, or of unknown age, "
            "are neither right nor wrong"
        )
        return GapRetrieval("age gap", definition, groups, unmeasured)


def age_gaps(
    group_by: Sequence[GroupBy], templates: TemplateSet, search: SearchProtocol | None
) -> tuple[AgeGaps | None, ProtocolFit]:
    """Return the ages and the groups of gaps, and whether retrieval is measured in them."""
    values = templates.column("age")
    if values is None or search is None:
        lacking = "no column 'age'" if values is None else "no identities"
        return None, ProtocolFit(BY_AGE_GAP, False, lacking)
    ages = np.array([np.nan if one is None else float(one) for one in values])
    if not np.isfinite(ages).any():
        return None, ProtocolFit(BY_AGE_GAP, False, "the column 'age' holds no number")
    stated = [one.edges for one in group_by if one.column == "age" and one.edges]
    gaps = AgeGaps(ages, stated[0] if stated else AGE_GAPS)
    names = ", ".join(bin_names(gaps.edges))
    return gaps, ProtocolFit(BY_AGE_GAP, True, f"mates at a gap of {names} years")
