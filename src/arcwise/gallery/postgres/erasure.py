"""Taking what was removed out of a PostgreSQL server's files, as far as its user may."""

from __future__ import annotations

import re
from typing import Any, LiteralString

from psycopg import Connection, errors, sql

from arcwise.errors import GalleryError
from arcwise.gallery.postgres.address import Address

_TABLES = ("templates", "thumbnails", "about")
_PATIENCE = "60s"  # for searches that are under way
_SEGMENTS: LiteralString = "FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"


def erase_removed(connection: Connection[tuple[Any, ...]], address: Address) -> str:
    """Write a gallery's tables again, and the server's write-ahead log over.

    A table is written to a new file without the rows that were removed, and the old one is gone.
    The log still holds these rows: its old segments are kept under new names for later use. They
    are let go by a checkpoint, and then used up, one after the other.

    Returns:
        What could not be done, in words; empty where all was.

    Raises:
        GalleryError: the user does not own the tables, or another transaction still sees the rows.
    """
    said: list[tuple[str | None, str | None, str | None]] = []
    connection.add_notice_handler(
        lambda one: said.append(
            (one.severity_nonlocalized, one.message_primary, one.message_detail)
        )
    )
    connection.execute(f"SET lock_timeout TO '{_PATIENCE}'")
    for name in _TABLES:
        table = sql.Identifier(address.schema, name)
        connection.execute(sql.SQL("VACUUM (FULL, VERBOSE) {}").format(table))
    for severity, message, detail in said:
        if severity == "WARNING":  # not the owner: the table is skipped
            raise GalleryError(f"{address.shown}: not purged ({message})")
        # "0 dead row versions cannot be removed yet", in whatever language the server speaks
        kept = re.match(r"\d+", detail or "")
        if kept and int(kept[0]):
            raise GalleryError(
                f"{address.shown}: not purged: an older transaction still sees {kept[0]} removed "
                "rows; let it end, and purge again"
            )
    return _overwrite_log(connection)


def _overwrite_log(connection: Connection[tuple[Any, ...]]) -> str:
    try:
        (last,) = _one(connection, "SELECT pg_walfile_name(pg_switch_wal())")
        connection.execute("CHECKPOINT")
        (reused,) = _one(connection, f"SELECT coalesce(max(name), '') {_SEGMENTS}")
        while _one(connection, "SELECT pg_walfile_name(pg_current_wal_lsn())") <= (reused,):
            # A switch fills the rest of a segment with zeros, if there is anything in it.
            connection.execute("SELECT pg_logical_emit_message(false, 'arcwise', '')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        (kept,) = _one(connection, f"SELECT count(*) {_SEGMENTS} AND name <= %s", last)
    except errors.InsufficientPrivilege:
        return (
            "the tables are purged; the server's write-ahead log keeps what was removed until it "
            "is overwritten, which this user may not do: see purge in the documentation"
        )
    if kept:
        return (
            f"the tables are purged; the server keeps {kept} old segments of its write-ahead log "
            "(a replication slot, wal_keep_size, an archive that is behind), which hold what was "
            "removed"
        )
    return ""


def _one(
    connection: Connection[tuple[Any, ...]], statement: Any, *values: object
) -> tuple[Any, ...]:
    row = connection.execute(statement, values or None).fetchone()
    assert row is not None  # an aggregate, or a select without a table
    return row
