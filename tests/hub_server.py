"""A server on this machine that answers as a Hugging Face hub does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "c0ffee" * 6 + "c0ff"


class Hub:
    """Files by `owner/name` and path, and what the server does wrong.

    Attributes:
        files: content by repository and path.
        gated: repositories whose terms are to be accepted.
        digests: of files that are announced with another digest than they have.
        cut: paths that are sent in part, as often as this says.
        requests: method and path of what was asked for.
        address: of the server.
    """

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.gated: set[str] = set()
        self.digests: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.requests: list[str] = []
        self.address = ""


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Serve the hub on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _refusal(self, repository: str, resolve: str, revision: str, file: str) -> str:
            """Return why the file cannot be had, in the hub's words; empty where it can."""
            if resolve != "resolve" or not any(one == repository for one, _ in hub.files):
                return "RepoNotFound"
            if repository in hub.gated:
                return "GatedRepo"
            if revision not in ("main", COMMIT):
                return "RevisionNotFound"
            return "" if (repository, file) in hub.files else "EntryNotFound"

        def _answer(self, *, body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            parts = [*self.path.strip("/").split("/"), "", "", ""]
            repository, file = "/".join(parts[:2]), "/".join(parts[4:]).rstrip("/")
            if refusal := self._refusal(repository, parts[2], parts[3], file):
                self.send_response(401 if refusal == "GatedRepo" else 404)
                self.send_header("X-Error-Code", refusal)
                self.send_header("X-Error-Message", refusal)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = hub.files[repository, file]
            git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            small = file.endswith(".md")
            digest = git if small else hashlib.sha256(content).hexdigest()
            start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hub.digests.get(file, digest)}"')
            self.send_header("Accept-Ranges", "bytes")
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if not body:
                return
            if hub.cut.get(file, 0) > 0:
                hub.cut[file] -= 1
                self.wfile.write(content[start : start + (len(content) - start) // 2])
                self.close_connection = True
                return
            self.wfile.write(content[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
