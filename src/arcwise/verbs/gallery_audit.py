"""Gallery audit: what does not look right among the templates, for a person to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.client import Client
from arcwise.client.gallery_messages import AuditAnswer, AuditFinding
from arcwise.evaluation import Threshold
from arcwise.gallery import Gallery, OperatingPoint, open_gallery
from arcwise.gallery.audit import HUB_RATE, AuditLimits, Findings, audit
from arcwise.identity import identity_key
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import images_of
from arcwise.verbs.asking import is_address, refuse_model
from arcwise.verbs.gallery_audit_decisions import KINDS, GalleryDecision, read_gallery_decisions
from arcwise.verbs.gallery_info import gallery_info

_PAIR_RATE = 0.01  # false-accept rate of the threshold of pairs that misfits are below, at most


@dataclass(frozen=True)
class GalleryAudit:
    """What was found in a gallery.

    Attributes:
        gallery: its path or address, as it was given; a password in it is in no `repr`.
        templates: that take part.
        identities: enrolled.
        findings: what is not decided yet, by kind, the surest first.
        point: the threshold of a search by which identities are found; None without any.
        pair: the threshold of pairs that misfits are below; None without any.
        hub_limit: the number of identities that a hub is near to, at least.
        notes: what the user has to know, a line each.
        decisions: what was decided before.
    """

    gallery: str = field(repr=False)
    templates: int
    identities: int
    findings: tuple[AuditFinding, ...]
    point: OperatingPoint | None
    pair: Threshold | None
    hub_limit: int
    notes: tuple[str, ...]
    decisions: tuple[GalleryDecision, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind."""
        return {kind: sum(one.kind == kind for one in self.findings) for kind in KINDS}


@dataclass(frozen=True, eq=False)
class _Enrolled:
    """The templates that take part: G of them, of C identities.

    Attributes:
        templates: (G,) numbers.
        vectors: (G, D) unit rows.
        owner: (G,) codes.
        names: (C,) identities.
        images: (G,) what names each one's images.
    """

    templates: np.ndarray
    vectors: np.ndarray
    owner: np.ndarray
    names: list[str]
    images: list[list[tuple[str, Any]]]


def audit_gallery(
    gallery: str | Path,
    *,
    model: str | Path | None = None,
    decisions: str | Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> GalleryAudit:
    """Return what does not look right in a gallery; nothing is changed.

    Of the thresholds that were measured, the one with the lowest rate in this gallery says which
    identities are one. Without any, only duplicates and hubs are looked for.

    Args:
        gallery: the file, or its address on a server, which compares.
        model: where the gallery's model is now, if it moved; only its thresholds are read.
        decisions: the file that the page saved: what it decides is not asked again.
        progress: called with (templates compared, templates).

    Raises:
        ArcwiseError: no gallery, or a file of decisions that is none.
    """
    decided = () if decisions is None else read_gallery_decisions(Path(decisions))
    if is_address(gallery):
        refuse_model(gallery, model)
        with Client(str(gallery)) as client:
            found = client.audit()
    else:
        info = gallery_info(gallery, model=model)
        with open_gallery(gallery, mode="r") as store:
            found = audit_store(store, info.points, info.model.state, progress=progress)
    done = {one.subject for one in decided}
    return GalleryAudit(
        gallery=str(gallery),
        templates=found.templates,
        identities=found.identities,
        findings=tuple(one for one in found.findings if undecided(one).subject not in done),
        point=found.point,
        pair=found.pair,
        hub_limit=found.hub_limit,
        notes=tuple(found.notes),
        decisions=decided,
    )


def undecided(finding: AuditFinding) -> GalleryDecision:
    """Return a finding without an answer."""
    return GalleryDecision(finding.kind, finding.templates, finding.identities)


def audit_store(
    store: Gallery,
    points: Sequence[OperatingPoint],
    model: str,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> AuditAnswer:
    """Return what does not look right in an open gallery.

    Args:
        store: the gallery.
        points: what every threshold promises in it.
        model: the state of its model, in a word.
        progress: called with (templates compared, templates).
    """
    enrolled = _enrolled(store)
    searches = [one for one in points if one.promises and not one.neighbours]  # similarities
    point = min(searches, key=lambda one: (one.fpir, one.threshold), default=None)
    pairs = [one.basis for one in points if isinstance(one.basis, Threshold)]
    pair = max(
        (one for one in pairs if one.far <= _PAIR_RATE), key=lambda one: one.far, default=None
    )
    limits, notes = None, []
    if point is not None and pair is not None:
        limits = AuditLimits(pair.threshold, point.threshold)
    elif len(enrolled.templates):
        notes.append(
            "only duplicates and hubs are looked for, as no threshold promises a rate "
            f"here (the gallery's model: {model}): arcwise calibrate MODEL DATA"
        )
    found = audit(
        enrolled.vectors, enrolled.owner, limits=limits, images=enrolled.images, progress=progress
    )
    return AuditAnswer(
        templates=len(enrolled.templates),
        identities=len(enrolled.names),
        findings=_named(found, enrolled),
        point=None if limits is None else point,
        pair=None if limits is None else pair,
        hub_limit=found.hub_limit,
        notes=notes,
    )


def _enrolled(store: Gallery) -> _Enrolled:
    templates, vectors, names, images = [], [], [], []
    forms = {identity_key(one): one for one in store.identities()}
    for chunk in store.stored():
        part = np.array([reason is None for reason in chunk.quarantined], bool)
        templates.append(chunk.templates[part])
        vectors.append(chunk.vectors[part])
        for row in np.flatnonzero(part).tolist():
            names.append(identity_key(chunk.identities[row]))
            images.append(_images(chunk.metadata[row], chunk.thumbnails[row]))
    keys, owner = np.unique(np.array(names, object), return_inverse=True)
    rows = np.concatenate([np.empty((0, store.dim), np.float32), *vectors])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return _Enrolled(
        np.concatenate([np.empty(0, np.int64), *templates]),
        rows,
        owner.astype(np.int64),
        [forms.get(key, key) for key in keys],
        images,
    )


def _images(metadata: dict[str, Any], thumbnail: bytes | None) -> list[tuple[str, Any]]:
    """Return what names a template's image: its file, its thumbnail; nothing for several images."""
    each = images_of(metadata)
    named: list[tuple[str, Any]] = []
    if len(each) == 1 and isinstance(each[0].get(CONTENT), str):
        # One file may show several: then the landmarks differ.
        named.append(("file", (each[0][CONTENT], str(each[0].get("landmarks")))))
    if len(each) == 1 and thumbnail is not None:
        named.append(("thumbnail", blake2b(thumbnail, digest_size=16).digest()))
    return named


def _named(found: Findings, enrolled: _Enrolled) -> list[AuditFinding]:
    """Return what was found, by numbers of templates and names of identities."""
    names, owner = enrolled.names, enrolled.owner
    numbers = enrolled.templates.tolist()
    sizes = Counter(owner.tolist())
    findings: list[AuditFinding] = []
    for group in found.duplicates:
        codes = dict.fromkeys(owner[list(group)].tolist())
        vectors = enrolled.vectors[list(group)]
        similarity = float(np.clip((vectors[:1] @ vectors.T).min(), -1, 1))
        whose = "one identity" if len(codes) == 1 else f"{len(codes)} identities"
        findings.append(
            AuditFinding(
                "duplicate", tuple(numbers[row] for row in group),
                tuple(names[code] for code in codes), similarity, None,
                f"{len(group)} templates of {whose} are one image",
            )
        )  # fmt: skip
    for hub in found.hubs:
        findings.append(
            AuditFinding(
                "hub", (numbers[hub.row],), (names[owner[hub.row]],), None, None,
                f"among the nearest of {hub.identities:,} of {len(names):,} identities; one "
                f"template in {1 / HUB_RATE:,.0f} is of more than {found.hub_limit:,}",
            )
        )  # fmt: skip
    for one in found.one_identity or ():
        rows = np.flatnonzero(owner == one.codes[1])
        findings.append(
            AuditFinding(
                "one identity", tuple(numbers[row] for row in rows),
                tuple(names[code] for code in one.codes), one.similarity, None,
                f"they find each other at {one.similarity:.3f}",
            )
        )  # fmt: skip
    for misfit in found.misfits or ():
        own, other = owner[misfit.row], owner[misfit.nearest]
        claim = f"not close enough that a search for it would answer {names[other]}"
        if misfit.anothers:
            claim = f"a search for it would answer {names[other]}, were it not enrolled itself"
        findings.append(
            AuditFinding(
                "misfit", (numbers[misfit.row],), (names[own], names[other]), misfit.own,
                numbers[misfit.nearest],
                f"{misfit.own:.3f} to the {sizes[own] - 1} others of {names[own]}, "
                f"{misfit.other:.3f} to {names[other]}; {claim}",
            )
        )  # fmt: skip
    return findings
