"""Folders of Milvus Lite that this process has open, each served by a thread of it.

Milvus Lite locks its folder for one process, and takes one call at a time; several at once spoil
its tables.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from arcwise.errors import GalleryError, in_one_line

_open: dict[str, LocalServer] = {}
_lock = threading.Lock()


class LocalServer:
    """A folder of Milvus Lite that is served.

    Attributes:
        uri: where pymilvus finds it.
        lock: for the one call at a time.
    """

    def __init__(self, folder: str) -> None:
        from milvus_lite.adapter.grpc.server import start_server_in_thread

        self._folder = folder
        # Nothing tells whether the files of an index are what was written: they are made again.
        for file in Path(folder).glob("collections/arcwise_*/partitions/*/indexes/*"):
            file.unlink()
        self._server, self._database, port = start_server_in_thread(folder, max_workers=1)
        self.uri = f"http://127.0.0.1:{port}"
        self.lock = threading.RLock()
        self._users = 0

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

    def release(self) -> None:
        """Stop serving when the last user has released it."""
        with _lock:
            self._users -= 1
            if not self._users:
                del _open[os.path.realpath(self._folder)]
                self._server.stop(grace=2).wait()
                self._database.close()
