"""Taking what was removed out of the files of Milvus."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import grpc
from pymilvus import MilvusException

from arcwise.gallery.milvus import reading
from arcwise.gallery.milvus.changes import Change
from arcwise.gallery.milvus.connection import PATIENCE, MilvusServer
from arcwise.gallery.milvus.opening import make_collection
from arcwise.gallery.milvus.rows import (
    PIECE_FIELDS,
    piece_fields,
    piece_values,
    read_rows,
    template_fields,
)


def copy_what_counts(server: MilvusServer, change: Change) -> None:
    """Copy every row that counts into new collections, which count when the change is made.

    Deleted rows stay in the segments of a collection until Milvus compacts these, when it likes. A
    collection that is dropped is gone as a whole.

    Raises:
        Damage: a row is not what was written, or some are missing.
    """
    view, number = change.view, change.state.number
    make_collection(server, server.templates(number), template_fields(view.state.dim))
    make_collection(server, server.pieces(number), piece_fields())
    change.wrote = True
    change.generation = number
    found = held = 0
    for first in range(1, view.state.last + 1, reading.CHUNK):
        values = reading.rows_of_chunk(view, first)
        if not values:
            continue
        stored = reading.stored(view, values)  # checked, thumbnails too
        found += len(stored)
        held += sum(reason is not None for reason in stored.quarantined)
        rows = read_rows(values)
        shown = {(row.template.template, row.shown) for row in rows if row.pieces}
        ids = sorted(template for template, _ in shown)
        pieces = [
            piece_values({**one, "row": change.new_row(), "born": number})
            for one in (view.pieces(ids, PIECE_FIELDS) if ids else [])
            if (one["template"], one["born"]) in shown
        ]
        change.write(
            [replace(row, row=change.new_row(), born=number, shown=number) for row in rows], pieces
        )
    reading.check_counts(view, found, held)
    change.state = replace(
        change.state, generation=number, removing=number, abandoned=(), gone=(), gone_pieces=()
    )


def drop_older(server: MilvusServer, generation: int) -> None:
    """Drop the collections of all but one generation, and let Milvus write anew what is left."""
    keep = (server.templates(generation), server.pieces(generation))
    for name in server.collections():
        if name.startswith((server.templates(0)[:-1], server.pieces(0)[:-1])) and name not in keep:
            server.client.drop_collection(name, timeout=PATIENCE)
    with suppress(MilvusException, grpc.RpcError):  # it holds no templates
        server.client.flush(server.about, timeout=PATIENCE)
        server.client.compact(server.about, timeout=PATIENCE)
