"""What a person decided about findings of an audit, and doing it to the gallery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from arcwise.client.gallery_messages import FindingKind
from arcwise.errors import ArcwiseError
from arcwise.files import read_file
from arcwise.gallery import Gallery, open_gallery, shown_address
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address

KIND, LISTED = "arcwise gallery decisions", "findings"
"""What the file says of itself, and the name of the list in it."""

Kind = FindingKind

KINDS: tuple[Kind, ...] = ("duplicate", "hub", "one identity", "misfit")

ANSWERS: dict[Kind, tuple[str, ...]] = {
    "duplicate": ("first", "last", "merge", "keep"),
    "hub": ("quarantine", "remove", "keep"),
    "one identity": ("merge", "keep"),
    "misfit": ("move", "quarantine", "remove", "keep"),
}
"""What can be decided about each kind of finding."""

BEFORE = "identity_before"
"""The key, in a template's metadata, of whose it was before an audit gave it to another one."""

TO_REMOVE = "audit: remove"
"""Why a template is in quarantine that is to be removed."""


@dataclass(frozen=True)
class GalleryDecision:
    """A finding, and what was decided about it.

    Attributes:
        kind: of finding.
        templates: numbers of the templates in question.
        identities: concerned.
        answer: one of `ANSWERS`; None where it cannot be told.
    """

    kind: Kind
    templates: tuple[int, ...]
    identities: tuple[str, ...]
    answer: str | None = None

    @property
    def subject(self) -> tuple[str, frozenset[int], frozenset[str]]:
        """What it is about, in any order."""
        return self.kind, frozenset(self.templates), frozenset(self.identities)

    def record(self) -> dict[str, Any]:
        """Return the plain values but the answer."""
        return {name: value for name, value in asdict(self).items() if name != "answer"}


@dataclass(frozen=True)
class AppliedDecisions:
    """What was done to a gallery.

    Attributes:
        quarantined: templates that are in quarantine now, by reason.
        assigned: templates that were given to another identity, by its name.
        outdated: decisions about templates that are not as they were when they were found.
    """

    quarantined: Mapping[str, tuple[int, ...]]
    assigned: Mapping[str, tuple[int, ...]]
    outdated: int


def read_gallery_decisions(path: Path) -> tuple[GalleryDecision, ...]:
    """Return the decisions of a file that the page saved; of several about one finding the last.

    Raises:
        ArcwiseError: the file is not there, or holds something else.
    """
    try:
        document = json.loads(read_file(path))
        if document["kind"] != KIND:
            raise ValueError(document["kind"])
        listed = [_decision(**one) for one in document[LISTED]]
    except (KeyError, TypeError, ValueError):
        raise ArcwiseError(
            f"{path}: holds no decisions about a gallery; expected the file that the page of "
            "`arcwise gallery audit` saves"
        ) from None
    return tuple({one.subject: one for one in listed}.values())


def _decision(
    kind: str, templates: list[int], identities: list[str], answer: str | None
) -> GalleryDecision:
    if kind not in ANSWERS or answer not in (None, *ANSWERS[cast(Kind, kind)]):
        raise ValueError(kind, answer)
    numbers = all(isinstance(one, int) and not isinstance(one, bool) for one in templates)
    if not templates or not identities or not numbers:
        raise ValueError(templates)
    if not all(isinstance(one, str) for one in identities):
        raise ValueError(identities)
    if answer in ("move", "merge") and len(identities) != 2:
        raise ValueError(identities)
    return GalleryDecision(cast(Kind, kind), tuple(templates), tuple(identities), answer)


def apply_gallery_decisions(gallery: str | Path, decisions: str | Path) -> AppliedDecisions:
    """Do what was decided. No template is deleted, and each step can be undone.

    Templates go into quarantine, from which `release` lets them out; those to be removed, too. One
    that goes to another identity has the one before in its metadata, and `assign` brings it back.
    A decision about templates that were changed since is left out.

    Args:
        gallery: that was audited.
        decisions: the file that the page saved.

    Raises:
        ArcwiseError: no gallery, a file that is none, or no decision fits the gallery.
    """
    if is_address(gallery):
        raise ArcwiseError(
            f"{shown_address(gallery)}: a server does not take the decisions of a page; run "
            "--apply where the gallery lies, with its file"
        )
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    decided = [
        one for one in read_gallery_decisions(Path(decisions)) if one.answer not in (None, "keep")
    ]
    quarantined: dict[str, list[int]] = {}
    assigned: dict[str, list[int]] = {}
    outdated = 0
    with open_gallery(gallery) as store:
        for one in decided:
            if not _as_found(store, one):
                outdated += 1
            elif one.answer in ("merge", "move"):
                into, moved = _given(store, one)
                assigned.setdefault(into, []).extend(moved)
            else:
                reason = TO_REMOVE if one.answer == "remove" else f"audit: {one.kind}"
                those = {"first": one.templates[1:], "last": one.templates[:-1]}.get(
                    one.answer or "", one.templates
                )
                store.quarantine(those, reason)
                quarantined.setdefault(reason, []).extend(those)
    if outdated and outdated == len(decided):
        raise ArcwiseError(
            f"{decisions}: no template that is decided about is in {shown_address(gallery)} as it "
            "was; expected the gallery that was audited"
        )
    return AppliedDecisions(
        {reason: tuple(sorted(those)) for reason, those in quarantined.items()},
        {name: tuple(sorted(those)) for name, those in assigned.items()},
        outdated,
    )


def _as_found(store: Gallery, one: GalleryDecision) -> bool:
    """Return whether the templates take part, and are of those that they were of."""
    names = one.identities
    if one.kind in ("misfit", "one identity"):  # one side of the two is in question
        names = (names[0 if one.kind == "misfit" else 1],)
    owned = {template.template for name in names for template in store.templates(name)}
    return owned.issuperset(one.templates) and bool(store.forms(one.identities[-1]))


def _given(store: Gallery, one: GalleryDecision) -> tuple[str, list[int]]:
    """Give templates to another identity, and return its name and their numbers.

    Two identities become one by the name of the first. A misfit goes to the identity that it is
    like. Each template's metadata say whose it was.
    """
    into, of = one.identities if one.answer == "merge" else one.identities[::-1]
    moved = [
        template
        for template in store.templates(of)
        if one.answer == "merge" or template.template in one.templates
    ]
    for template in moved:
        metadata = {**template.metadata, BEFORE: template.identity}
        store.annotate(template.template, metadata)
    into = (store.forms(into) or [into])[0]
    numbers = [template.template for template in moved]
    store.assign(numbers, into)
    return into, numbers
