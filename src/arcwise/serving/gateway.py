"""What every request passes: an id, limits of its size and time, and what is counted of it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arcwise.serving import problems
from arcwise.serving.metrics import ServerMetrics
from arcwise.serving.problems import RequestProblem
from arcwise.serving.settings import ServerLimits

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LOG = logging.getLogger("arcwise.serving")


class Gateway:
    """An ASGI application around another one.

    Args:
        app: answers the requests that pass.
        limits: of requests.
        metrics: where requests are counted.
        galleries: names that a counter may bear.
    """

    def __init__(
        self, app: ASGIApp, limits: ServerLimits, metrics: ServerMetrics, galleries: frozenset[str]
    ) -> None:
        self._app, self._limits, self._metrics, self._galleries = app, limits, metrics, galleries
        self._running = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passing = _Passing(scope, receive, send, self._limits)
        request = scope.setdefault("state", {})["request"] = passing.id
        self._running += 1
        self._metrics.running.set(self._running)
        try:
            refused = self._refused(scope)
            if refused is not None:
                await problems.answer(refused, request)(scope, receive, passing.send)
                return
            await self._app(scope, self._counted(passing), passing.send)
        except Exception:  # the answer was given; what happened is for the log
            _LOG.exception("request %s failed", request)
            if passing.status is None:
                await problems.internal(request)(scope, receive, passing.send)
        finally:
            self._running -= 1
            self._buffered -= passing.received
            self._metrics.running.set(self._running)
            self._count(scope, passing)

    def _refused(self, scope: Scope) -> RequestProblem | None:
        """Return why a request is not even read."""
        limits = self._limits
        if self._running > limits.requests:
            return _busy(f"{limits.requests} requests wait for an answer")
        announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if not announced.isdigit():
            return RequestProblem(400, "malformed", "Content-Length is no number")
        return self._too_large(int(announced[:20]))

    def _too_large(self, size: int) -> RequestProblem | None:
        limits = self._limits
        if size > limits.body_bytes:
            message = f"a body of more than {limits.body_bytes:,} bytes"
            return RequestProblem(413, "too_large", message, {"Connection": "close"})
        if self._buffered + size > limits.buffered_bytes:
            return _busy("too many bytes of other requests are held")
        return None

    def _counted(self, passing: _Passing) -> Receive:
        """Return a `receive` that refuses a body that is too large, too slow or cut off."""

        async def receive() -> Message:
            if passing.whole:
                return await passing.receive()
            try:
                async with asyncio.timeout_at(passing.until):
                    message = await passing.receive()
            except TimeoutError:
                headers = {"Connection": "close"}
                message = f"the body did not come within {self._limits.body_seconds:g} seconds"
                raise RequestProblem(408, "too_slow", message, headers) from None
            if message["type"] == "http.disconnect":
                raise RequestProblem(400, "malformed", "the client left before the body's end")
            size = len(message.get("body", b""))
            passing.received += size
            self._buffered += size
            problem = self._too_large(passing.received) if size else None
            if problem is not None:
                raise problem
            passing.whole = not message.get("more_body", False)
            return message

        return receive

    def _count(self, scope: Scope, passing: _Passing) -> None:
        route = getattr(scope.get("route"), "path", "") or "none"
        gallery = scope.get("path_params", {}).get("gallery", "")
        gallery = gallery if gallery in self._galleries else ""
        status = str(passing.status or "gone")
        self._metrics.requests.labels(gallery, route, status).inc()
        self._metrics.seconds.labels(gallery, route).observe(time.monotonic() - passing.begun)


class _Passing:
    """A request on its way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: ServerLimits) -> None:
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        self.id = given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)
        self.begun = time.monotonic()
        self.until = asyncio.get_running_loop().time() + limits.body_seconds
        self.received = 0
        self.whole = False
        self.status: int | None = None
        self.receive, self._send = receive, send

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.setdefault("headers", [])
            message["headers"] = [
                *headers,
                (b"x-request-id", self.id.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ]
        await self._send(message)


def _busy(why: str) -> RequestProblem:
    return RequestProblem(503, "busy", why, {"Retry-After": "1"})
