"""What a gallery on PostgreSQL holds, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import numpy as np
from psycopg import Cursor

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery.contract import EnrolledTemplate, GallerySize, StoredTemplates
from arcwise.gallery.damage import Damage
from arcwise.gallery.filters import Condition
from arcwise.gallery.postgres.conditions import restored, where_sql
from arcwise.gallery.postgres.rows import (
    READ,
    GalleryRow,
    TemplateRow,
    checksum,
    key_of,
    read_rows,
)

_CHUNK = 256  # templates read at once, with thumbnails of up to a megabyte each

FORM: LiteralString = (
    "(SELECT f.identity FROM templates f WHERE f.key = t.key AND f.active ORDER BY f.id LIMIT 1)"
)
"""How the identity of a template `t` is written: as it was enrolled first."""

IDENTITIES: LiteralString = (
    "(SELECT key, min(id) AS id, count(*) AS many FROM templates WHERE active GROUP BY key)"
)
"""The identities: their keys, their oldest templates, and how many they have."""


def templates(
    cursor: Cursor[tuple[Any, ...]], identity: str | None, where: Condition | None
) -> list[EnrolledTemplate]:
    """Return the templates of an identity, or of all, that meet a condition, the oldest first."""
    meets, parameters = where_sql(where)
    owned: LiteralString = "true" if identity is None else "key = %s"
    cursor.execute(
        f"SELECT t.id, {FORM}, t.metadata, t.quality FROM templates t "
        f"WHERE active AND {owned} AND ({meets}) ORDER BY t.id",
        [*([] if identity is None else [key(identity)]), *parameters],
    )
    return [_template(*row) for row in cursor]


def quarantined(cursor: Cursor[tuple[Any, ...]]) -> list[tuple[EnrolledTemplate, str]]:
    """Return the templates in quarantine and why, the oldest first."""
    cursor.execute(
        "SELECT id, identity, metadata, quality, quarantine FROM templates WHERE NOT active "
        "ORDER BY id"
    )
    return [(_template(*row), restored(reason)) for *row, reason in cursor]


def size(cursor: Cursor[tuple[Any, ...]], about: GalleryRow) -> GallerySize:
    """Return how many identities and templates there are."""
    cursor.execute(
        "SELECT count(*), coalesce(min(many), 0), coalesce(max(many), 0), "
        "coalesce((SELECT max(id) FROM templates WHERE active), 0) "
        f"FROM {IDENTITIES} AS g"
    )
    ((identities, fewest, most, newest),) = cursor.fetchall()
    return GallerySize(identities, about.templates - about.quarantined, fewest, most, newest)


def calibration(cursor: Cursor[tuple[Any, ...]]) -> str | None:
    """Return what was measured against the gallery; None where nothing was.

    Raises:
        Damage: it is not what was written.
    """
    cursor.execute("SELECT calibration, calibration_crc FROM about")
    ((text, crc),) = cursor.fetchall()
    if text is not None and checksum(0, text.encode()) != crc:
        raise Damage("its calibration")
    return None if text is None else restored(text)


def counts(cursor: Cursor[tuple[Any, ...]]) -> dict[str, int]:
    """Return how many templates each identity has, sorted by how it was enrolled first."""
    cursor.execute(f"SELECT t.identity, g.many FROM {IDENTITIES} AS g JOIN templates t USING (id)")
    return dict(sorted((restored(form), many) for form, many in cursor))


def forms(cursor: Cursor[tuple[Any, ...]], identity: str) -> list[str]:
    """Return how an identity is written, the first enrolled form first."""
    cursor.execute(
        "SELECT identity FROM templates WHERE key = %s AND active ORDER BY id", [key(identity)]
    )
    found = [restored(form) for (form,) in cursor]
    return [*found[:1], *sorted(set(found) - set(found[:1]))]


def thumbnail(cursor: Cursor[tuple[Any, ...]], template: int) -> bytes | None:
    """Return the thumbnail of a template, if there is one.

    Raises:
        Damage: it is not what was written.
    """
    cursor.execute("SELECT crc, image FROM thumbnails WHERE template = %s", [template])
    row = cursor.fetchone()
    return None if row is None else _sound(template, *row)


def stored(cursor: Cursor[tuple[Any, ...]], about: GalleryRow) -> Iterator[StoredTemplates]:
    """Yield everything in chunks, the oldest template first.

    Raises:
        Damage: a row is not what was written, or some are missing.
    """
    last, found, held, shown = 0, 0, 0, 0
    statement = (
        f"SELECT {READ}, i.crc, i.image FROM templates t LEFT JOIN thumbnails i "
        "ON i.template = t.id WHERE t.id > %s ORDER BY t.id LIMIT %s"
    )
    while values := cursor.execute(statement, [last, _CHUNK]).fetchall():
        rows = read_rows([one[:-2] for one in values])
        images = [
            None if image is None else _sound(template, crc, image)
            for template, *_, crc, image in values
        ]
        last, found = rows[-1].template, found + len(rows)
        held += sum(row.quarantine is not None for row in rows)
        shown += sum(image is not None for image in images)
        yield _templates(rows, images)
    for name, number, expected in (
        ("templates", found, about.templates),
        ("templates in quarantine", held, about.quarantined),
        ("thumbnails", shown, about.thumbnails),
    ):
        if number != expected:
            raise Damage(f"{number} {name} found, {expected} expected")


def unknown(cursor: Cursor[tuple[Any, ...]], identity: str, shown: str) -> GalleryError:
    """Return what to say of an identity that nobody has; suggests a close one."""
    others = list(counts(cursor))
    hint = f"{len(others)} others are" if others else "the gallery is empty"
    hint = suggestion(str(identity), others) or hint
    return GalleryError(f"{shown}: {identity!r} is not enrolled; {hint}")


def key(identity: object) -> str:
    """Return the key of an identity; one that nobody has for what is no text."""
    return key_of(identity) if isinstance(identity, str) else ""


def _template(number: int, identity: str, metadata: str, quality: float | None) -> EnrolledTemplate:
    return EnrolledTemplate(number, restored(identity), json.loads(metadata), quality)


def _sound(template: int, crc: int, image: bytes) -> bytes:
    if checksum(template, image) != crc:
        raise Damage(f"the thumbnail of template {template}", [template])
    return image


def _templates(rows: Sequence[TemplateRow], images: list[bytes | None]) -> StoredTemplates:
    return StoredTemplates(
        np.array([row.template for row in rows], np.int64),
        [row.identity for row in rows],
        np.stack([row.floats() for row in rows]),
        [json.loads(row.metadata) for row in rows],
        [row.quality for row in rows],
        images,
        [row.quarantine for row in rows],
    )
