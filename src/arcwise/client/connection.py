"""Requests to a server, its answers, and its errors as those of this package."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from arcwise.errors import ArcwiseError, GalleryError, ImageError, UnreadableImages, in_one_line
from arcwise.gallery import shown_address

_TRIES = 20  # of a request that the server asks to send again later
_LONGEST_WAIT = 10.0  # seconds
_SENT_AGAIN = (429, 503)  # refused before anything was done
_LARGEST_ANSWER = 2**28


class Body(NamedTuple):
    """What is sent.

    Attributes:
        kind: its content type.
        content: its bytes.
    """

    kind: str
    content: bytes


class Connection:
    """A gallery on a server; threads may share it, and each gets a connection of its own.

    Args:
        url: `https://host/v1/galleries/NAME`.
        key: sent with each request; None where the server needs none.
        timeout: seconds that the server may be silent.

    Attributes:
        url: as it was given.

    Raises:
        ArcwiseError: the address is none of a gallery.
    """

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        parts = urlsplit(url)
        before, found, name = parts.path.rstrip("/").rpartition("/v1/galleries/")
        host = parts.hostname
        if (
            parts.scheme not in ("http", "https")
            or not host
            or not found
            or not name
            or "/" in name
            or parts.query
            or parts.username
        ):
            raise ArcwiseError(f"{shown_address(url)}: expected https://HOST/v1/galleries/NAME")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ArcwiseError("the key has characters that no key has; check ARCWISE_KEY")
        try:
            self._place: tuple[str, int | None] = (host, parts.port)
        except ValueError as problem:
            raise ArcwiseError(f"{shown_address(url)}: {problem}") from None
        self.url = url
        self._path = f"{before}/v1/galleries/{quote(name, safe='')}"
        self._timeout = timeout
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._idle: list[HTTPConnection] = []
        self._guard = threading.Lock()

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Body | None = None,
        *,
        changes: bool = False,
    ) -> Any:
        """Return what the server answers: JSON, or bytes of another kind; None for nothing.

        Args:
            method: of HTTP.
            path: under that of the gallery.
            query: parameters; None for those that are not given.
            body: what is sent.
            changes: whether the request changes something: it is never sent twice then.

        Raises:
            ArcwiseError: the server cannot be reached, or refuses.
            GalleryError: there is no such gallery, identity or template.
            ImageError: the only image cannot be used.
        UnreadableImages: none of several can.
        """
        given = {name: _text(one) for name, one in (query or {}).items() if one is not None}
        target = self._path + path + (f"?{urlencode(given)}" if given else "")
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = body.kind
        status, reply, content = self._exchange(method, target, headers, body, changes)
        for _ in range(_TRIES):
            if status not in _SENT_AGAIN or "retry-after" not in reply:
                break
            time.sleep(_seconds(reply["retry-after"]))
            status, reply, content = self._exchange(method, target, headers, body, changes)
        if status >= 400:
            raise self._error(status, content)
        if status == 204:
            return None
        if reply.get("content-type", "").startswith("application/json"):
            return self._json(content)
        return content

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._guard:
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: Body | None, changes: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, head and content of an answer."""
        content = None if body is None else body.content
        with self._guard:
            kept = self._idle.pop() if self._idle and not changes else None
        for connection in (kept, self._new()):
            if connection is None:
                continue
            reached = False
            try:
                if connection.sock is None:
                    connection.connect()
                reached = True
                response = _sent(connection, method, target, content, headers)
                received = response.read(_LARGEST_ANSWER)
            except ssl.SSLCertVerificationError as problem:
                connection.close()
                raise ArcwiseError(
                    f"{self.url}: its certificate is not trusted ({problem.verify_message}); a "
                    "certificate of your own is named by SSL_CERT_FILE"
                ) from None
            except (HTTPException, OSError) as problem:
                connection.close()
                if connection is kept:  # the server had closed it: nothing was read of this one
                    continue
                reason = in_one_line(problem) or type(problem).__name__
                if changes and reached:
                    raise ArcwiseError(
                        f"{self.url}: the connection broke before the answer ({reason}); the "
                        "change is made whole or not at all: look before you repeat it (arcwise "
                        "gallery list)"
                    ) from None
                raise ArcwiseError(
                    f"{self.url}: cannot be reached, or answers nothing ({reason}); check the "
                    "address, and that the server runs"
                ) from None
            if response.will_close:
                connection.close()
            else:
                with self._guard:
                    self._idle.append(connection)
            head = {name.lower(): value for name, value in response.getheaders()}
            return response.status, head, received
        raise AssertionError("a new connection answers or raises")

    def _new(self) -> HTTPConnection:
        host, port = self._place
        if self._tls is None:
            return HTTPConnection(host, port, timeout=self._timeout)
        return HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)

    def _json(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            raise ArcwiseError(f"{self.url}: answers no JSON; is it an Arcwise server?") from None

    def _error(self, status: int, content: bytes) -> ArcwiseError:
        """Return the error that an answer tells of."""
        try:
            error = json.loads(content)["error"]
            code, message, advice = error["code"], str(error["message"]), str(error["do"])
        except (ValueError, KeyError, TypeError):
            return ArcwiseError(
                f"{self.url}: answers with status {status}; is it an Arcwise server?"
            )
        if code == "image_unreadable":
            return _unreadable(message, error.get("images"))
        if code == "refused":  # the message says what to do
            return ArcwiseError(message)
        if code == "no_key":
            advice = "set ARCWISE_KEY to a key of this server; in Python Client(url, key)"
        kind = (
            GalleryError
            if code in ("not_found", "not_enrolled", "conflict", "damaged", "unavailable")
            else ArcwiseError
        )
        return kind(f"{self.url}: {message}; {advice}")


def _sent(
    connection: HTTPConnection,
    method: str,
    target: str,
    content: bytes | None,
    headers: dict[str, str],
) -> HTTPResponse:
    try:
        connection.request(method, target, content, headers)
    except (BrokenPipeError, ConnectionResetError):
        if content is None:
            raise
        # A server that refuses a body answers, and reads no more of it.
    return connection.getresponse()


def _unreadable(message: str, images: Any) -> ArcwiseError:
    """Return why no image can be used, each by its name on the server."""
    failures = [
        ImageError(str(one.get("image")), str(one.get("reason")))
        for one in (images if isinstance(images, list) else ())
        if isinstance(one, dict)
    ]
    return failures[0] if len(failures) == 1 else UnreadableImages(message, failures)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(text: str) -> float:
    return min(_LONGEST_WAIT, float(text)) if text.isdigit() else 1.0
