"""Folders of Milvus Lite that this process has open, each served by a thread of it.

Milvus Lite locks its folder for one process, and takes one call at a time; several at once spoil
its tables. After a write that failed, as on a full disk, it goes on behind the half record in its
log, and loses what follows when it reads that log; or it forgets what it was about to write into
files. So the folder is read again after a call that failed, before anything else is asked.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient, MilvusException

from arcwise.errors import GalleryError, in_one_line
from arcwise.gallery.milvus.address import PREFIX
from arcwise.gallery.milvus.turn import is_missing

# Its errors reach the caller as those of pymilvus; nothing but a user's own logging prints them.
logging.getLogger("milvus_lite").addHandler(logging.NullHandler())

_open: dict[str, LocalServer] = {}
_lock = threading.Lock()


class LocalServer:
    """A folder of Milvus Lite that is served.

    Attributes:
        uri: where pymilvus finds it now.
        lock: for the one call at a time.
        failed: whether a call has failed since the folder was read.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._users = 0
        self.lock = threading.RLock()
        self._serve()

    @classmethod
    def of(cls, folder: str, shown: str) -> LocalServer:
        """Return the server of a folder, which is made if there is none.

        Raises:
            GalleryError: another process has it open, or it cannot be opened.
        """
        path = os.path.realpath(folder)
        try:
            with _lock:
                if path not in _open:
                    _open[path] = cls(path)
                _open[path]._users += 1
                return _open[path]
        except ImportError as error:
            raise GalleryError(
                f"{shown}: a folder of Milvus Lite needs milvus-lite ({in_one_line(error)}): "
                "pip install 'pymilvus[milvus-lite]'"
            ) from error
        except Exception as error:  # whatever a library of the first versions raises
            raise GalleryError(
                f"{shown}: cannot be opened; one process at a time can ({in_one_line(error)})"
            ) from error

    def read_again(self) -> None:
        """Read the folder again, and serve what it holds."""
        self._stop()
        self._serve()
        for name in self._database.list_collections():
            if name.startswith(PREFIX) and "__turn" not in name:
                self._database.get_collection(name).load()

    def release(self) -> None:
        """Stop serving when the last user has released it."""
        with _lock:
            self._users -= 1
            if not self._users:
                del _open[os.path.realpath(self._folder)]
                self._stop()

    def _serve(self) -> None:
        from milvus_lite.adapter.grpc.server import start_server_in_thread

        # Nothing tells whether the files of an index are what was written: they are made again.
        for file in Path(self._folder).glob("collections/arcwise_*/partitions/*/indexes/*"):
            file.unlink()
        self._server, self._database, port = start_server_in_thread(self._folder, max_workers=1)
        self.uri = f"http://127.0.0.1:{port}"
        self.failed = False

    def _stop(self) -> None:
        self._server.stop(grace=2).wait()
        self._database.close()


class LocalClient:
    """What calls pymilvus for a gallery in a folder, as `MilvusClient` is called.

    Args:
        server: of the folder.
        shown: the address of the gallery, for messages.
        timeout: seconds to wait for the first answer.
    """

    def __init__(self, server: LocalServer, shown: str, timeout: float) -> None:
        self._server, self._shown, self._timeout = server, shown, timeout
        self._connect()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of pymilvus' client."""

        def call(*given: Any, **named: Any) -> Any:
            if self._server.failed:
                try:
                    self._server.read_again()
                except Exception as error:  # as in `LocalServer.of`
                    raise GalleryError(
                        f"{self._shown}: a call failed, and the folder cannot be read again "
                        f"({in_one_line(error)})"
                    ) from error
            if self._uri != self._server.uri:
                self.close()
                self._connect()
            try:
                return getattr(self._client, name)(*given, **named)
            except MilvusException as error:
                self._server.failed |= not is_missing(error)
                raise

        return call

    def close(self) -> None:
        """Close the connection."""
        with suppress(MilvusException):  # to a server that is not there any more
            self._client.close()

    def _connect(self) -> None:
        self._uri = self._server.uri
        self._client = MilvusClient(self._uri, dedicated=True, timeout=self._timeout)
