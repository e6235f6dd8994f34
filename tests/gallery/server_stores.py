"""The stores on servers, as a test sees them from behind."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

from arcwise.gallery import Gallery

if TYPE_CHECKING:
    from benchmarks.postgres_server import PostgresServer

DIM = 16
_numbers = itertools.count()


class PostgresStore:
    """Galleries in a database.

    Attributes:
        client: the package that it needs.
        extra: that brings it.
        files: the folder of the server's files.
        most: examples of a property that a test can pay for.
        several: calls that may come from other processes, likewise.
        counts: queries that are searched with at once: few are scans, many read all vectors.
    """

    client, extra, most, several = "psycopg", "postgres", 150, 40
    widest, too_wide, counts = 16_000, "16,000 dimensions", (14, 40)

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.files = server.data

    def address(self, name: str | None = None) -> str:
        """Return the address of a gallery, of a new one without a name."""
        return self._server.address(quote(name or f"shop {next(_numbers)}", safe=""))

    def shared(self, address: str) -> str:
        """Return the address of the same gallery for several at once."""
        return address

    def run(self, statement: str) -> None:
        """Run a statement past the store."""
        with self._server.connect() as connection:
            connection.execute(statement.encode())

    def settle(self) -> None:
        """Let the server write what it has in memory."""
        self.run("CHECKPOINT")

    def sample(self) -> None:
        """Let the server keep samples of columns."""
        self.run("VACUUM ANALYZE")

    def drop(self, gallery: Any) -> None:
        """Delete a gallery past the store."""
        self.run(f'DROP SCHEMA "{gallery.address.schema}" CASCADE')

    def of_version(self, gallery: Any, version: int) -> None:
        """Let a gallery say that it is of another version."""
        self.run(f'UPDATE "{gallery.address.schema}".about SET version = {version}')

    def another_calibration(self, gallery: Any) -> None:
        """Change a gallery's calibration past the store."""
        self.run(f"UPDATE \"{gallery.address.schema}\".about SET calibration = '{{}}'")

    def held(self, gallery: Any) -> AbstractContextManager[Any]:
        """Return a change of a gallery that goes on for the length of a block."""
        return gallery._server.writing()

    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let galleries that are opened from now on wait 0.1 seconds for another's change."""
        from arcwise.gallery.postgres import connections

        monkeypatch.setattr(connections, "_PATIENCE", "100ms")

    def written(self, vector: np.ndarray, image: bytes) -> list[bytes]:
        """Return pieces of a vector and of a thumbnail, as files have them."""
        blob, network = vector.astype("<f4").tobytes(), vector.astype(">f4").tobytes()
        return [blob[:16], blob[48:64], blob[-16:], image[-60:-40], network[:16], network[-16:]]

    surely = 4
    """How many of these pieces, the first ones, are in some file while nothing is removed."""


class MilvusStore:
    """Galleries on Milvus: a folder of Lite of this process, and behind `shared` a server.

    Attributes: as those of `PostgresStore`.
    """

    client, extra, most, several = "pymilvus", "milvus", 60, 8
    widest, too_wide, counts = 1000, "2 to 32,768 dimensions", (4,)

    def __init__(self, folder: Path) -> None:
        self.files = folder

    def address(self, name: str | None = None) -> str:
        name = quote(name or f"shop {next(_numbers)}", safe="")
        return f"milvus-lite://{self.files}?gallery={name}"

    def shared(self, address: str) -> str:
        from arcwise.gallery.milvus.local import _open

        port = _open[os.path.realpath(self.files)].uri.rpartition(":")[2]
        return f"milvus://127.0.0.1:{port}/?{address.partition('?')[2]}"

    def settle(self) -> None:
        pass

    def sample(self) -> None:
        pass

    def drop(self, gallery: Any) -> None:
        for name in gallery._server.collections():
            gallery._server.client.drop_collection(name)

    def of_version(self, gallery: Any, version: int) -> None:
        from arcwise.gallery.milvus import changes

        later = replace(gallery._server.now(), version=version, number=9)
        changes.write_state(gallery._server, later)

    def another_calibration(self, gallery: Any) -> None:
        client, name = gallery._server.client, gallery._server.about
        rows = client.query(name, filter="id >= 0", output_fields=["*"])
        row = max(rows, key=lambda one: one["id"])
        client.upsert(name, [row | {"text": row["text"].replace("strangers", "friends")}])

    def held(self, gallery: Any) -> AbstractContextManager[Any]:
        from arcwise.gallery.milvus import changes

        return changes.changing(gallery._server, gallery._turn)

    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from arcwise.gallery.milvus import turn

        monkeypatch.setattr(turn, "_PATIENCE", 0.1)

    def written(self, vector: np.ndarray, image: bytes) -> list[bytes]:
        blob = vector.tobytes()
        return [blob[:16], blob[48:64], base64.b64encode(image)[300:330]]

    surely = 3


ServerStore = PostgresStore | MilvusStore


def batch_vectors(batch: int) -> np.ndarray:
    """Return the (5, 16) vectors of the identity p<batch>, which a test enrols at once."""
    vectors = np.random.default_rng(batch).normal(size=(5, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def kept(gallery: Gallery, acknowledged: Mapping[str, int], in_doubt: set[str]) -> dict[str, int]:
    """Check that a gallery has whole batches, all that are acknowledged among them.

    Args:
        gallery: with what `batch_vectors` gives, and nothing else.
        acknowledged: the first of the five templates of each identity that was enrolled.
        in_doubt: identities that were being enrolled or removed when a process ended.

    Returns:
        The first template of each identity that is there.
    """
    found: dict[str, list[int]] = {}
    for rows in gallery.stored():
        for template, identity, vector in zip(
            rows.templates.tolist(), rows.identities, rows.vectors, strict=True
        ):
            those = found.setdefault(identity, [])
            assert (vector == batch_vectors(int(identity[1:]))[len(those)]).all()
            those.append(template)
    assert acknowledged.keys() - in_doubt <= found.keys() <= acknowledged.keys() | in_doubt
    for identity, those in found.items():
        first = acknowledged.get(identity, those[0])
        assert those == list(range(first, first + 5))  # no part of a batch
    assert gallery.check().templates == len(gallery) == 5 * len(found)
    return {identity: those[0] for identity, those in found.items()}


def traces(folder: Path, pieces: Sequence[bytes]) -> int:
    """Return how many of the pieces are in any file of a folder."""
    content = b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())
    return sum(piece in content for piece in pieces)
