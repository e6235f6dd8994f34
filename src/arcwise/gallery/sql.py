"""The statements of a gallery's SQLite file, and the checks that every byte read must pass.

A template is one row. Its checksum covers the id, the identity, the metadata, the vector and the
quality, so a changed byte, a moved row and a row put together from two are all found; the one row
of `about` says how many templates there must be, so a lost row is found too.

The column of qualities is made when the first one is stored: a gallery without it is the same, byte
for byte, as before there were any, and its checksums hold in one that has got the column since.

What changed of a template since it was enrolled, and its thumbnail, are in tables of their own
(`changes`): its row stays as it was written.

A removed template's row is overwritten where it stands, by zeros of the same length, and dropped
later with many others. Deleting it at once would make SQLite move its neighbours between pages
and leave copies of them behind, which a later removal would not find.
"""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.damage import Damage
from arcwise.gallery.vectors import UNIT_TOLERANCE, CheckedItems, norms

TEMPLATES = """CREATE TABLE {name} (
    id INTEGER PRIMARY KEY, crc BLOB NOT NULL, identity TEXT NOT NULL, metadata TEXT NOT NULL,
    vector BLOB NOT NULL)"""
SCHEMA = (
    TEMPLATES.format(name="templates"),
    "CREATE TABLE removed (sequence INTEGER PRIMARY KEY, template INTEGER NOT NULL)",
    """CREATE TABLE about (
    one INTEGER PRIMARY KEY CHECK (one = 1), dim INTEGER NOT NULL, fingerprint TEXT, model TEXT,
    templates INTEGER NOT NULL, last INTEGER NOT NULL, removals INTEGER NOT NULL,
    erased INTEGER NOT NULL, crc INTEGER NOT NULL)""",
)

WITH_QUALITY = 2
"""The version of a file whose templates have a column of qualities, which older readers refuse."""

_ADD_QUALITY = "ALTER TABLE {name} ADD COLUMN quality BLOB"

CALIBRATION = """CREATE TABLE IF NOT EXISTS calibration (
    one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL, crc INTEGER NOT NULL)"""
"""Made when a gallery is calibrated: older files have none, and older readers pass it over."""

_COMPACT_FROM = 1000  # erased rows worth a copying of the live ones
_CHUNK = 4096  # rows read and checked at once
_KEPT_REMOVALS = 100_000  # a process further behind than this reads the whole gallery again
ERASED = b"\0\0\0\0"  # the checksum of a row overwritten by zeros; no live row has it


@dataclass(frozen=True)
class About:
    """What a gallery says of itself.

    Attributes:
        dim: dimensions of every vector.
        fingerprint: the model it is bound to, or None.
        model: where that model lay.
        templates: how many templates there are.
        last: the largest template id ever given.
        removals: how many templates were ever removed.
        erased: how many of those still have a row, of zeros.
    """

    dim: int
    fingerprint: str | None
    model: str | None
    templates: int = 0
    last: int = 0
    removals: int = 0
    erased: int = 0

    def crc(self) -> int:
        """Return the checksum of all of it."""
        return zlib.crc32(json.dumps(astuple(self)).encode())


@dataclass(frozen=True)
class TemplateRows:
    """Templates read and found sound.

    Ids (N,), N identities, vectors (N, D), N JSON texts, qualities (N,) with NaN for none.
    """

    templates: NDArray[np.int64]
    identities: list[str]
    vectors: NDArray[np.float32]
    metadata: list[str]
    qualities: NDArray[np.float64]


def write_about(connection: sqlite3.Connection, about: About) -> None:
    """Replace what the gallery says of itself."""
    connection.execute(
        "INSERT OR REPLACE INTO about VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*astuple(about), about.crc()),
    )


def read_about(connection: sqlite3.Connection) -> About:
    """Return what the gallery says of itself.

    Raises:
        Damage: its own checksum does not fit.
    """
    rows = connection.execute(
        "SELECT dim, CAST(fingerprint AS BLOB), CAST(model AS BLOB), templates, last, removals, "
        "erased, crc FROM about"
    ).fetchall()
    if len(rows) == 1:
        dim, fingerprint, model, *counts, crc = rows[0]
        try:
            names = [name if name is None else name.decode() for name in (fingerprint, model)]
            about = About(dim, names[0], names[1], *counts)
        except (AttributeError, UnicodeDecodeError):
            about = None
        if about is not None and about.crc() == crc:
            return about
    raise Damage("what it says of itself")


def read_token(connection: sqlite3.Connection) -> str | None:
    """Return what the gallery's snapshot is known by; None without one."""
    tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'snapshot'"
    if connection.execute(tables).fetchone() == (0,):
        return None
    row = connection.execute("SELECT token FROM snapshot").fetchone()
    return None if row is None else str(row[0])


def write_token(connection: sqlite3.Connection, token: str) -> None:
    """Replace what the gallery's snapshot is known by; older readers pass it over."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS snapshot ("
        "one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL)"
    )
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?)", (token,))


def write_calibration(connection: sqlite3.Connection, text: str) -> None:
    """Replace what was measured against the gallery."""
    connection.execute(CALIBRATION)
    values = (text, zlib.crc32(text.encode()))
    connection.execute("INSERT OR REPLACE INTO calibration VALUES (1, ?, ?)", values)


def read_calibration(connection: sqlite3.Connection) -> str | None:
    """Return what was measured against the gallery; None where nothing was.

    Raises:
        Damage: its checksum does not fit.
    """
    tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'calibration'"
    if connection.execute(tables).fetchone() == (0,):
        return None
    row = connection.execute("SELECT CAST(text AS BLOB), crc FROM calibration").fetchone()
    if row is None:
        return None
    if zlib.crc32(row[0]) != row[1]:
        raise Damage("its calibration")
    return row[0].decode()


def insert(connection: sqlite3.Connection, after: int, batch: CheckedItems) -> list[int]:
    """Write a batch and return its ids, from `after` + 1 on."""
    ids = list(range(after + 1, after + 1 + len(batch)))
    if any(quality is not None for quality in batch.qualities) and not _has_quality(connection):
        connection.execute(_ADD_QUALITY.format(name="templates"))
        raise_version(connection, WITH_QUALITY)
    own = ["id", "crc", "identity", "metadata", "vector"]
    own += ["quality"] if _has_quality(connection) else []

    def rows() -> Iterator[tuple[int | bytes | str | None, ...]]:
        for template, identity, metadata, vector, quality in zip(
            ids, batch.identities, batch.metadata, batch.vectors, batch.qualities, strict=True
        ):
            blob = vector.astype("<f4").tobytes()
            number = None if quality is None else struct.pack("<d", quality)
            crc = _crc(template, identity.encode(), metadata.encode(), blob, number)
            yield (template, crc, identity, metadata, blob, number)[: len(own)]

    places = ", ".join("?" * len(own))
    connection.executemany(f"INSERT INTO templates ({', '.join(own)}) VALUES ({places})", rows())
    return ids


def raise_version(connection: sqlite3.Connection, version: int) -> None:
    """Let the file be of a version, at least: older readers refuse it."""
    (now,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version={max(now, version)}")


def _has_quality(connection: sqlite3.Connection, table: str = "templates") -> bool:
    """Return whether the templates have a column of qualities."""
    columns = "SELECT count(*) FROM pragma_table_info(?) WHERE name = 'quality'"
    return connection.execute(columns, (table,)).fetchone() == (1,)


def erase(connection: sqlite3.Connection, removals: int, templates: Sequence[int]) -> None:
    """Overwrite templates by zeros, and note their ids as removals after the first `removals`.

    Raises:
        Damage: a template is not where it was.
    """
    quality = ", quality = zeroblob(length(quality))" if _has_quality(connection) else ""
    changed = connection.executemany(
        "UPDATE templates SET crc = zeroblob(4), "
        "identity = zeroblob(length(CAST(identity AS BLOB))), "
        "metadata = zeroblob(length(CAST(metadata AS BLOB))), "
        f"vector = zeroblob(length(vector)){quality} WHERE id = ?",
        ((template,) for template in templates),
    ).rowcount
    if changed != len(templates):
        raise Damage(f"{len(templates)} templates to remove, {changed} found", templates)
    connection.executemany(
        "INSERT INTO removed VALUES (?, ?)", enumerate(templates, start=removals + 1)
    )
    connection.execute(
        "DELETE FROM removed WHERE sequence <= ?", (removals + len(templates) - _KEPT_REMOVALS,)
    )


def worth_compacting(about: About) -> bool:
    """Return whether most rows are erased ones."""
    return about.erased >= max(_COMPACT_FROM, about.templates)


def compact(
    connection: sqlite3.Connection, about: About, amended: Mapping[int, tuple[str, str]]
) -> About:
    """Drop the erased rows, and return what the gallery then says of itself.

    The live rows are copied to new pages, and the old ones cleared, for reuse.

    Args:
        connection: in a transaction.
        about: what the gallery says of itself.
        amended: identity and metadata of the templates that are to have others than enrolled.
    """
    connection.execute(TEMPLATES.format(name="compacted"))
    if _has_quality(connection):
        connection.execute(_ADD_QUALITY.format(name="compacted"))
    live = "SELECT * FROM templates WHERE crc != ? ORDER BY id"
    if amended:
        cursor = connection.execute(live.replace("*", "id, crc, CAST(identity AS BLOB), "
            "CAST(metadata AS BLOB), vector" + (", quality" if _has_quality(connection) else "")),
            (ERASED,))  # fmt: skip
        places = ", ".join("?" * len(cursor.description))
        connection.executemany(
            f"INSERT INTO compacted VALUES ({places})", (_amended(row, amended) for row in cursor)
        )
    else:
        connection.execute(f"INSERT INTO compacted {live}", (ERASED,))
    connection.execute("DROP TABLE templates")
    connection.execute("ALTER TABLE compacted RENAME TO templates")
    return replace(about, erased=0)


def _amended(row: Sequence[Any], amended: Mapping[int, tuple[str, str]]) -> tuple[Any, ...]:
    """Return a row as it is written again, with a checksum of what is new in it."""
    template, crc, identity, metadata, blob, *quality = row
    identity, metadata = identity.decode(), metadata.decode()
    if template in amended:
        identity, metadata = amended[template]
        number = quality[0] if quality else None
        crc = _crc(template, identity.encode(), metadata.encode(), blob, number)
    return (template, crc, identity, metadata, blob, *quality)


def read_removals(connection: sqlite3.Connection, after: int) -> list[int]:
    """Return the ids of the templates removed after the first `after` removals."""
    return [
        template
        for (template,) in connection.execute(
            "SELECT template FROM removed WHERE sequence > ?", (after,)
        )
    ]


def read_rows(
    connection: sqlite3.Connection,
    dim: int,
    after: int = 0,
    *,
    upto: int = 2**63 - 1,
    only: Sequence[int] | None = None,
) -> Iterator[TemplateRows]:
    """Yield the templates whose ids are larger than `after`, in chunks, in the order of their ids.

    Args:
        connection: to read from.
        dim: dimensions of the vectors.
        after: the largest id that is not wanted.
        upto: the largest that is.
        only: the ids that are wanted of these; None for all.

    Raises:
        Damage: at the end, naming every row that is not what was written.
    """
    quality = "CAST(quality AS BLOB)" if _has_quality(connection) else "NULL"
    cursor = connection.execute(
        "SELECT id, crc, CAST(identity AS BLOB), CAST(metadata AS BLOB), CAST(vector AS BLOB), "
        f"{quality} FROM templates WHERE id > ? AND id <= ? AND crc != ?"
        + ("" if only is None else " AND id IN (SELECT value FROM json_each(?))")
        + " ORDER BY id",
        (after, upto, ERASED) + (() if only is None else (json.dumps(list(only)),)),
    )
    damaged: list[int] = []
    while chunk := cursor.fetchmany(_CHUNK):
        sound = []
        for row in chunk:
            template, crc, identity, metadata, blob, number = row
            if (
                template > after
                and len(blob) == 4 * dim
                and (number is None or len(number) == 8)
                and crc == _crc(template, identity, metadata, blob, number)
            ):
                sound.append(row)
            else:
                damaged.append(template)
            after = template  # a page seen twice repeats ids
        if not sound:
            continue
        vectors = np.frombuffer(b"".join(row[4] for row in sound), "<f4").reshape(-1, dim)
        vectors = vectors.astype(np.float32, copy=False)
        # The checksum has passed: a length that is wrong now was wrong when it was written.
        off = ~(np.abs(norms(vectors) - 1) <= UNIT_TOLERANCE + 1e-6)
        templates = np.array([row[0] for row in sound], np.int64)
        damaged.extend(templates[off].tolist())
        if not damaged:
            identities = [row[2].decode() for row in sound]
            qualities = b"".join(row[5] or struct.pack("<d", math.nan) for row in sound)
            yield TemplateRows(
                templates,
                identities,
                vectors,
                [row[3].decode() for row in sound],
                np.frombuffer(qualities, "<f8").astype(np.float64, copy=False),
            )
    if damaged:
        raise Damage(f"{len(damaged)} templates, ids {_listed(damaged)}", damaged)


def compare_count(count: int, expected: int) -> None:
    """Raise a Damage unless as many templates were read as there must be."""
    if count != expected:
        raise Damage(f"{count} templates found, {expected} expected")


def _crc(
    template: int, identity: bytes, metadata: bytes, vector: bytes, quality: bytes | None
) -> bytes:
    lengths = struct.pack("<qII", template, len(identity), len(metadata))
    content = b"".join((lengths, identity, metadata, vector, quality or b""))
    return (zlib.crc32(content) or 1).to_bytes(4, "little")


def _listed(ids: Iterable[int], shown: int = 10) -> str:
    names = [str(one) for one in sorted(ids)]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
