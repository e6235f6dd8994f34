"""A gallery on Milvus as one open gallery sees it: its state, its rows, and what errors mean."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import grpc
import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient, MilvusException

from arcwise.errors import GalleryError, in_one_line
from arcwise.gallery.contract import NO_SUCH_GALLERY, DamagedGallery, UnavailableGallery
from arcwise.gallery.damage import Damage
from arcwise.gallery.milvus.address import MilvusAddress
from arcwise.gallery.milvus.local import LocalClient, LocalServer
from arcwise.gallery.milvus.rows import STATE_FIELDS
from arcwise.gallery.milvus.state import GalleryState, read_state
from arcwise.gallery.milvus.turn import is_missing

MOST = 16_384
"""Rows that Milvus gives in one answer."""

PATIENCE = 30.0
"""Seconds to wait for an answer of the server."""

CONNECT = 10.0
"""Seconds to wait for the first one."""

_GONE = ("server unavailable", "UNAVAILABLE", "DEADLINE_EXCEEDED", "Retry timeout")
_TRIES = 20  # readings that others may spoil by their changes
_PAGE = 8192  # templates asked for at once, without vectors
_NUMBERS = 1000  # in one expression

_Answer = TypeVar("_Answer")
_expected: ContextVar[bool] = ContextVar("expected", default=False)


class _Unexpected(logging.Filter):
    """Keeps pymilvus from printing the errors that become a `GalleryError`, or are no errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be printed."""
        return not _expected.get()


logging.getLogger("pymilvus.decorators").addFilter(_Unexpected())
logging.getLogger("pymilvus.client.connection_manager").addFilter(_Unexpected())


class MilvusServer:
    """The connection of an open gallery, for any number of threads.

    Attributes:
        address: where the gallery is.
        client: of pymilvus.
        local: the folder of Milvus Lite; None on a server.
        writable: whether the gallery may be changed.
        created: by which the gallery is known from another one in its place; "" before it is open.
    """

    def __init__(self, address: MilvusAddress, *, writable: bool) -> None:
        self.address = address
        self.writable = writable
        self.created = ""
        self.closed = False
        self._process = os.getpid()
        self.local: LocalServer | None = None
        if address.folder is not None:
            self.local = LocalServer.of(address.folder, address.shown)
        try:
            with self.guarded():
                self.client = self._connected()
        except BaseException:
            if self.local is not None:
                self.local.release()
            raise

    @property
    def about(self) -> str:
        """The collection with the states."""
        return f"{self.address.prefix}__about"

    def templates(self, generation: int) -> str:
        """Return the collection with the templates."""
        return f"{self.address.prefix}__templates_{generation}"

    def pieces(self, generation: int) -> str:
        """Return the collection with the pieces of thumbnails."""
        return f"{self.address.prefix}__pieces_{generation}"

    def close(self) -> None:
        """Close the connection."""
        if not self.closed:
            self.closed = True
            if self._process == os.getpid():  # in a fork, it is still the parent's
                self.client.close()
                if self.local is not None:
                    self.local.release()

    def collections(self) -> list[str]:
        """Return the names of the gallery's collections."""
        names: Any = self.client.list_collections(timeout=PATIENCE)  # typed as if it were async
        return [one for one in names if one.startswith(f"{self.address.prefix}__")]

    def state_rows(self) -> list[dict[str, Any]]:
        """Return the rows that hold states, and say what is skipped."""
        return self.client.query(
            self.about, filter="id >= 0", output_fields=STATE_FIELDS, limit=MOST, timeout=PATIENCE
        )

    def state(self) -> GalleryState | None:
        """Return what the gallery says of itself now.

        Raises:
            Damage: it is not what was written.
            GalleryError: another gallery is in its place.
        """
        state = read_state(self.state_rows())
        if state is not None and self.created not in ("", state.created):
            raise GalleryError(f"{self.address.shown}: replaced while it was open; open it again")
        return state

    def now(self) -> GalleryState:
        """Return what the gallery says of itself now, of a gallery that is there."""
        with self.guarded():
            return self._now()

    def reading(self, answer: Callable[[View], _Answer]) -> _Answer:
        """Return what is read of one state of the gallery.

        Where rows that it needs may have been deleted meanwhile, it is read again.
        """
        with self.guarded():
            for _ in range(_TRIES):
                state = self._now()
                try:
                    found = answer(View(self, state))
                except (Damage, MilvusException):
                    if not self.outdated(state):
                        raise
                else:
                    if not self.outdated(state):
                        return found
        raise UnavailableGallery(self.address.shown, "others kept changing it; try again")

    def outdated(self, state: GalleryState) -> bool:
        """Return whether rows that count in a state may not be there any more."""
        return self.local is None and self._now().removing > state.number

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn pymilvus' errors and damage in a block into errors that name the gallery."""
        shown = self.address.shown
        if self.closed:
            raise GalleryError(f"{shown}: the gallery is closed; open it again")
        if self._process != os.getpid():  # one connection would have two ends here
            raise GalleryError(f"{shown}: opened before a fork; open it in each process")
        with ExitStack() as stack:
            if self.local is not None:
                stack.enter_context(self.local.lock)
            token = _expected.set(True)
            try:
                yield
            except Damage as error:
                raise DamagedGallery(
                    f"{shown} is damaged ({error}): restore it from a copy, or enrol again",
                    error.templates,
                ) from error
            except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
                raise self._translated(error) from None  # a traceback may show the token
            finally:
                _expected.reset(token)

    def _connected(self) -> MilvusClient:
        if self.local is not None:
            return cast(MilvusClient, LocalClient(self.local, self.address.shown, CONNECT))
        return MilvusClient(**self.address.parameters, dedicated=True, timeout=CONNECT)

    def _now(self) -> GalleryState:
        state = self.state()
        if state is None:
            raise Damage("what it says of itself")
        return state

    def _translated(self, error: Exception) -> GalleryError:
        shown = self.address.shown
        said = self.address.without_secrets(in_one_line(error, 300))
        if isinstance(error, MilvusException) and is_missing(error):
            what = "deleted while it was open; open it again" if self.created else (
                NO_SUCH_GALLERY
            )  # fmt: skip
            return GalleryError(f"{shown}: {what}")
        if "UNAUTHENTICATED" in said or "auth check failure" in said:
            return UnavailableGallery(shown, "the server refuses the token or password", said)
        if "No space left on device" in said:
            return UnavailableGallery(shown, "the disk is full; nothing was changed by this call")
        if not self.created:
            return UnavailableGallery(shown, "no connection to the server", said)
        if any(one in said for one in _GONE):
            outcome = (
                "the server cannot be reached; nothing was changed by this call, the next one "
                "tries again"
            )
            return UnavailableGallery(shown, outcome, said)
        return GalleryError(f"{shown}: {said}")


class View:
    """The rows of a gallery that count in one state of it.

    Attributes:
        state: of the gallery.
        shown: its address, for messages.
    """

    def __init__(self, server: MilvusServer, state: GalleryState) -> None:
        self._server = server
        self.state = state
        self.shown = server.address.shown

    def rows(self, meets: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of templates that meet an expression."""
        found = self._query(f"({self.state.counting()}) and ({meets})", fields)
        if len(found) < MOST:
            return found
        return [row for page in self.pages(meets, fields) for row in page]

    def rows_of(
        self, field: str, numbers: Sequence[int], fields: Sequence[str], meets: str = "row >= 0"
    ) -> list[dict[str, Any]]:
        """Return the rows of templates whose field has one of some numbers."""
        return [
            row
            for start in range(0, len(numbers), _NUMBERS)
            for row in self.rows(
                f"({field} in {list(numbers[start : start + _NUMBERS])}) and ({meets})", fields
            )
        ]

    def pages(
        self, meets: str, fields: Sequence[str], size: int = _PAGE
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows that meet an expression, some templates at once, the oldest first."""
        size = min(size, MOST)
        for first in range(1, self.state.last + 1, size):
            some = f"template >= {first} and template < {first + size}"
            rows = self._query(f"({self.state.counting()}) and {some} and ({meets})", fields)
            if rows:
                yield rows

    def pieces(self, templates: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of the thumbnails of some templates, of whichever change."""
        return self._server.client.query(
            self._server.pieces(self.state.generation),
            filter=f"template in {list(templates)}",
            output_fields=list(fields),
            limit=MOST,
            timeout=PATIENCE,
        )

    def closest(
        self,
        queries: NDArray[np.float32],
        meets: str,
        width: int,
        fields: Sequence[str],
    ) -> list[list[dict[str, Any]]]:
        """Return the rows most similar to each query (N, D), by their inner product."""
        found: list[list[dict[str, Any]]] = []
        step = max(1, 2 * MOST // width)
        for start in range(0, len(queries), step):
            found += self._server.client.search(
                self._server.templates(self.state.generation),
                data=list(queries[start : start + step]),
                anns_field="vector",
                filter=f"({self.state.counting()}) and ({meets})",
                limit=width,
                output_fields=list(fields),
                search_params={"metric_type": "IP"},
                timeout=PATIENCE,
            )
        return found

    def _query(self, expression: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        return self._server.client.query(
            self._server.templates(self.state.generation),
            filter=expression,
            output_fields=list(fields),
            limit=MOST,
            timeout=PATIENCE,
        )
