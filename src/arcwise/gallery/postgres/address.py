"""The address of a gallery on a PostgreSQL server: `postgresql://user@host/database?gallery=shop`.

One database holds any number of galleries, each in a schema of its own: its tables are scanned,
locked, vacuumed, backed up, granted and dropped without touching those of another, and the vectors
of each have its own number of dimensions. A column with the gallery's name would give none of that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import psycopg
from psycopg import conninfo

from arcwise.errors import GalleryError

PREFIX = "arcwise_"
"""What the schema of a gallery begins with, so that no other program's is taken for one."""

_LONGEST = 63 - len(PREFIX)  # bytes; PostgreSQL cuts longer names


@dataclass(frozen=True)
class Address:
    """Where a gallery is.

    Attributes:
        name: of the gallery.
        shown: the address without a password, for messages.
        parameters: what libpq connects with; a password is in no `repr`.
    """

    name: str
    shown: str
    parameters: dict[str, str | int | None] = field(repr=False)

    @property
    def schema(self) -> str:
        """The schema with the gallery's tables."""
        return PREFIX + self.name

    def without_password(self, text: str) -> str:
        """Return a message of the server's or of libpq's without the password."""
        password = str(self.parameters.get("password") or "")
        return text.replace(password, "***") if password else text


def read_address(text: str) -> Address:
    """Return the address that is written as a URL.

    Every option of libpq can stand in it, such as `sslmode=verify-full`. What is missing comes
    from libpq's environment: `PGUSER`, `PGPASSWORD`, `~/.pgpass`, a service file.

    Raises:
        GalleryError: it cannot be read, or names no gallery. A password is not repeated.
    """
    place, _, query = text.partition("?")
    options = [one for one in query.split("&") if one]
    names = [one.partition("=")[2] for one in options if one.startswith("gallery=")]
    others = "&".join(one for one in options if not one.startswith("gallery="))
    try:
        parameters = dict(conninfo.conninfo_to_dict(f"{place}?{others}"))
        given = [unquote(one, errors="strict") for one in names]
    except (psycopg.Error, UnicodeDecodeError):
        raise _unreadable() from None  # libpq's message may repeat a part of the password
    ports = str(parameters.get("port") or "").split(",")
    database = place.partition("://")[2].partition("/")[2]
    # A part of a password with an @ or a / in it is taken for a host, a port or a database.
    if "@" in f"{parameters.get('host')}{database}" or not all(
        one.isdecimal() for one in ports if one
    ):
        raise _unreadable()
    shown = _shown(parameters)
    if len(given) != 1 or not given[0]:
        raise GalleryError(
            f"{shown}: expected one gallery in the address, such as {shown}?gallery=shop"
        )
    name = given[0]
    if "\0" in name or len(name.encode()) > _LONGEST:
        raise GalleryError(
            f"{shown}: the gallery's name is {name[:80]!r}; expected at most {_LONGEST} bytes, and "
            "no NUL"
        )
    return Address(name, f"{shown}?gallery={quote(name)}", parameters)


def _shown(parameters: dict[str, str | int | None]) -> str:
    user = quote(str(parameters.get("user", "")))
    host = quote(str(parameters.get("host", "")), safe=",[]:")
    port = f":{parameters['port']}" if "port" in parameters else ""
    database = quote(str(parameters.get("dbname", "")))
    return f"postgresql://{f'{user}@' if user else ''}{host}{port}/{database}"


def _unreadable() -> GalleryError:
    return GalleryError(
        "the address of the gallery cannot be read; expected "
        "postgresql://user@host/database?gallery=shop, with %40 for an @ in a name or a password"
    )
