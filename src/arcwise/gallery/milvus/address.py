"""The address of a gallery on Milvus: `milvus://host:19530/database?gallery=shop`.

A folder of Milvus Lite, for tests and trials, is `milvus-lite:///path/shop.db?gallery=shop`. Either
holds any number of galleries, each in collections of its own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from arcwise.errors import GalleryError

PREFIX = "arcwise_"
"""What the collections of a gallery begin with, so that no other program's are taken for one."""

_LONGEST = 200  # characters of a collection's name, without what comes behind; Milvus takes 255
_FILES = ("ca_pem_path", "client_pem_path", "client_key_path", "server_pem_path")
_OPTIONS = ("gallery", "token", "secure", "server_name", *_FILES)
_TOKEN = "MILVUS_TOKEN"


@dataclass(frozen=True)
class MilvusAddress:
    """Where a gallery is.

    Attributes:
        name: of the gallery.
        shown: the address without password and token, for messages.
        folder: of Milvus Lite; None on a server.
        parameters: what pymilvus connects with; they are in no `repr`.
    """

    name: str
    shown: str
    folder: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def prefix(self) -> str:
        """What the names of the gallery's collections begin with."""
        return PREFIX + _as_name(self.name)

    def without_secrets(self, text: str) -> str:
        """Return a message without the password or token."""
        token = str(self.parameters.get("token", ""))
        for secret in (token, token.partition(":")[2]):
            text = text.replace(secret, "***") if secret else text
        return text


def read_address(text: str) -> MilvusAddress:
    """Return the address that is written as a URL.

    A token, or `user:password`, that is not in the address comes from `MILVUS_TOKEN`.

    Raises:
        GalleryError: it cannot be read, or names no gallery. A password is not repeated.
    """
    try:
        url = urlsplit(text)
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
        host, port = url.hostname or "", url.port or 19530
        user = unquote(url.username or "", errors="strict")
        password = unquote(url.password or "", errors="strict")
    except ValueError:
        raise _unreadable() from None  # the message may repeat a part of the password
    options = dict(pairs)
    unknown = sorted(options.keys() - set(_OPTIONS))
    # A part of a password with an @, a / or a # in it is taken for a host, a port or a database.
    if "@" in host + url.path or url.fragment or unknown or len(options) != len(pairs):
        raise _unreadable()
    local = url.scheme == "milvus-lite"
    database, place = unquote(url.path.strip("/")), f"[{host}]" if ":" in host else host
    if local:
        folder = unquote(url.path)
        shown = f"milvus-lite://{quote(folder)}"
        if url.netloc or not folder.endswith(".db") or options.keys() - {"gallery"}:
            raise GalleryError(
                "the address of the gallery cannot be read; expected "
                "milvus-lite:///path/shop.db?gallery=shop, a whole path that ends in .db"
            )
    else:
        folder = None
        shown = f"milvus://{place}:{port}/{quote(database)}"
        if not host or "/" in database:
            raise _unreadable()
    name = options.get("gallery", "")
    if not name:
        raise GalleryError(
            f"{shown}: expected one gallery in the address, such as {shown}?gallery=shop"
        )
    address = MilvusAddress(name, f"{shown}?gallery={quote(name)}", folder)
    if len(address.prefix) > _LONGEST:
        raise GalleryError(f"{shown}: the gallery's name is {name[:80]!r}; expected fewer bytes")
    if not local:
        secure = options.get("secure", "false").lower()
        if secure not in ("true", "false"):
            raise GalleryError(f"{shown}: secure is {secure[:20]!r}; expected true or false")
        address.parameters.update(
            {one: options[one] for one in ("server_name", *_FILES) if one in options},
            uri=f"{'https' if secure == 'true' else 'http'}://{place}:{port}",
            token=options.get("token")
            or (f"{user}:{password}" if password else user)
            or os.environ.get(_TOKEN, ""),
            db_name=database,
            secure=secure == "true",
        )
    return address


def _as_name(text: str) -> str:
    """Return a text in letters, digits and _; no two become the same, and none has two _."""
    return "".join(
        chr(one) if chr(one).isalnum() and one < 128 else f"_{one:02x}" for one in text.encode()
    )


def _unreadable() -> GalleryError:
    return GalleryError(
        "the address of the gallery cannot be read; expected milvus://host:19530/?gallery=shop, "
        "with %40 for an @ in a name or a password; of options it takes " + ", ".join(_OPTIONS)
    )
