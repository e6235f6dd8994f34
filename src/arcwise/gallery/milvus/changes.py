"""Changes of a gallery on Milvus: rows first, and then the state from which on they count.

A change that is cut off leaves rows whose number no state has. The next writer says so by a state
of its own, which skips that number for ever, and deletes them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
from pymilvus import MilvusException

from arcwise.errors import GalleryError, in_one_line
from arcwise.gallery.contract import UnavailableGallery
from arcwise.gallery.milvus.connection import MOST, PATIENCE, MilvusServer, View
from arcwise.gallery.milvus.rows import (
    FIELDS,
    ROWS_OF_A_CHANGE,
    MilvusRow,
    owner_of,
    pieces_of,
    read_rows,
    state_values,
)
from arcwise.gallery.milvus.state import PIECES, GalleryState, read_state, skip_row
from arcwise.gallery.milvus.turn import Turn
from arcwise.gallery.template_row import TemplateRow
from arcwise.gallery.vectors import CheckedItems, norms
from arcwise.identity import identity_key

_AT_ONCE = 2**23  # bytes of rows that are sent at once, about
_MANY = 10_000  # rows to be deleted, too many to wait for the next change
_PRESENT = ["row", "template", "active", "pieces", "shown"]


class Change:
    """A change in the making.

    Attributes:
        state: what the gallery is to say of itself.
        view: what counts until then.
        wrote: whether rows of it may be on the server.
    """

    def __init__(self, server: MilvusServer, turn: Turn, before: GalleryState) -> None:
        self._server, self._turn, self._before = server, turn, before
        self.view = View(server, before)
        self.state = replace(before, number=before.number + 1, gone=(), gone_pieces=())
        self.generation = before.generation
        self.wrote = False
        self._rows = self.state.number * ROWS_OF_A_CHANGE

    @property
    def empty(self) -> bool:
        """Whether nothing is to be changed."""
        return replace(self._before, number=self.state.number, gone=(), gone_pieces=()) == (
            self.state
        )

    def count(self, **more: int) -> None:
        """Count more templates (or fewer) in what the gallery says of itself."""
        now = {name: getattr(self.state, name) + number for name, number in more.items()}
        self.state = replace(self.state, **now)

    def new_row(self) -> int:
        """Return the number of a new row."""
        self._rows += 1
        return self._rows

    def write(self, rows: Sequence[MilvusRow], pieces: Sequence[dict[str, Any]] = ()) -> None:
        """Write rows, which count when the change is made."""
        values = [row.values() for row in rows]  # refused before anything is written
        self._insert(self._server.templates(self.generation), values)
        self._insert(self._server.pieces(self.generation), pieces)

    def leave(self, rows: Sequence[dict[str, Any]], pieces: Sequence[int] = ()) -> None:
        """Let rows count no more when the change is made; the next one deletes them."""
        self.state = replace(
            self.state,
            gone=(*self.state.gone, *(row["row"] for row in rows)),
            gone_pieces=(*self.state.gone_pieces, *pieces),
            removing=self.state.number,
        )

    def make(self) -> None:
        """Write the state, from which on the change is there.

        Raises:
            GalleryError: it is not known whether that was done.
        """
        server, before = self._server, self._before
        self.wrote = True
        delete(server, server.templates(before.generation), "row", before.gone)
        delete(server, server.pieces(before.generation), "row", before.gone_pieces)
        self._turn.keep()
        try:
            write_state(server, self.state)
            skip = skip_row(self.state.number)["id"]
            rows = server.state_rows()
            skipped = skip in {row["id"] for row in rows}
            now = read_state(rows)
            skipped = skipped or now is None or self.state.number in now.abandoned
        except (MilvusException, grpc.RpcError, GalleryError) as error:
            said = server.address.without_secrets(in_one_line(error))
            raise UnavailableGallery(server.address.shown, _IN_DOUBT, said) from error
        if skipped:  # another writer has taken over, and may not have seen the state
            raise UnavailableGallery(server.address.shown, _IN_DOUBT)
        with suppress(MilvusException, grpc.RpcError):
            server.client.delete(
                server.about, filter=f"id < {before.number * PIECES}", timeout=PATIENCE
            )

    def _insert(self, collection: str, rows: Sequence[dict[str, Any]]) -> None:
        start = 0
        while start < len(rows):
            stop, size = start, 0
            while stop < len(rows) and (stop == start or size < _AT_ONCE):
                one = rows[stop]
                size += 4 * len(one["vector"]) + 2 * len(one.get("metadata", "")) + 500
                size += len(one.get("text", ""))
                stop += 1
            self._turn.keep()
            self.wrote = True
            self._server.client.insert(collection, list(rows[start:stop]), timeout=PATIENCE)
            start = stop


_IN_DOUBT = (
    "the connection, the turn or room on the disk was lost while the change was being made; it is "
    "made as a whole or not at all: look, and then repeat it"
)


@contextmanager
def changing(server: MilvusServer, turn: Turn) -> Iterator[Change]:
    """Yield a change, which is made at the end of the block, or not at all if that raises.

    A writer acknowledges a change only if, after it has written the state, no other one has said
    that its number is skipped; one that takes over says so, and then looks for such a state. Of two
    that do both at once, at least one sees what the other has done: nothing acknowledged is lost,
    however long a writer was held up.
    """
    if not server.writable:
        raise GalleryError(
            f"{server.address.shown}: opened with mode='r'; open it without, to write"
        )
    with server.guarded(), turn.lock:
        given_back = turn.take()
        change = None
        try:
            before = server.now() if given_back else _cleared(server)
            change = Change(server, turn, before)
            yield change
            if not change.empty:
                change.make()
        except BaseException:
            if change is not None and not change.wrote:
                with suppress(MilvusException, grpc.RpcError):
                    turn.give()
            raise  # otherwise the next writer takes over, and clears up
        with suppress(MilvusException, grpc.RpcError, GalleryError):  # the change is made
            if len(change.state.gone) > _MANY:  # every reader names them
                Change(server, turn, change.state).make()
            turn.give()


def write_state(server: MilvusServer, state: GalleryState) -> None:
    """Write a state, its first row last."""
    rows = [state_values(row) for row in state.rows()]
    for some in (rows[1:], rows[:1]):
        if some:
            server.client.insert(server.about, some, timeout=PATIENCE)


def delete(server: MilvusServer, collection: str, field: str, numbers: Sequence[int]) -> None:
    """Delete rows by their numbers."""
    for start in range(0, len(numbers), MOST):
        some = list(numbers[start : start + MOST])
        server.client.delete(collection, filter=f"{field} in {some}", timeout=PATIENCE)


def insert(change: Change, batch: CheckedItems) -> tuple[int, ...]:
    """Write a batch and return its ids."""
    number, first = change.state.number, change.state.last + 1
    ids = range(first, first + len(batch))
    rows, pieces = [], []
    for template, identity, metadata, vector, quality, image in zip(
        ids,
        batch.identities,
        batch.metadata,
        batch.vectors.astype(">f4"),
        batch.qualities,
        batch.thumbnails,
        strict=True,
    ):
        shown = [] if image is None else pieces_of(template, change.new_row, number, image)
        one = TemplateRow(template, identity, metadata, vector.tobytes(), quality)
        rows.append(MilvusRow(change.new_row(), number, number, len(shown), one))
        pieces += shown
    change.write(rows, pieces)
    change.count(last=len(ids), templates=len(ids), changes=len(ids))
    furthest = float(np.abs(norms(batch.vectors) - 1).max())
    deviation = max(change.state.deviation, furthest)
    change.state = replace(change.state, deviation=deviation)
    return tuple(ids)


def remove(change: Change, rows: Sequence[dict[str, Any]]) -> int:
    """Remove the templates of some rows, with the fields that `present` gives."""
    shown = [row["template"] for row in rows if row["pieces"]]
    pieces = [
        one["row"]
        for start in range(0, len(shown), 500)
        for one in change.view.pieces(shown[start : start + 500], ["row"])
    ]
    change.leave(rows, pieces)
    held = sum(not row["active"] for row in rows)
    change.count(templates=-len(rows), quarantined=-held, changes=len(rows))
    return len(rows)


def of_identities(change: Change, identities: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of identities, in quarantine or not, to be removed."""
    keys = {identity_key(one) for one in identities}
    owners = sorted({owner_of(one) for one in identities})
    rows = change.view.rows_of("owner", owners, [*_PRESENT, "identity"])
    return [row for row in rows if identity_key(row["identity"]) in keys]


def present(
    view: View, templates: Sequence[int], fields: Sequence[str] = _PRESENT
) -> list[dict[str, Any]]:
    """Return the rows of templates.

    Raises:
        GalleryError: one is not there, in quarantine or not.
    """
    ids = list(dict.fromkeys(map(operator.index, templates)))
    known = [one for one in ids if 0 < one <= view.state.last]
    rows = view.rows_of("template", known, fields)
    found = {row["template"] for row in rows}
    for one in ids:
        if one not in found:
            raise GalleryError(f"{view.shown}: there is no template {one}")
    return rows


def amend(
    change: Change, templates: Sequence[int], changed: Callable[[TemplateRow], TemplateRow]
) -> None:
    """Change what templates are that are there."""
    values = present(change.view, templates, FIELDS)
    old = read_rows(values)
    new = [
        replace(row, row=change.new_row(), born=change.state.number, template=changed(row.template))
        for row in old
    ]
    change.write(new)
    change.leave(values)
    held = sum(row.template.quarantine is not None for row in new)
    held -= sum(row.template.quarantine is not None for row in old)
    change.count(quarantined=held, changes=len(new))


def _cleared(server: MilvusServer) -> GalleryState:
    """Return the state after what a writer that was cut off has left; that is deleted."""
    number = server.now().number + 1
    server.client.insert(server.about, [state_values(skip_row(number))], timeout=PATIENCE)
    # A state of that number that is there now may be acknowledged; one that comes later is not.
    after = server.now().followed_by_nothing()
    write_state(server, after)
    for name in server.collections():
        if name.startswith((server.templates(0)[:-1], server.pieces(0)[:-1])):
            if name not in (server.templates(after.generation), server.pieces(after.generation)):
                server.client.drop_collection(name, timeout=PATIENCE)
                continue
            while rows := server.client.query(
                name,
                filter=f"born in {list(after.abandoned)}",
                output_fields=["row"],
                limit=MOST,
                timeout=PATIENCE,
            ):
                delete(server, name, "row", [row["row"] for row in rows])
    return after
