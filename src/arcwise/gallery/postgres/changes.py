"""Changes of a gallery on PostgreSQL: what they write in their transaction."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Cursor

from arcwise.errors import GalleryError
from arcwise.gallery.postgres.conditions import restored
from arcwise.gallery.postgres.connections import Change
from arcwise.gallery.postgres.rows import (
    OWN,
    READ,
    TYPES,
    TemplateRow,
    checksum,
    key_of,
    read_rows,
    row_values,
)
from arcwise.gallery.vectors import CheckedItems


def insert(change: Change, batch: CheckedItems) -> tuple[int, ...]:
    """Write a batch and return its ids."""
    cursor, first = change.cursor, change.about.last + 1
    ids = range(first, first + len(batch))
    vectors = batch.vectors.astype(">f4")
    with cursor.copy(f"COPY templates ({OWN}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(TYPES)
        for number, identity, metadata, vector, quality in zip(
            ids, batch.identities, batch.metadata, vectors, batch.qualities, strict=True
        ):
            row = TemplateRow(number, identity, metadata, vector.tobytes(), quality)
            copy.write_row(row_values(row))
    images = [
        (number, checksum(number, image), image)
        for number, image in zip(ids, batch.thumbnails, strict=True)
        if image is not None
    ]
    if images:
        cursor.executemany("INSERT INTO thumbnails VALUES (%s, %s, %s)", images)
    change.count(last=len(ids), templates=len(ids), thumbnails=len(images), changes=len(ids))
    return tuple(ids)


def remove(change: Change, templates: Sequence[int]) -> int:
    """Remove templates that are there, and their thumbnails; return how many there were."""
    cursor, ids = change.cursor, list(templates)
    cursor.execute("DELETE FROM thumbnails WHERE template = ANY(%s)", [ids])
    images = cursor.rowcount
    cursor.execute("DELETE FROM templates WHERE id = ANY(%s) RETURNING active", [ids])
    active = [one for (one,) in cursor]
    removed = len(active)
    change.count(templates=-removed, changes=removed)
    change.count(quarantined=-active.count(False), thumbnails=-images)
    return removed


def remove_identities(change: Change, keys: Sequence[str]) -> int:
    """Remove all templates of identities, in quarantine or not; return how many there were."""
    change.cursor.execute("SELECT id FROM templates WHERE key = ANY(%s)", [sorted(set(keys))])
    ids = [number for (number,) in change.cursor]
    return remove(change, ids) if ids else 0


def amend(
    change: Change, templates: Sequence[int], changed: Callable[[TemplateRow], TemplateRow]
) -> None:
    """Change what templates are that are there."""
    cursor = change.cursor
    cursor.execute(f"SELECT {READ} FROM templates t WHERE id = ANY(%s)", [list(templates)])
    old = read_rows(cursor.fetchall())
    new = [changed(row) for row in old]
    cursor.executemany(
        "UPDATE templates SET crc = %s, key = %s, identity = %s, metadata = %s, "
        "conditions = %s::jsonb, quarantine = %s WHERE id = %s",
        [_amended(row) for row in new],
    )
    held = sum(row.quarantine is not None for row in new)
    held -= sum(row.quarantine is not None for row in old)
    change.count(quarantined=held, changes=len(new))


def present(cursor: Cursor[tuple[Any, ...]], templates: Sequence[int], shown: str) -> list[int]:
    """Return the ids of templates, each once.

    Raises:
        GalleryError: one is not there, in quarantine or not.
    """
    ids = list(dict.fromkeys(map(operator.index, templates)))
    cursor.execute("SELECT id FROM templates WHERE id = ANY(%s)", [[*filter(_is_id, ids)]])
    found = {number for (number,) in cursor}
    for one in ids:
        if one not in found:
            raise GalleryError(f"{shown}: there is no template {one}")
    return ids


def joined(cursor: Cursor[tuple[Any, ...]], identities: Sequence[str]) -> list[str]:
    """Return what to say of identities that are enrolled in another written form, or go to be."""
    keys = {one: key_of(one) for one in identities}
    cursor.execute(
        "SELECT DISTINCT ON (key) key, identity FROM templates WHERE active AND key = ANY(%s) "
        "ORDER BY key, id",
        [sorted(set(keys.values()))],
    )
    first = {key: restored(form) for key, form in cursor}
    return [
        f"{one!r} goes to {first[key]!r}"
        for one, key in keys.items()
        if first.setdefault(key, one) != one
    ]


def _is_id(number: int) -> bool:
    return 0 < number < 2**63


def _amended(row: TemplateRow) -> list[Any]:
    """Return what of a row can change, and its id."""
    number, crc, key, identity, metadata, conditions, _, _, _, reason = row_values(row)
    assert isinstance(conditions, bytes)
    return [crc, key, identity, metadata, conditions[1:].decode(), reason, number]
