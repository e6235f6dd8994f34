"""Which protocols fit a data set: decided once, from its columns, before anything is embedded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.data.column_values import refuse_impossible
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.protocols.age_gaps import AgeGaps, age_gaps
from arcwise.protocols.pair_groups import GroupBy, Grouping, groupings
from arcwise.protocols.pair_set import PairList, PairSet, drawn_pairs, listed_pairs
from arcwise.protocols.result import ProtocolFit
from arcwise.protocols.search_protocol import SearchProtocol, search_protocol
from arcwise.protocols.template_set import TemplateSet, template_set

ALL_PAIRS = "verification of all pairs"
LISTED = "verification of listed pairs"
FOLDS = "accuracy over folds"
RETRIEVAL = "retrieval"
CLOSED = "identification, closed set"
OPEN = "identification, open set"
TEMPLATES = "templates"
THRESHOLDS = "thresholds of the model"


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """What will be measured, the same for every model.

    Attributes:
        templates: what is compared.
        pairs: the listed pairs; where none are listed all pairs, or a sample of them. Groups and
            comparisons of models rest on these pairs.
        search: which templates search which; None where identities are not known.
        groupings: of the pairs.
        gaps: ages, and the groups of gaps that retrieval is measured in; None where they are not
            known.
        protocols: which protocols fit, and why the others do not.
        seed: of everything that is drawn.
    """

    templates: TemplateSet
    pairs: PairSet
    search: SearchProtocol | None
    groupings: tuple[Grouping, ...]
    gaps: AgeGaps | None
    protocols: tuple[ProtocolFit, ...]
    seed: int


def plan_evaluation(
    manifest: Manifest,
    known_names: Collection[str],
    *,
    pairs: PairList | None = None,
    group_by: Sequence[str] = (),
    seed: int = 0,
) -> EvaluationPlan:
    """Return the protocols that fit the rows of a manifest.

    Args:
        manifest: what is measured on.
        known_names: the names (`names_of_rows`) of the whole data set, measured or not.
        pairs: those to verify; None for all, which takes identities.
        group_by: columns to group pairs by, perhaps with bins (`age_gap:5,15`); those of `age` are
            the gaps of retrieval too.
        seed: of galleries, of unknown identities, and of samples of pairs.

    Raises:
        ArcwiseError: there is nothing to compare, the columns contradict themselves, or there are
            ages that cannot be.
    """
    if "age" in manifest.table.column_names:
        refuse_impossible(manifest, "age")
    templates = template_set(manifest)
    if templates.identities is not None or pairs is None:
        _check_comparable(templates)
    if pairs is None:
        pair_set = drawn_pairs(templates.ids, seed)
    else:
        pair_set = listed_pairs(pairs, templates, known_names)
    search = None if templates.identities is None else search_protocol(templates, seed)
    requested = [GroupBy.parse(one) for one in group_by]
    groups, group_fits = groupings(requested, templates, pair_set)
    gaps, gap_fit = age_gaps(requested, templates, search)
    protocols = (
        *_verification_fits(templates, pair_set),
        *_search_fits(templates, search),
        _template_fit(templates),
        *group_fits,
        *([gap_fit] if "age" in manifest.table.column_names else []),
    )
    return EvaluationPlan(templates, pair_set, search, tuple(groups), gaps, protocols, seed)


def _check_comparable(templates: TemplateSet) -> None:
    """Refuse fewer than two identities, and one template of each."""
    counts = np.unique(templates.ids, return_counts=True)[1]
    if len(counts) < 2:
        raise ArcwiseError(
            f"{templates.manifest.name}: got {len(counts)} identity with readable "
            f"{templates.kind} to measure on; expected 2 or more"
        )
    if counts.max() < 2:
        raise ArcwiseError(
            f"{templates.manifest.name}: got one readable {templates.singular} of each of "
            f"{len(counts)} identities to measure on; expected two or more of some, to compare"
        )


def _verification_fits(templates: TemplateSet, pairs: PairSet) -> list[ProtocolFit]:
    if not pairs.listed:
        count = f"{len(templates.ids):,} {templates.kind}, each with every other"
        return [
            ProtocolFit(ALL_PAIRS, True, count),
            ProtocolFit(LISTED, False, "no table of pairs was named (--pairs)"),
            ProtocolFit(FOLDS, False, "only of listed pairs: among all, nearly all are impostors"),
        ]
    left_out = f", {pairs.left_out:,} more left out: not measured" if pairs.left_out else ""
    unknown = "" if templates.identities is not None else "; whose they are is not known"
    why = f"{len(pairs.a):,} pairs of {pairs.source}{left_out}{unknown}"
    folds = (
        "no column 'fold', and ten contiguous folds would share people, or have pairs of one kind"
        if pairs.folds is None
        else f"{len(np.unique(pairs.folds))} folds"
    )
    if pairs.folds is not None and templates.identities is not None:
        folds += " that share nobody"
    return [
        ProtocolFit(LISTED, True, why),
        ProtocolFit(ALL_PAIRS, False, "the listed pairs take their place"),
        ProtocolFit(FOLDS, pairs.folds is not None, folds),
    ]


def _search_fits(templates: TemplateSet, search: SearchProtocol | None) -> list[ProtocolFit]:
    if search is None:
        return [ProtocolFit(name, False, "no identities") for name in (RETRIEVAL, CLOSED, OPEN)]
    kind, mated = templates.kind, search.mated(templates.ids)
    entries = " and ".join(f"{len(gallery):,}" for gallery in search.galleries)
    where = f"{len(search.probes):,} {kind} in a gallery of {entries} ({search.description})"
    retrieval = where if search.stated else f"{len(templates.ids):,} {kind}, leave one out"
    unknown = "half of the identities are unknown"
    if search.stated:
        unknown = f"{np.count_nonzero(~mated):,} of the queries are unknown"
    if len(search.galleries) == 2:
        unknown = "each gallery's identities are unknown to the other"
    fits = len(search.galleries) == 2 or bool((~mated).any() and mated.any())
    why = unknown if fits else "every query's identity is in the gallery"
    return [
        ProtocolFit(RETRIEVAL, True, retrieval),
        ProtocolFit(CLOSED, bool(len(search.probes)), where),
        ProtocolFit(OPEN, fits, why),
    ]


def _template_fit(templates: TemplateSet) -> ProtocolFit:
    if templates.template_of_row is None:
        return ProtocolFit(TEMPLATES, False, "no columns 'template' and 'media'")
    why = (
        f"{len(templates.template_of_row):,} images (unit vectors, {templates.weighting}) pooled "
        f"to {len(templates.names):,} templates: media averaged, summed, scaled to unit length"
    )
    return ProtocolFit(TEMPLATES, True, why)
