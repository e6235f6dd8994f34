"""Running a server: until a signal stops it, and what was accepted is answered."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn

from arcwise.errors import ArcwiseError
from arcwise.files import os_error_reason
from arcwise.serving.app import Application, application
from arcwise.serving.certificates import check_tls
from arcwise.serving.connections import connection_class
from arcwise.serving.settings import Settings

_BACKLOG = 1024


class Server:
    """A server that listens already, its galleries open.

    Args:
        settings: of the server.

    Attributes:
        application: what it runs.
        url: where it listens.

    Raises:
        ArcwiseError: a file of TLS is wrong, the address cannot be had, or a gallery or its model
            cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.tls is not None:
            check_tls(settings.tls)
        self._socket = _listening(settings.host, settings.port)
        try:
            self.application: Application = application(settings)
        except BaseException:
            self._socket.close()
            raise
        scheme = "http" if settings.tls is None else "https"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"{scheme}://{host}:{self._socket.getsockname()[1]}"
        tls = settings.tls
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self.application.asgi,
                http=connection_class(settings.limits.head_seconds),
                ws="none",
                lifespan="on",
                loop="asyncio",
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=bool(settings.proxies),
                forwarded_allow_ips=list(settings.proxies),
                timeout_graceful_shutdown=settings.limits.shutdown_seconds,
                ssl_certfile=None if tls is None else str(tls.certificate),
                ssl_keyfile=None if tls is None else str(tls.key),
            )
        )

    def run(self) -> None:
        """Answer until a signal or `stop`, and then what was accepted."""
        self._uvicorn.run([self._socket])

    def stop(self) -> None:
        """Accept no more, answer what was accepted, and let `run` return; from any thread."""
        self._uvicorn.should_exit = True

    @property
    def started(self) -> bool:
        """Whether it answers."""
        return self._uvicorn.started


def serve(settings: Settings, on_listening: Callable[[Server], object]) -> None:
    """Run a server until a signal stops it; in the main thread.

    Args:
        settings: of the server.
        on_listening: called once it listens and its galleries are open.

    Raises:
        ArcwiseError: it cannot begin.
    """
    server = Server(settings)
    on_listening(server)
    hangup = getattr(signal, "SIGHUP", None)  # a terminal that was closed; uvicorn knows the others
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        signal.signal(hangup, lambda number, frame: server.stop())
    server.run()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Where the protocol is named, asyncio lets short answers go at once (TCP_NODELAY).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        raise ArcwiseError(
            f"{host}:{port} cannot be listened on: {os_error_reason(problem)}; name another with "
            "--host and --port"
        ) from None
    return listener
