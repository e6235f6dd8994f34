"""Downloads that are resumed after an interruption, and verified before they get their name."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, Any

from arcwise.data.catalogue import RemoteFile
from arcwise.errors import ArcwiseError
from arcwise.version import __version__

DownloadProgress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes so far, and its length where that is known."""

RETRIES = 5
"""Number of attempts without a new byte before a download fails."""

_TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 2**18
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    received: DownloadProgress | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Return the path of the file in the folder, downloaded unless it exists, and verified.

    It is compared with the published digest. Where there is none, it is compared with that of the
    first download, which is stored as `NAME.sha256` (`sha256sum -c` reads it).

    Args:
        file: what to download.
        folder: where it goes.
        received: called after each block.
        pause: called with the seconds to wait between attempts.

    Raises:
        ArcwiseError: it cannot be downloaded, or its digest differs; the message says what to do.
            A part of a file stays, and the next call resumes there.
    """
    place = folder / file.name
    if place.is_file():
        _verify(place, file, record=place, mend="remove it, and it is downloaded again")
        return place
    folder.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    try:
        _download(file, part, received, pause)
    except _Unreachable as problem:
        raise ArcwiseError(
            f"{file.url}: {problem}; fetch it by hand, put it at {place.absolute()}, and run this "
            "again"
        ) from None
    try:
        _verify(part, file, record=place, mend="it was removed; run this again")
    except ArcwiseError:
        part.unlink()
        raise
    os.replace(part, place)
    return place


class _Dropped(Exception):
    """An attempt ended early; another may succeed."""


class _Unreachable(Exception):
    """Another attempt would not succeed."""


class _NoConnection(_Unreachable):
    """There is no connection; another attempt is worth it only if there was one before."""


def _download(
    file: RemoteFile, part: Path, received: DownloadProgress | None, pause: Callable[[float], None]
) -> None:
    first = longest = _length(part)
    failures = 0
    while True:
        try:
            return _attempt(file, part, received)
        except (_Dropped, _NoConnection) as problem:
            length = _length(part)
            if isinstance(problem, _NoConnection) and longest == first:
                raise  # without a network, fail at once
            failures = 0 if length > longest else failures + 1
            longest = max(longest, length)
            if failures >= RETRIES:
                raise _Unreachable(f"{problem}, {failures} times in a row") from None
            pause(2.0**failures)


def _attempt(file: RemoteFile, part: Path, received: DownloadProgress | None) -> None:
    """Make one request, for the missing part if the server confirms that the file is the same."""
    state = part.with_name(f"{part.name}.from")
    length, validator = _length(part), _validator(state, file.url)
    headers = {"User-Agent": f"arcwise/{__version__}", "Accept-Encoding": "identity"}
    if length and validator:
        headers |= {"Range": f"bytes={length}-", "If-Range": validator}
    with _opened(urllib.request.Request(file.url, headers=headers), part) as response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if resumed and not _continues(response.headers, length):
            part.unlink()
            raise _Dropped("it answered with another part than the requested one")
        start = length if resumed else 0
        source: Any = response
        packed = response.headers.get("Content-Encoding", "identity") == "gzip"
        declared = response.headers.get("Content-Length")
        if packed:  # although not requested; it cannot be resumed
            source, declared = gzip.GzipFile(fileobj=response), None
        total = start + int(declared) if declared and declared.isdecimal() else None
        validator = "" if packed else _stable(response.headers)
        with open(part, "ab" if resumed else "wb", buffering=0) as target:
            state.write_text(json.dumps({"url": file.url, "validator": validator}))
            length = _copy(source, target, file.name, start, total, received)
    if total is not None and length < total:
        raise _Dropped(f"the connection ended after {length:,} of {total:,} bytes")
    state.unlink()


def _opened(request: urllib.request.Request, part: Path) -> Any:
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
            raise _Dropped("what was downloaded is no part of it any more") from None
        failure = f"the server says {error.code} {error.reason}"
        raise (_Dropped if error.code in _PASSING else _Unreachable)(failure) from None
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, (TimeoutError, ConnectionResetError)):
            raise _Dropped("no answer") from None
        if isinstance(reason, ssl.SSLError):
            raise _Unreachable(f"its certificate is not trusted ({reason})") from None
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        raise _NoConnection(f"cannot be reached ({text})") from None
    except (TimeoutError, ConnectionError, http.client.HTTPException):
        raise _Dropped("no answer") from None


def _copy(
    source: Any,
    target: IO[bytes],
    name: str,
    length: int,
    total: int | None,
    received: DownloadProgress | None,
) -> int:
    """Copy to the end; return the length of the file then."""
    while True:
        try:
            block = source.read1(_BLOCK)  # returns what has arrived, even if the rest does not
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as problem:
            raise _Dropped(f"the connection ended after {length:,} bytes") from problem
        if not block:
            return length
        try:
            target.write(block)
        except OSError as problem:
            needed = "" if total is None else f" of {total:,}"
            raise ArcwiseError(
                f"{target.name}: {problem.strerror} after {length:,}{needed} bytes; make room and "
                "run this again, it resumes there"
            ) from None
        length += len(block)
        if received is not None:
            received(name, length, total)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted connection to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise _Unreachable(f"it redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stable(headers: Message) -> str:
    """Return what identifies this version of the file: a strong ETag, or the date of change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _validator(state: Path, url: str) -> str:
    try:
        record = json.loads(state.read_text())
        return str(record["validator"]) if record["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _continues(headers: Message, start: int) -> bool:
    span = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return span is not None and int(span[1]) == start


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _verify(path: Path, file: RemoteFile, *, record: Path, mend: str) -> None:
    """Compare with the published digest, or with the recorded one; record the first one."""
    digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with open(path, "rb") as data:
        while block := data.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
    got = {kind: digest.hexdigest() for kind, digest in digests.items()}
    book = record.with_name(f"{record.name}.sha256")
    recorded = book.read_text().split()[:1] if book.is_file() else []
    if file.sha256 or file.md5:
        kind, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
        source = "is published for it"
    else:
        kind, expected = "sha256", recorded[0] if recorded else got["sha256"]
        source = f"was recorded when it was first downloaded ({book.name}; remove that as well if "
        source += "its origin has packed it anew)"
    if got[kind] != expected:
        raise ArcwiseError(f"{path}: has the {kind} {got[kind]}, but {expected} {source}; {mend}")
    book.write_text(f"{got['sha256']}  {record.name}\n")
