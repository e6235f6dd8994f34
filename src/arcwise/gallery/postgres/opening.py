"""Creating a gallery in a database, and what its server must be."""

from __future__ import annotations

import warnings
from typing import Any

import psycopg
from psycopg import Connection, errors, sql

from arcwise.errors import GalleryError
from arcwise.gallery.contract import NO_SUCH_GALLERY
from arcwise.gallery.postgres.address import PostgresAddress
from arcwise.gallery.postgres.connections import Connections, connect, gallery_error
from arcwise.gallery.postgres.rows import (
    ABOUT,
    LARGEST,
    TABLES,
    VERSION,
    GalleryRow,
    about_values,
    vector_storage,
)

_ONE_AT_A_TIME = 0x41726377  # "Arcw": the lock of those who create
_EXTENSION = (
    "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
    "WHERE e.extname = 'vector'"
)


def open_server(
    address: PostgresAddress, *, writable: bool, create: bool, new: GalleryRow | None
) -> Connections:
    """Return the connections of a gallery, which is made if there is none of that name.

    It is there whole or not at all. Of two processes that create the same gallery, one does, and
    the other uses what the first has made.

    Args:
        address: of the gallery.
        writable: whether it may be changed.
        create: whether it may be made.
        new: what a new gallery says of itself; None where that is not known.

    Raises:
        GalleryError: there is no server, or no gallery, or one of another version; or the server
            is a copy that is behind; or the user may not make a gallery.
    """
    try:
        connection = connect(address)
        try:
            if create and not _is_there(connection, address):
                if new is None:
                    raise GalleryError(
                        f"{address.shown}: a new gallery needs model=..., or dim=... without one"
                    )
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
                    if not _is_there(connection, address):
                        _make(connection, address, new)
            vectors = _vectors(connection, address, writable=writable)
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        raise gallery_error(address, error, opened=False) from error
    return Connections(address, vectors, connection, writable=writable)


def _vectors(
    connection: Connection[tuple[Any, ...]], address: PostgresAddress, *, writable: bool
) -> str:
    """Return the schema with pgvector's type, in a database that has the gallery."""
    if not _is_there(connection, address):
        raise GalleryError(f"{address.shown}: {NO_SUCH_GALLERY}")
    about = sql.SQL("SELECT version FROM {}.about").format(sql.Identifier(address.schema))
    version = connection.execute(about).fetchone()
    if version is not None and version != (VERSION,):
        raise GalleryError(
            f"{address.shown}: a gallery of version {version[0]}; this Arcwise reads version "
            f"{VERSION}: use the Arcwise that wrote it"
        )
    standby, syncs = _one(connection, "SELECT pg_is_in_recovery(), current_setting('fsync')")
    if standby:
        raise GalleryError(
            f"{address.shown}: a standby server, whose answers are late; give the address of the "
            "primary one, or target_session_attrs=read-write"
        )
    if syncs != "on" and writable:
        warnings.warn(
            f"{address.shown}: fsync is off on this server: what it acknowledges does not survive "
            "a power cut",
            stacklevel=6,
        )
    (vectors,) = _one(connection, _EXTENSION)
    return str(vectors)


def _is_there(connection: Connection[tuple[Any, ...]], address: PostgresAddress) -> bool:
    statement = (
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = 'about'"
    )
    return _one(connection, statement, [address.schema]) == (1,)


def _make(
    connection: Connection[tuple[Any, ...]], address: PostgresAddress, about: GalleryRow
) -> None:
    if about.dim > LARGEST:
        raise GalleryError(
            f"{address.shown}: dim is {about.dim}; pgvector holds vectors of at most {LARGEST:,} "
            "dimensions"
        )
    (encoding,) = _one(connection, "SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise GalleryError(
            f"{address.shown}: the database's encoding is {encoding}; a gallery needs UTF8, so "
            "that it holds every name: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    schema = sql.Identifier(address.schema)
    if connection.execute(_EXTENSION).fetchone() is None:
        try:
            connection.execute("CREATE EXTENSION vector")
        except (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.UndefinedFile):
            raise GalleryError(
                f"{address.shown}: the database has not got the extension vector; let its "
                "administrator install pgvector and say CREATE EXTENSION vector"
            ) from None
    (vectors,) = _one(connection, _EXTENSION)
    if _one(
        connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", [address.schema]
    ) == (0,):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    connection.execute(
        sql.SQL(TABLES).format(
            schema=schema,
            vectors=sql.Identifier(str(vectors)),
            dim=sql.Literal(about.dim),
            storage=sql.SQL(vector_storage(about.dim)),
        )
    )
    values = sql.SQL(", ").join(map(sql.Literal, about_values(about)))
    connection.execute(
        sql.SQL(f"INSERT INTO {{}}.about (one, {ABOUT}) VALUES (1, {{}})").format(schema, values)
    )


def _one(
    connection: Connection[tuple[Any, ...]], statement: Any, values: list[Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    assert row is not None  # a select without a table, or an aggregate
    return row
