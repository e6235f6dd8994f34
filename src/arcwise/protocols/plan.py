"""Which protocols fit a data set: decided once, from its columns, before anything is embedded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.protocols.drawn import Drawn, draw
from arcwise.protocols.groups import By, Grouping, groupings
from arcwise.protocols.layout import Layout, layout
from arcwise.protocols.listed import Listed, PairList, place
from arcwise.protocols.result import Protocol
from arcwise.protocols.search import Search, search

ALL_PAIRS = "verification of all pairs"
LISTED = "verification of listed pairs"
FOLDS = "accuracy over folds"
RETRIEVAL = "retrieval"
CLOSED = "identification, closed set"
OPEN = "identification, open set"
TEMPLATES = "templates"
THRESHOLDS = "thresholds of the model"


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be measured, the same for every model.

    Attributes:
        layout: the items that are compared.
        listed: the listed pairs; None for all pairs.
        pairs: what is broken down and compared: the listed pairs, or all, or a sample of them.
        search: who is looked for where; None where identities are not known.
        groupings: of the pairs.
        protocols: which protocols fit, and why the others do not.
        seed: of everything that is drawn.
    """

    layout: Layout
    listed: Listed | None
    pairs: Drawn
    search: Search | None
    groupings: tuple[Grouping, ...]
    protocols: tuple[Protocol, ...]
    seed: int


def plan(
    manifest: Manifest,
    known: Collection[str],
    *,
    pairs: PairList | None = None,
    by: Sequence[str] = (),
    seed: int = 0,
) -> Plan:
    """The protocols that fit the rows of a manifest.

    Args:
        manifest: what is measured on.
        known: the names (`layout.names`) of the whole data set, measured or not.
        pairs: those to verify; None for all, which takes identities.
        by: columns to break down by, perhaps with bins (`age_gap:5,15`).
        seed: of galleries, of unknown identities, and of samples of pairs.

    Raises:
        ArcwiseError: there is nothing to compare, or the columns contradict themselves.
    """
    items = layout(manifest)
    if items.identities is not None or pairs is None:
        _comparable(items)
    if pairs is None:
        listed, drawn = None, draw(items.ids, seed)
    else:
        listed = place(pairs, items, known)
        drawn = Drawn(listed.a, listed.b, listed.same, f"the pairs of {listed.name}")
    found = None if items.identities is None else search(items, seed)
    groups, grouped = groupings([By.parse(one) for one in by], items, listed, drawn)
    protocols = (*_verification(items, listed), *_search(items, found), _templates(items), *grouped)
    return Plan(items, listed, drawn, found, tuple(groups), protocols, seed)


def _comparable(items: Layout) -> None:
    """Nothing, if there are two identities, and two items of one."""
    counts = np.unique(items.ids, return_counts=True)[1]
    if len(counts) < 2:
        raise ArcwiseError(
            f"{items.manifest.name}: got {len(counts)} identity with readable {items.kind} to "
            "measure on; expected 2 or more"
        )
    if counts.max() < 2:
        raise ArcwiseError(
            f"{items.manifest.name}: got one readable {items.kind[:-1]} of each of {len(counts)} "
            "identities to measure on; expected two or more of some, to compare"
        )


def _verification(items: Layout, listed: Listed | None) -> list[Protocol]:
    if listed is None:
        return [
            Protocol(ALL_PAIRS, True, f"{len(items.ids):,} {items.kind}, each with every other"),
            Protocol(LISTED, False, "no table of pairs was named (--pairs)"),
            Protocol(FOLDS, False, "only of listed pairs: among all, nearly all are impostors"),
        ]
    left = f", {listed.left_out:,} more left out: not measured" if listed.left_out else ""
    unknown = "" if items.identities is not None else "; whose they are is not known"
    why = f"{len(listed.a):,} pairs of {listed.name}{left}{unknown}"
    folds = (
        "no column 'fold', and ten contiguous folds would share people, or have pairs of one kind"
        if listed.folds is None
        else f"{len(np.unique(listed.folds))} folds"
    )
    if listed.folds is not None and items.identities is not None:
        folds += " that share nobody"
    return [
        Protocol(LISTED, True, why),
        Protocol(ALL_PAIRS, False, "the listed pairs take their place"),
        Protocol(FOLDS, listed.folds is not None, folds),
    ]


def _search(items: Layout, found: Search | None) -> list[Protocol]:
    if found is None:
        return [Protocol(name, False, "no identities") for name in (RETRIEVAL, CLOSED, OPEN)]
    kind, knows = items.kind, found.known(items.ids)
    entries = " and ".join(f"{len(gallery):,}" for gallery in found.galleries)
    where = f"{len(found.probes):,} {kind} in a gallery of {entries} ({found.words})"
    retrieval = where if found.stated else f"{len(items.ids):,} {kind}, leave one out"
    strangers = "half of the identities are unknown"
    if found.stated:
        strangers = f"{np.count_nonzero(~knows):,} of the queries are unknown"
    if len(found.galleries) == 2:
        strangers = "each gallery's identities are unknown to the other"
    fits = len(found.galleries) == 2 or bool((~knows).any() and knows.any())
    return [
        Protocol(RETRIEVAL, True, retrieval),
        Protocol(CLOSED, bool(len(found.probes)), where),
        Protocol(OPEN, fits, strangers if fits else "every query's identity is in the gallery"),
    ]


def _templates(items: Layout) -> Protocol:
    if items.template is None:
        return Protocol(TEMPLATES, False, "no columns 'template' and 'media'")
    return Protocol(
        TEMPLATES,
        True,
        f"{len(items.template):,} pictures (unit vectors, {items.weighted}) pooled to "
        f"{len(items.names):,} templates: media averaged, summed, scaled to unit length",
    )
