"""Embeddings that were computed before, found again by the model and the image's bytes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from arcwise.runtime.engines import Floats

T = TypeVar("T")

FORMAT = "embeddings-2"
"""The folder of the files; another number when an image's way to its embedding changes."""

_PATIENCE = 30.0  # seconds to wait for another process's write
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLE = "CREATE TABLE IF NOT EXISTS embedding (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"


class EmbeddingCache:
    """The embeddings of one model, in a SQLite file of the user's cache folder.

    Threads and processes may share it. What goes wrong with the file costs time, never the work: a
    damaged one is set aside and begun anew, one that cannot be used is done without, and `notes`
    says so.

    Args:
        name: the model's `cache_name`.
        dim: numbers of an entry: D, and one more for its quality where one is estimated.
        folder: where caches are, instead of `cache_folder()`.
    """

    def __init__(self, name: str, dim: int, folder: Path | None = None) -> None:
        self.dim = dim
        self.notes: list[str] = []
        self._place = lambda: (folder or cache_folder()) / FORMAT / f"{name}.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._usable = True

    def get(self, key: bytes) -> Floats | None:
        """Return the (dim,) float32 numbers; None where they are not kept."""

        def find(connection: sqlite3.Connection) -> tuple[bytes] | None:
            return connection.execute(
                "SELECT vector FROM embedding WHERE key = ?", (key,)
            ).fetchone()

        row = self._attempt(find)
        return None if row is None else _unpacked(row[0], self.dim)

    def put(self, keys: Sequence[bytes], vectors: Floats) -> None:
        """Keep (M, dim) numbers under M keys; all of them are kept, or none."""
        rows = [(key, _packed(vector)) for key, vector in zip(keys, vectors, strict=True)]

        def keep(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?)", rows)

        self._attempt(keep)

    def close(self) -> None:
        """Let the file go; what was put is in it."""
        with self._lock:
            self._let_go()
            self._usable = False

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what the work returns; None where the file does not allow it."""
        with self._lock:
            while self._usable:
                try:
                    if self._connection is None:
                        self._connection = _connect(self._place())
                    return work(self._connection)
                except (sqlite3.Error, OSError, RuntimeError) as error:
                    self._recover(error)
        return None

    def _recover(self, error: Exception) -> None:
        """Set a damaged file aside, so that there is none; give any other up."""
        self._let_go()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
            self._usable = False
            self.notes.append(f"embeddings are not kept for the next time: {error}")
            return
        path = self._place()
        try:
            for suffix in ("-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            aside = path.replace(f"{path}.damaged")
            self.notes.append(f"{path} was damaged ({error}): now {aside.name}, and begun anew")
        except OSError as problem:
            self._usable = False
            self.notes.append(f"{path} is damaged ({error}) and cannot be set aside: {problem}")

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def cache_folder() -> Path:
    """Return the folder that ARCWISE_CACHE names, or `arcwise` in the user's folder of caches."""
    if named := os.environ.get("ARCWISE_CACHE"):
        return Path(named)
    shared = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "arcwise"


def content_key(content: bytes, landmarks: ArrayLike | None) -> bytes:
    """Return what an image's embedding depends on besides the model, as 32 bytes.

    Args:
        content: the image's file.
        landmarks: what the image is aligned by; None where it is taken as it is.
    """
    # "checked": an entry from before landmarks were checked may be of a crop that shows no face
    points = b"" if landmarks is None else b"checked" + np.asarray(landmarks, np.float64).tobytes()
    return hashlib.sha256(hashlib.sha256(content).digest() + points).digest()


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # faces are nobody else's business
    connection = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def _packed(vector: Floats) -> bytes:
    """Return the numbers and their checksum: SQLite would not notice a changed byte."""
    content = vector.astype("<f4").tobytes()
    return content + zlib.crc32(content).to_bytes(4, "little")


def _unpacked(packed: bytes, dim: int) -> Floats | None:
    """Return the vector in these bytes; None where they were changed."""
    content, check = packed[:-4], packed[-4:]
    if len(content) != 4 * dim or zlib.crc32(content).to_bytes(4, "little") != check:
        return None
    return np.frombuffer(content, "<f4").astype(np.float32)
