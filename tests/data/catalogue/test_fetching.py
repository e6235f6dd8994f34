"""Downloads from a server that does what servers do: it breaks off, changes its mind, refuses."""

from __future__ import annotations

import gzip
import hashlib
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.catalogue import RemoteFile, fetching
from arcwise.data.catalogue.fetching import RETRIES, fetch
from arcwise.errors import ArcwiseError

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Answer:
    """How the server treats one request; the last one is repeated."""

    content: bytes = CONTENT
    stop: int | None = None  # bytes of the body after which the connection is closed
    status: int = 200
    ranges: bool = True
    etag: str | None = '"one"'
    modified: str | None = None
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    stall: threading.Event | None = None  # waited for after `stop`


class Server:
    def __init__(self) -> None:
        self.answers = [Answer()]
        self.requests: list[dict[str, str]] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/file.bin"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def script(self, *answers: Answer) -> None:
        self.answers, self.requests = list(answers), []

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append({"path": self.path} | dict(self.headers))
                answer = server.answers[min(len(server.requests), len(server.answers)) - 1]
                respond(self, answer)

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def respond(to: BaseHTTPRequestHandler, answer: Answer) -> None:
    body, status, extra = answer.content, answer.status, dict(answer.headers)
    requested = to.headers.get("Range")
    same = to.headers.get("If-Range") in (answer.etag, answer.modified)
    if requested and answer.ranges and same and status == 200:
        start = int(requested.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            status, body = 416, b""
        else:
            extra["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
    to.send_response(status)
    for name, value in {"ETag": answer.etag, "Last-Modified": answer.modified, **extra}.items():
        if value is not None:
            to.send_header(name, value)
    if answer.length:
        to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body[: answer.stop])
    if answer.stall:
        to.wfile.flush()
        answer.stall.wait(20)
    to.close_connection = True


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    running = Server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def server(shared: Server) -> Server:
    shared.script(Answer())
    return shared


@dataclass
class Fetching:
    folder: Path
    url: str
    pauses: list[float] = field(default_factory=list)
    seen: list[tuple[int, int | None]] = field(default_factory=list)

    def __call__(self, sha256: str = SHA256, md5: str = "", url: str = "") -> bytes:
        file = RemoteFile("file.bin", url or self.url, sha256, md5)
        place = fetch(
            file,
            self.folder,
            received=lambda name, done, total: self.seen.append((done, total)),
            pause=self.pauses.append,
        )
        assert place == self.folder / "file.bin"
        return place.read_bytes()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def get(tmp_path: Path, server: Server) -> Fetching:
    return Fetching(tmp_path / "set", server.url)


def test_a_whole_file(server: Server, get: Fetching) -> None:
    assert get() == CONTENT
    assert get.files == ["file.bin", "file.bin.sha256"]
    assert (get.folder / "file.bin.sha256").read_text() == f"{SHA256}  file.bin\n"
    assert get.seen[-1] == (len(CONTENT), len(CONTENT))
    assert get.pauses == []
    assert server.requests[0]["User-Agent"].startswith("arcwise/")
    assert get() == CONTENT  # it is there, and only verified
    assert len(server.requests) == 1


def test_a_file_of_no_bytes(server: Server, get: Fetching) -> None:
    server.script(Answer(content=b""))
    assert get(sha256="") == b""


@pytest.mark.parametrize("stop", [0, 1, 70_000, len(CONTENT) - 1])
@pytest.mark.parametrize("length", [True, False])
def test_it_goes_on_where_it_was_cut_off(
    server: Server, get: Fetching, stop: int, length: bool
) -> None:
    if not length:  # nothing tells that the end is missing but the digest
        server.script(Answer(stop=stop, length=False))
        with pytest.raises(ArcwiseError, match="has the sha256"):
            get()
        return
    server.script(Answer(stop=stop), Answer())
    assert get() == CONTENT
    assert get.files == ["file.bin", "file.bin.sha256"]
    assert len(server.requests) == 2
    assert server.requests[1].get("Range") == (f"bytes={stop}-" if stop else None)
    assert server.requests[1].get("If-Range") == ('"one"' if stop else None)
    assert len(get.pauses) == 1


def test_the_next_call_goes_on_as_well(server: Server, get: Fetching) -> None:
    server.script(Answer(stop=300_000), Answer(status=404, content=b""))
    with pytest.raises(ArcwiseError, match="404"):
        get()
    assert get.files == ["file.bin.part", "file.bin.part.from"]
    server.script(Answer())
    assert get() == CONTENT
    assert server.requests[0]["Range"] == "bytes=300000-"


def test_a_server_without_ranges_is_read_from_the_start(server: Server, get: Fetching) -> None:
    server.script(Answer(stop=500_000), Answer(ranges=False))
    assert get() == CONTENT


def test_a_file_that_changed_meanwhile_is_read_from_the_start(
    server: Server, get: Fetching
) -> None:
    server.script(Answer(content=b"x" * 9999, stop=5000, etag='"old"'), Answer())
    assert get() == CONTENT
    assert server.requests[1]["If-Range"] == '"old"'


def test_the_date_stands_in_for_a_weak_or_missing_etag(server: Server, get: Fetching) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    first = Answer(stop=5000, etag='W/"weak"', modified=date)
    server.script(first, Answer(etag=None, modified=date))
    assert get() == CONTENT
    assert server.requests[1]["If-Range"] == date
    assert server.requests[1]["Range"] == "bytes=5000-"


def test_without_either_nothing_is_resumed(server: Server, get: Fetching) -> None:
    server.script(Answer(stop=5000, etag=None), Answer(etag=None))
    assert get() == CONTENT
    assert "Range" not in server.requests[1]


def test_another_part_than_was_asked_for_is_not_appended(server: Server, get: Fetching) -> None:
    wrong = Answer(status=206, headers={"Content-Range": "bytes 7-10/11"}, content=b"xxxx")
    server.script(Answer(stop=5000), wrong, Answer())
    assert get() == CONTENT
    assert "Range" not in server.requests[2]


def test_a_part_that_is_longer_than_the_file_is_dropped(server: Server, get: Fetching) -> None:
    server.script(Answer(content=CONTENT + b"more", stop=len(CONTENT)), Answer())
    assert get() == CONTENT
    assert len(server.requests) == 3  # the second was answered with 416


def test_a_body_packed_without_being_asked_to_is_unpacked(server: Server, get: Fetching) -> None:
    packed = Answer(content=gzip.compress(CONTENT), headers={"Content-Encoding": "gzip"})
    server.script(packed)
    assert get() == CONTENT
    cut = Answer(content=packed.content, headers=packed.headers, stop=2000)
    (get.folder / "file.bin").unlink()
    server.script(cut, packed)
    assert get() == CONTENT
    assert "Range" not in server.requests[1]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_is_busy_is_asked_again(server: Server, get: Fetching, status: int) -> None:
    server.script(Answer(status=status), Answer(status=status), Answer())
    assert get() == CONTENT
    assert get.pauses == [2.0, 4.0]


def test_a_silent_server_is_given_up_and_asked_again(
    server: Server, get: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_TIMEOUT", 0.2)
    silence = threading.Event()
    server.script(Answer(stop=1000, stall=silence), Answer())
    assert get() == CONTENT
    silence.set()
    assert server.requests[1]["Range"].startswith("bytes=")


def test_it_gives_up_in_the_end(server: Server, get: Fetching) -> None:
    server.script(Answer(stop=1000, ranges=False))
    with pytest.raises(ArcwiseError) as caught:
        get()
    message = str(caught.value)
    assert f"the connection ended after 1,000 of {len(CONTENT):,} bytes, 5 times" in message
    assert f"fetch it by hand, put it at {get.folder / 'file.bin'}, and run this" in message
    assert len(server.requests) == RETRIES + 1  # the first brought something new
    assert get.pauses[-1] == 2.0 ** (RETRIES - 1)


@settings(deadline=None, max_examples=30)
@given(stops=st.lists(st.integers(1, 900_000), max_size=4), seed=st.integers(0, 99))
def test_however_often_it_breaks_the_file_is_whole(
    shared: Server, tmp_path_factory: pytest.TempPathFactory, stops: list[int], seed: int
) -> None:
    answers = [Answer(stop=stop, ranges=bool(seed >> n & 1)) for n, stop in enumerate(stops)]
    shared.script(*answers, Answer())
    assert Fetching(tmp_path_factory.mktemp("set"), shared.url)() == CONTENT


@pytest.mark.parametrize(("sha256", "md5"), [("0" * 64, ""), ("", "0" * 32)])
def test_a_wrong_digest_says_both(get: Fetching, sha256: str, md5: str) -> None:
    kind, got = ("sha256", SHA256) if sha256 else ("md5", hashlib.md5(CONTENT).hexdigest())
    with pytest.raises(ArcwiseError, match=f"has the {kind} {got}, but {sha256 or md5} is publ"):
        get(sha256, md5)
    assert get.files == []


def test_a_file_put_there_by_hand_is_verified_too(server: Server, get: Fetching) -> None:
    get.folder.mkdir()
    (get.folder / "file.bin").write_bytes(CONTENT)
    assert get() == CONTENT
    assert server.requests == []
    (get.folder / "file.bin").write_bytes(b"an error page")
    with pytest.raises(ArcwiseError, match="remove it, and it is downloaded again"):
        get()
    assert (get.folder / "file.bin").read_bytes() == b"an error page"


def test_where_none_is_published_the_first_is_recorded(server: Server, get: Fetching) -> None:
    assert get(sha256="") == CONTENT
    (get.folder / "file.bin").unlink()
    assert get(sha256="") == CONTENT
    (get.folder / "file.bin").unlink()
    server.script(Answer(content=b"other"))
    with pytest.raises(ArcwiseError, match=rf"but {SHA256} was recorded .*file\.bin\.sha256"):
        get(sha256="")


def test_a_missing_file_and_a_missing_server(server: Server, get: Fetching) -> None:
    server.script(Answer(status=404, content=b"gone"))
    with pytest.raises(ArcwiseError, match=r"file\.bin: the server says 404 .*by hand, put it at"):
        get()
    assert get.pauses == []
    with pytest.raises(ArcwiseError, match=r"127\.0\.0\.1:1/x: cannot be reached .*by hand"):
        get(url="http://127.0.0.1:1/x")
    with pytest.raises(ArcwiseError, match=r"cannot be reached .*by hand, put it at /"):
        get(url="http://no-such-host.invalid/x")


def test_a_server_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    """Its port is closed after the first answer, and opened again during the third pause."""
    first = Server()
    port = first.http.server_address[1]
    first.script(Answer(stop=700))
    again: list[ThreadingHTTPServer] = []
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            first.http.shutdown()
            first.http.server_close()
        if len(pauses) == 3:
            first.script(Answer())
            again.append(ThreadingHTTPServer(("127.0.0.1", port), first._handler()))
            threading.Thread(target=again[0].serve_forever, args=(0.01,), daemon=True).start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        place = fetch(RemoteFile("file.bin", first.url, SHA256), tmp_path, pause=pause)
    assert place.read_bytes() == CONTENT
    assert pauses == [1.0, 2.0, 4.0]
    again[0].shutdown()
    again[0].server_close()


def test_redirects_are_followed_but_not_from_locked_to_open(server: Server, get: Fetching) -> None:
    redirect = Answer(status=302, content=b"", headers={"Location": "/elsewhere"})
    server.script(redirect, Answer(stop=4000), redirect, Answer())
    assert get() == CONTENT
    assert [request["path"] for request in server.requests] == [
        "/file.bin",
        "/elsewhere",
        "/file.bin",
        "/elsewhere",
    ]
    assert server.requests[3]["Range"] == "bytes=4000-"
    locked = urllib.request.Request("https://example.org/x")
    with pytest.raises(fetching._Unreachable, match="not encrypted"):
        fetching._Redirects().redirect_request(locked, None, 302, "", {}, "http://example.org/x")


def test_a_certificate_that_is_not_trusted(get: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    with pytest.raises(ArcwiseError, match="its certificate is not trusted"):
        get()
    assert get.pauses == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(get: Fetching) -> None:
    get.folder.mkdir()
    (get.folder / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(ArcwiseError, match=r"No space left .* after 0 of 1,280,000 bytes; make"):
        get()


@pytest.mark.parametrize("state", ["", "{}", "[]", '{"url": "other", "validator": "x"}', "\0"])
def test_a_damaged_note_of_where_it_stopped(server: Server, get: Fetching, state: str) -> None:
    get.folder.mkdir()
    (get.folder / "file.bin.part").write_bytes(b"what is this")
    (get.folder / "file.bin.part.from").write_text(state)
    assert get() == CONTENT
    assert "Range" not in server.requests[0]


def test_stopped_by_the_user_it_can_go_on(server: Server, tmp_path: Path, get: Fetching) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(RemoteFile("file.bin", server.url, SHA256), get.folder, received=stop)
    assert get() == CONTENT
    assert server.requests[1]["Range"].startswith("bytes=")
    assert not (get.folder / "file.bin.part").exists()
