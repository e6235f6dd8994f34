"""Everything in a gallery's file, as it is now: each template with what changed of it since."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping

from arcwise.gallery import changes, sql
from arcwise.gallery.changes import Amendment
from arcwise.gallery.contract import EnrolledTemplate, GalleryAbout, Health, StoredTemplates
from arcwise.gallery.damage import Damage
from arcwise.identity import identity_key


def about_now(connection: sqlite3.Connection) -> GalleryAbout:
    """Return what the file says of its gallery; no template is read.

    Raises:
        Damage: what is read is not what was written.
    """
    now, kept = sql.read_about(connection), changes.read_kept(connection)
    count = now.last + now.removals + (0 if kept is None else kept.last)
    return GalleryAbout(now.dim, now.fingerprint, now.model, now.templates, count)


def stored_templates(connection: sqlite3.Connection) -> Iterator[StoredTemplates]:
    """Yield every template in chunks, the oldest first.

    Args:
        connection: in a transaction, whose state of the file it is.

    Raises:
        Damage: what is read is not what was written.
    """
    about, kept = sql.read_about(connection), changes.read_kept(connection)
    amended = {} if kept is None else changes.read_amendments(connection)
    count = images = 0
    for rows in sql.read_rows(connection, about.dim):
        first, last = int(rows.templates[0]), int(rows.templates[-1])
        shown = {} if kept is None else changes.read_thumbnails(connection, first, last)
        count, images = count + len(rows.templates), images + len(shown)
        yield _as_they_are(rows, amended, shown)
    sql.compare_count(count, about.templates)
    changes.check(connection, len(amended), images)


def quarantined_templates(
    connection: sqlite3.Connection, dim: int, held: Mapping[int, Amendment]
) -> list[tuple[EnrolledTemplate, str]]:
    """Return the templates in quarantine with the reasons, the oldest template first.

    Raises:
        Damage: what is read is not what was written.
    """
    found = []
    for rows in sql.read_rows(connection, dim, only=sorted(held)):
        for template, quality in zip(
            rows.templates.tolist(), _or_none(rows.qualities.tolist()), strict=True
        ):
            one = held[template]
            metadata = json.loads(one.metadata)
            about = EnrolledTemplate(template, one.identity, metadata, quality)
            found.append((about, one.quarantine or ""))
    return found


def health(connection: sqlite3.Connection) -> Health:
    """Return how much there is, once every byte was read.

    Args:
        connection: in a transaction, whose state of the file it is.

    Raises:
        Damage: what is read is not what was written.
    """
    problems = connection.execute("PRAGMA integrity_check(3)").fetchall()
    if problems != [("ok",)]:
        raise Damage("; ".join(text for (text,) in problems))
    count, held, names = 0, 0, set()
    for rows in stored_templates(connection):
        count += len(rows)
        held += sum(reason is not None for reason in rows.quarantined)
        names.update(map(identity_key, rows.identities))
    return Health(count, len(names), held)


def _as_they_are(
    rows: sql.TemplateRows, amended: Mapping[int, Amendment], shown: Mapping[int, bytes]
) -> StoredTemplates:
    ids = rows.templates.tolist()
    identities, metadata = list(rows.identities), list(rows.metadata)
    quarantined: list[str | None] = [None] * len(ids)
    for place, template in enumerate(ids if amended else ()):
        one = amended.get(template)
        if one is not None:
            identities[place], metadata[place] = one.identity, one.metadata
            quarantined[place] = one.quarantine
    return StoredTemplates(
        rows.templates,
        identities,
        rows.vectors,
        [json.loads(text) for text in metadata],
        _or_none(rows.qualities.tolist()),
        [shown.get(template) for template in ids],
        quarantined,
    )


def _or_none(qualities: list[float]) -> list[float | None]:
    return [None if math.isnan(quality) else quality for quality in qualities]
