"""Creating a gallery on Milvus, and opening one."""

from __future__ import annotations

import os
import secrets
import time

from pymilvus import CollectionSchema, MilvusException

from arcwise.errors import GalleryError
from arcwise.gallery.contract import NO_SUCH_GALLERY
from arcwise.gallery.damage import Damage
from arcwise.gallery.milvus import turn
from arcwise.gallery.milvus.address import MilvusAddress
from arcwise.gallery.milvus.changes import write_state
from arcwise.gallery.milvus.connection import PATIENCE, MilvusServer
from arcwise.gallery.milvus.rows import (
    LARGEST,
    SMALLEST,
    piece_fields,
    state_fields,
    template_fields,
)
from arcwise.gallery.milvus.state import GalleryState


def open_server(
    address: MilvusAddress, *, writable: bool, create: bool, new: GalleryState | None
) -> MilvusServer:
    """Return the connection of a gallery, which is made if there is none of that name.

    Args:
        address: of the gallery.
        writable: whether it may be changed.
        create: whether it may be made.
        new: what a new gallery says of itself; None where that is not known.

    Raises:
        GalleryError: there is no server, or no gallery, or one of another version.
        DamagedGallery: rows are missing, in a folder of Milvus Lite.
    """
    if address.folder is not None and not os.path.isdir(address.folder):
        if os.path.exists(address.folder):
            raise GalleryError(f"{address.shown}: a file; expected a folder of Milvus Lite 3")
        if not create:
            raise GalleryError(f"{address.shown}: {NO_SUCH_GALLERY}")
        _check_new(address, new)
    server = MilvusServer(address, writable=writable)
    try:
        with server.guarded():
            state = _state(server)
            if state is None and create:
                state = _made(server, _check_new(address, new))
            if state is None:
                raise GalleryError(f"{address.shown}: {NO_SUCH_GALLERY}")
            for name in (
                server.about, server.templates(state.generation), server.pieces(state.generation)
            ):  # fmt: skip
                server.client.load_collection(name, timeout=PATIENCE)
            if server.local is not None:
                _count(server)
            server.created = state.created
    except BaseException:
        server.close()
        raise
    return server


def make_collection(server: MilvusServer, name: str, schema: CollectionSchema) -> None:
    """Make a collection whose every vector is compared, and let it be searched."""
    client = server.client
    client.create_collection(name, schema=schema, consistency_level="Strong", timeout=PATIENCE)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_index(name, index, sync=False, timeout=PATIENCE)
    client.load_collection(name, timeout=PATIENCE)


def _check_new(address: MilvusAddress, new: GalleryState | None) -> GalleryState:
    if new is None:
        raise GalleryError(
            f"{address.shown}: a new gallery needs model=..., or dim=... without one"
        )
    if not SMALLEST <= new.dim <= LARGEST:
        raise GalleryError(
            f"{address.shown}: dim is {new.dim}; Milvus holds vectors of {SMALLEST} to "
            f"{LARGEST:,} dimensions"
        )
    return new


def _state(server: MilvusServer) -> GalleryState | None:
    if server.about not in server.collections():
        return None
    if server.local is not None:  # as it is after a start of the server; elsewhere it is loaded
        server.client.load_collection(server.about, timeout=PATIENCE)
    try:
        return server.state()
    except MilvusException as error:
        if server.local is None and "not loaded" in str(error).lower():
            return None  # it is being made
        raise


def _made(server: MilvusServer, new: GalleryState) -> GalleryState:
    """Make a gallery that is not there; of several that do, one does, and the others wait.

    A collection is made by one alone, because each gives it a description of its own.
    """
    first = time.monotonic()
    lease = 0.0 if server.local is not None else turn.LEASE
    while True:
        try:
            make_collection(server, server.about, state_fields(secrets.token_hex(8)))
            break
        except MilvusException:
            if server.about not in server.collections():
                raise
        state = _state(server)
        if state is not None:
            return state
        if time.monotonic() - first >= lease:  # it was cut off
            for name in sorted(server.collections(), key=lambda one: one == server.about):
                server.client.drop_collection(name, timeout=PATIENCE)
        time.sleep(0.05)
    free = f"{server.address.prefix}__turn"
    server.client.create_collection(free, schema=state_fields(""), timeout=PATIENCE)
    make_collection(server, server.templates(new.generation), template_fields(new.dim))
    make_collection(server, server.pieces(new.generation), piece_fields())
    write_state(server, new)
    return new


def _count(server: MilvusServer) -> None:
    """Raise a Damage unless a folder of Milvus Lite has the rows that it must have.

    It opens without a word where one of its files is missing. A server is trusted with that; there,
    `check` counts.
    """
    state = server.now()
    (row,) = server.client.query(
        server.templates(state.generation),
        filter=state.counting(),
        output_fields=["count(*)"],
        timeout=PATIENCE,
    )
    if row["count(*)"] != state.templates:
        raise Damage(f"{row['count(*)']} templates found, {state.templates} expected")
