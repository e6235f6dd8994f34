"""Keys: made once, kept as digests, and what each allows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from arcwise.serving.settings import EVERY, KeySettings, Role

ORDER: tuple[Role, ...] = ("read", "enrol", "admin")
"""Roles; each allows what those before it do."""

_BEGIN = "arcwise"


class Holder(NamedTuple):
    """Who asks.

    Attributes:
        name: of the key.
        role: what it allows.
        galleries: names of those that it opens, or `EVERY`.
    """

    name: str
    role: Role
    galleries: frozenset[str]

    def opens(self, gallery: str) -> bool:
        """Return whether the key opens a gallery."""
        return self.opens_all or gallery in self.galleries

    @property
    def opens_all(self) -> bool:
        """Whether the key opens every gallery."""
        return EVERY in self.galleries

    def may(self, role: Role) -> bool:
        """Return whether the key allows what a role does."""
        return ORDER.index(self.role) >= ORDER.index(role)


ANYBODY = Holder("nobody", "admin", frozenset({EVERY}))
"""Who asks a server without keys."""


class NewKey(NamedTuple):
    """A key and the digest that a server keeps of it."""

    key: str
    digest: str


def new_key(role: Role) -> NewKey:
    """Return a new key of 256 random bits, so that a plain digest gives nothing away."""
    key = f"{_BEGIN}-{role}-{secrets.token_urlsafe(32)}"
    return NewKey(key, digest(key))


def digest(key: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """The keys of a server; looked up by digest, so no comparison tells how much of one is right.

    Args:
        keys: as they are configured; none lets everybody do everything.
    """

    def __init__(self, keys: Iterable[KeySettings]) -> None:
        self._holders = {
            one.digest: Holder(one.name, one.role, frozenset(one.galleries)) for one in keys
        }

    @property
    def empty(self) -> bool:
        """Whether there is no key at all."""
        return not self._holders

    def holder(self, key: str | None) -> Holder | None:
        """Return whose key this is; None for no key, and for one that does not exist."""
        if self.empty:
            return ANYBODY
        return None if key is None else self._holders.get(digest(key))
