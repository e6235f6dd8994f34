"""One writer at a time: who may change a gallery on Milvus, among any number of processes.

Milvus has no lock and compares nothing before it writes. It renames a collection for one of several
that try, though: the others find no collection of the old name. So there is one empty collection a
gallery, and its name says whose turn it is. A writer renames it to its own name, again from time
to time in a long change, and back when it is done. A name that has not changed for as long as
`LEASE` is that of a writer that has ended: the next one renames it, and clears up.

No clock is compared with another one. A writer that was held up for longer than that, and goes on,
does no harm: see `changes.changing`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from pymilvus import MilvusClient, MilvusException

from arcwise.gallery.contract import UnavailableGallery

LEASE = 30.0
"""Seconds after which a writer that gives no sign has ended."""

_PATIENCE = 90.0  # seconds to wait for other writers
_SIGNS = 3  # in a lease


class Turn:
    """The right to change a gallery.

    Attributes:
        free: the name of the collection when it is nobody's turn.
        lock: for the threads that share an open gallery.

    Args:
        client: of the server.
        prefix: what the names of the gallery's collections begin with.
        shown: the address of the gallery, for messages.
        lease: after how many seconds a writer has ended; 0 where no other one can be there.
    """

    def __init__(
        self, client: MilvusClient, prefix: str, shown: str, lease: Callable[[], float]
    ) -> None:
        self._client, self._shown, self._lease = client, shown, lease
        self.free = f"{prefix}__turn"
        self.lock = threading.Lock()
        self._mine = f"{self.free}_{secrets.token_hex(8)}_"
        self._beat = 0
        self._since = 0.0

    def take(self) -> bool:
        """Wait for the turn, take it, and return whether the one before gave it back.

        Raises:
            UnavailableGallery: somebody else keeps it.
        """
        begin = time.monotonic()
        seen, first = "", begin
        while True:
            if self._renamed(self.free):
                return True
            names: Any = self._client.list_collections()  # typed as if it were async
            held = [one for one in names if one.startswith(self.free)]
            now = time.monotonic()
            name = min((one for one in held if one != self.free), default="")
            if name != seen:
                seen, first = name, now
            if name and (name.startswith(self._mine) or now - first >= self._lease()):
                if self._renamed(name):
                    return False
            elif now - begin > _PATIENCE or (not held and now - begin > 2):
                reason = "somebody else kept it busy" if held else "deleted while it was open"
                raise UnavailableGallery(self._shown, f"{reason}; open it again, or try again")
            time.sleep(0.02)

    def keep(self) -> None:
        """Give a sign, from time to time.

        Raises:
            UnavailableGallery: somebody else has taken the turn.
        """
        lease = self._lease()
        due = lease and time.monotonic() - self._since > lease / _SIGNS
        if due and not self._renamed(f"{self._mine}{self._beat}"):
            raise UnavailableGallery(
                self._shown,
                "the change took too long between two signs of life, and another writer has taken "
                "over; nothing was changed",
            )

    def give(self) -> None:
        """Let somebody else have it."""
        self._client.rename_collection(f"{self._mine}{self._beat}", self.free)

    def _renamed(self, name: str) -> bool:
        """Rename a collection to that of my turn, if it is there."""
        self._beat += 1
        try:
            self._client.rename_collection(name, f"{self._mine}{self._beat}")
        except MilvusException as error:
            if not is_missing(error):
                raise
            self._beat -= 1
            return False
        self._since = time.monotonic()
        return True


def is_missing(error: MilvusException) -> bool:
    """Return whether an error says that a collection is not there."""
    text = str(error).lower()
    return (
        error.code in (4, 100)
        or "not exist" in text
        or "can't find collection" in text
        or ("not found" in text and "collection" in text)
    )
