"""What changed of templates since they were enrolled, and their thumbnails: tables of their own.

An amendment says whose a template is now, what its metadata are, and whether it is in quarantine;
the last one about a template holds, and the one before it is overwritten by zeros. Both tables only
grow at their ends, as that of the templates does and for the same reason (`sql`). How many live
rows they must have is in a row of its own. They are made with the first amendment or thumbnail.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from arcwise.gallery.damage import Damage
from arcwise.gallery.sql import ERASED, raise_version

WITH_CHANGES = 3
"""The version of a file with these tables, which older readers refuse."""

_AMENDMENTS = """CREATE TABLE {name} (
    sequence INTEGER PRIMARY KEY, crc BLOB NOT NULL, template INTEGER NOT NULL,
    identity TEXT NOT NULL, metadata TEXT NOT NULL, quarantine TEXT)"""
_THUMBNAILS = """CREATE TABLE {name} (
    template INTEGER PRIMARY KEY, crc BLOB NOT NULL, image BLOB NOT NULL)"""
_KEPT = """CREATE TABLE kept (
    one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL, amendments INTEGER NOT NULL,
    thumbnails INTEGER NOT NULL, crc INTEGER NOT NULL)"""


@dataclass(frozen=True)
class Amendment:
    """What a template is now.

    Attributes:
        identity: whose it is.
        metadata: JSON text.
        quarantine: why it takes part in nothing; None where it does.
        sequence: number of the amendment; they rise.
    """

    identity: str
    metadata: str
    quarantine: str | None
    sequence: int = 0


@dataclass(frozen=True)
class Kept:
    """What the two tables must hold.

    Attributes:
        last: the largest number of an amendment ever given.
        amendments: that hold.
        thumbnails: of templates that are not removed.
    """

    last: int = 0
    amendments: int = 0
    thumbnails: int = 0

    def crc(self) -> int:
        """Return the checksum of all of it."""
        return zlib.crc32(struct.pack("<3q", *astuple(self)))


def read_kept(connection: sqlite3.Connection) -> Kept | None:
    """Return what the tables must hold; None in a file without them.

    Raises:
        Damage: its own checksum does not fit.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < WITH_CHANGES:
        return None
    rows = connection.execute("SELECT last, amendments, thumbnails, crc FROM kept").fetchall()
    if len(rows) == 1 and all(isinstance(one, int) for one in rows[0]):
        kept = Kept(*rows[0][:3])
        if kept.crc() == rows[0][3]:
            return kept
    raise Damage("what it says of its changes")


def write_kept(connection: sqlite3.Connection, kept: Kept) -> None:
    """Replace what the tables must hold."""
    values = (*astuple(kept), kept.crc())
    connection.execute("INSERT OR REPLACE INTO kept VALUES (1, ?, ?, ?, ?)", values)


def made(connection: sqlite3.Connection) -> Kept:
    """Return what the tables hold, which are made where there are none."""
    kept = read_kept(connection)
    if kept is not None:
        return kept
    for statement in (_AMENDMENTS.format(name="amendments"),
                      _THUMBNAILS.format(name="thumbnails"), _KEPT):  # fmt: skip
        connection.execute(statement)
    raise_version(connection, WITH_CHANGES)
    write_kept(connection, Kept())
    return Kept()


def amend(
    connection: sqlite3.Connection,
    changed: Mapping[int, Amendment],
    before: Mapping[int, Amendment],
) -> None:
    """Write what templates are now, and overwrite what was written of them before."""
    kept = made(connection)
    gone = _erase_amendments(connection, [before[one] for one in changed if one in before])
    sequence = kept.last
    for template, one in changed.items():
        sequence += 1
        new = replace(one, sequence=sequence)
        connection.execute(
            "INSERT INTO amendments VALUES (?, ?, ?, ?, ?, ?)",
            (sequence, _crc(template, new), template, new.identity, new.metadata, new.quarantine),
        )
    amendments = kept.amendments + len(changed) - gone
    write_kept(connection, replace(kept, last=sequence, amendments=amendments))


def add_thumbnails(
    connection: sqlite3.Connection, templates: Sequence[int], images: Sequence[bytes | None]
) -> None:
    """Write the thumbnails of new templates, whose ids rise."""
    rows = [
        (template, _crc_of_image(template, image), image)
        for template, image in zip(templates, images, strict=True)
        if image is not None
    ]
    if rows:
        kept = made(connection)
        connection.executemany("INSERT INTO thumbnails VALUES (?, ?, ?)", rows)
        write_kept(connection, replace(kept, thumbnails=kept.thumbnails + len(rows)))


def erase(
    connection: sqlite3.Connection, templates: Sequence[int], before: Mapping[int, Amendment]
) -> None:
    """Overwrite the amendments and thumbnails of templates that are removed."""
    kept = read_kept(connection)
    if kept is None:
        return
    gone = _erase_amendments(connection, [before[one] for one in templates if one in before])
    shown = connection.executemany(
        "UPDATE thumbnails SET crc = zeroblob(4), image = zeroblob(length(image)) "
        "WHERE template = ? AND crc != ?",
        ((template, ERASED) for template in templates),
    ).rowcount
    write_kept(
        connection,
        replace(kept, amendments=kept.amendments - gone, thumbnails=kept.thumbnails - shown),
    )


def compact(connection: sqlite3.Connection, holding: Mapping[int, Amendment]) -> None:
    """Drop erased rows, and the amendments that the templates' own rows say now.

    Args:
        connection: in a transaction.
        holding: the amendments that stay.
    """
    kept = read_kept(connection)
    if kept is None:
        return
    connection.execute(_AMENDMENTS.format(name="holding"))
    connection.executemany(
        "INSERT INTO holding VALUES (?, ?, ?, ?, ?, ?)",
        (
            (one.sequence, _crc(template, one), template, *astuple(one)[:3])
            for template, one in sorted(holding.items(), key=lambda item: item[1].sequence)
        ),
    )
    connection.execute(_THUMBNAILS.format(name="shown"))
    connection.execute(
        "INSERT INTO shown SELECT * FROM thumbnails WHERE crc != ? ORDER BY template", (ERASED,)
    )
    for old, new in (("amendments", "holding"), ("thumbnails", "shown")):
        connection.execute(f"DROP TABLE {old}")
        connection.execute(f"ALTER TABLE {new} RENAME TO {old}")
    write_kept(connection, replace(kept, amendments=len(holding)))


def read_amendments(connection: sqlite3.Connection, after: int = 0) -> dict[int, Amendment]:
    """Return what templates are now, of those amended after a number.

    Raises:
        Damage: names the templates whose amendment is not what was written.
    """
    found: dict[int, Amendment] = {}
    damaged = []
    for sequence, crc, template, *texts in connection.execute(
        "SELECT sequence, crc, template, CAST(identity AS BLOB), CAST(metadata AS BLOB), "
        "CAST(quarantine AS BLOB) FROM amendments WHERE sequence > ? AND crc != ? "
        "ORDER BY sequence",
        (after, ERASED),
    ):
        try:
            identity, metadata, quarantine = (one and one.decode() for one in texts)
            one = Amendment(identity or "", metadata or "", quarantine, sequence)
        except UnicodeDecodeError:
            damaged.append(template)
            continue
        if crc != _crc(template, one):
            damaged.append(template)
        found[template] = one
    if damaged:
        raise Damage(f"amendments of {len(damaged)} templates", damaged)
    return found


def read_thumbnails(connection: sqlite3.Connection, first: int, last: int) -> dict[int, bytes]:
    """Return the thumbnails of the templates from one id to another.

    Raises:
        Damage: names the templates whose thumbnail is not what was written.
    """
    rows = connection.execute(
        "SELECT template, crc, CAST(image AS BLOB) FROM thumbnails "
        "WHERE template BETWEEN ? AND ? AND crc != ?",
        (first, last, ERASED),
    ).fetchall()
    damaged = [template for template, crc, image in rows if crc != _crc_of_image(template, image)]
    if damaged:
        raise Damage(f"thumbnails of {len(damaged)} templates", damaged)
    return {template: image for template, _, image in rows}


def check(connection: sqlite3.Connection, amendments: int, thumbnails: int) -> None:
    """Raise a Damage unless there are as many as there must be."""
    kept = read_kept(connection) or Kept()
    for what, found, expected in (("amendments", amendments, kept.amendments),
                                  ("thumbnails", thumbnails, kept.thumbnails)):  # fmt: skip
        if found != expected:
            raise Damage(f"{found} {what} found, {expected} expected")


def _erase_amendments(connection: sqlite3.Connection, those: Iterable[Amendment]) -> int:
    """Return how many there were; those that a compaction dropped are not."""
    return connection.executemany(
        "UPDATE amendments SET crc = zeroblob(4), "
        "identity = zeroblob(length(CAST(identity AS BLOB))), "
        "metadata = zeroblob(length(CAST(metadata AS BLOB))), "
        "quarantine = zeroblob(length(CAST(quarantine AS BLOB))) WHERE sequence = ? AND crc != ?",
        ((one.sequence, ERASED) for one in those),
    ).rowcount


def _crc(template: int, one: Amendment) -> bytes:
    texts = [one.identity.encode(), one.metadata.encode(), (one.quarantine or "").encode()]
    lengths = [-1 if one.quarantine is None else len(texts[2]), len(texts[0]), len(texts[1])]
    content = struct.pack("<5q", one.sequence, template, *lengths) + b"".join(texts)
    return (zlib.crc32(content) or 1).to_bytes(4, "little")


def _crc_of_image(template: int, image: bytes) -> bytes:
    return (zlib.crc32(image, template & 0xFFFFFFFF) or 1).to_bytes(4, "little")
