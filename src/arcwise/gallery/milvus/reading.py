"""What a gallery on Milvus holds, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery.contract import EnrolledTemplate, GallerySize, StoredTemplates
from arcwise.gallery.damage import Damage
from arcwise.gallery.filters import Condition
from arcwise.gallery.milvus.conditions import expression
from arcwise.gallery.milvus.connection import View
from arcwise.gallery.milvus.rows import FIELDS, PIECE_FIELDS, image_of, owner_of, read_rows
from arcwise.gallery.template_row import stored_templates
from arcwise.identity import identity_key

CHUNK = 256  # templates read at once, with thumbnails
_ACTIVE = "active == true"
_FORM = ["template", "identity"]


def templates(view: View, identity: str | None, where: Condition | None) -> list[EnrolledTemplate]:
    """Return the templates of an identity, or of all, that meet a condition, the oldest first."""
    meets = f"{_ACTIVE} and ({expression(where)})"
    fields = [*_FORM, "metadata", "quality"]
    rows = view.rows(meets, fields) if identity is None else owned(view, identity, fields, meets)
    shown = forms_of(view, {row["identity"] for row in rows})
    return [_enrolled(row, shown[identity_key(row["identity"])]) for row in sorted(rows, key=_age)]


def quarantined(view: View) -> list[tuple[EnrolledTemplate, str]]:
    """Return the templates in quarantine and why, the oldest first."""
    rows = view.rows("active == false", [*_FORM, "metadata", "quality", "quarantine"])
    return [(_enrolled(row, row["identity"]), row["quarantine"]) for row in sorted(rows, key=_age)]


def counts(view: View) -> dict[str, int]:
    """Return how many templates each identity has, sorted by how it was enrolled first."""
    many, _ = _counted(view)
    return many


def size(view: View) -> GallerySize:
    """Return how many identities and templates there are."""
    counted, newest = _counted(view)
    many = counted.values()
    return GallerySize(len(many), sum(many), min(many, default=0), max(many, default=0), newest)


def forms(view: View, identity: str) -> list[str]:
    """Return how an identity is written, the first enrolled form first."""
    rows = sorted(owned(view, identity, _FORM, _ACTIVE), key=_age)
    found = [row["identity"] for row in rows]
    return [*found[:1], *sorted(set(found) - set(found[:1]))]


def forms_of(view: View, names: Iterable[str]) -> dict[str, str]:
    """Return how some identities were enrolled first, by their keys; none of those that were not.

    Args:
        view: of the gallery.
        names: the identities, in any form.
    """
    keys = {identity_key(one) for one in names}
    rows = view.rows_of("owner", sorted({owner_of(one) for one in keys}), _FORM, _ACTIVE)
    found: dict[str, str] = {}
    for row in sorted(rows, key=_age):
        key = identity_key(row["identity"])
        if key in keys:
            found.setdefault(key, row["identity"])
    return found


def owned(view: View, identity: object, fields: Sequence[str], meets: str) -> list[dict[str, Any]]:
    """Return the rows of an identity that meet an expression; the fields hold `identity`."""
    if not isinstance(identity, str):
        return []
    key = identity_key(identity)
    rows = view.rows(f"owner == {owner_of(identity)} and ({meets})", fields)
    return [row for row in rows if identity_key(row["identity"]) == key]


def stored(view: View, values: Sequence[dict[str, Any]]) -> StoredTemplates:
    """Return everything of rows of the fields `FIELDS`, the oldest template first.

    Raises:
        Damage: a row is not what was written.
    """
    rows = read_rows(values)
    with_image = [row.template.template for row in rows if row.pieces]
    pieces: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in view.pieces(with_image, PIECE_FIELDS) if with_image else []:
        pieces.setdefault((one["template"], one["born"]), []).append(one)
    images = [image_of(row, pieces.get((row.template.template, row.shown), [])) for row in rows]
    return stored_templates([row.template for row in rows], images)


def check_counts(view: View, found: int, held: int) -> None:
    """Raise a Damage unless there are as many templates, and in quarantine, as there must be."""
    for name, number, expected in (
        ("templates", found, view.state.templates),
        ("templates in quarantine", held, view.state.quarantined),
    ):
        if number != expected:
            raise Damage(f"{number} {name} found, {expected} expected")


def unknown(view: View, identity: object) -> GalleryError:
    """Return what to say of an identity that nobody has; suggests a close one."""
    others = list(counts(view))
    hint = f"{len(others)} others are" if others else "the gallery is empty"
    hint = suggestion(str(identity), others) or hint
    return GalleryError(f"{view.shown}: {identity!r} is not enrolled; {hint}")


def rows_of_chunk(view: View, first: int) -> list[dict[str, Any]]:
    """Return the rows of `CHUNK` templates from one on."""
    return view.rows(f"template >= {first} and template < {first + CHUNK}", FIELDS)


def _counted(view: View) -> tuple[dict[str, int], int]:
    """Return what `counts` does, and the largest id of a template that takes part."""
    found: dict[str, tuple[str, int]] = {}
    newest = 0
    for page in view.pages(_ACTIVE, _FORM):
        for row in sorted(page, key=_age):
            key = identity_key(row["identity"])
            form, many = found.get(key, (row["identity"], 0))
            found[key] = form, many + 1
            newest = row["template"]
    return dict(sorted(found.values())), newest


def _enrolled(row: dict[str, Any], form: str) -> EnrolledTemplate:
    quality = None if row["quality"] == -1.0 else row["quality"]
    return EnrolledTemplate(row["template"], form, json.loads(row["metadata"]), quality)


def _age(row: dict[str, Any]) -> int:
    return row["template"]
