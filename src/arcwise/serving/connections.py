"""One connection: a request's head must be short, and come soon."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from arcwise.serving.problems import CODES

_LONGEST_HEAD = 64 * 1024


def connection_class(head_seconds: float) -> type[HttpToolsProtocol]:
    """Return the class of connections whose heads come within so many seconds."""

    class Connection(HttpToolsProtocol):
        """A connection that does not wait for a head for ever, nor takes one of any length."""

        _timer: asyncio.TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            self._head_bytes += len(data)
            super().data_received(data)
            if self._timer is not None and self._head_bytes > _LONGEST_HEAD:
                self.send_400_response("a head of more than 64 KiB")
                self._forget()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._timer is None:  # a further request on the same connection
                self._head_bytes = 0
                self._expect_head()

        def on_headers_complete(self) -> None:
            self._forget()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            content = {
                "code": "malformed",
                "message": msg,
                "do": CODES["malformed"],
                "request": "",
                "images": [],
            }
            body = json.dumps({"error": content}).encode()
            head = (
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            )
            self.transport.write(head + body)
            self.transport.close()

        def _expect_head(self) -> None:
            self._timer = self.loop.call_later(head_seconds, self.transport.close)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Connection
