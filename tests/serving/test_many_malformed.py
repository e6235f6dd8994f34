"""Thousands of malformed requests beside honest ones, to a server of two galleries with keys.

`ARCWISE_MALFORMED=10000 python -m pytest tests/serving/test_many_malformed.py` sends so many and
shows what was answered; `ARCWISE_MALFORMED_SEED=1` sends others.
"""
# ruff: noqa: E501

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from arcwise.gallery import open_gallery
from arcwise.recognition import Recogniser
from arcwise.serving.settings import Settings
from tests.serving.conftest import Running, keyed, running
from tests.serving.malformed import Malformed, Stream

COUNT = int(os.environ.get("ARCWISE_MALFORMED", "150"))
SEED = int(os.environ.get("ARCWISE_MALFORMED_SEED", "0"))
CLIENTS = 8
MOST_GROWTH = 150e6  # bytes
LIMITS = {
    "images": 4, "image_bytes": 100_000, "body_bytes": 300_000, "pixels": 250_000, "rate": 1e6,
    "burst": 10**6, "head_seconds": 0.4, "body_seconds": 0.5,
}  # fmt: skip
SECRET = "kept-from-others"
"""In the names of the folder, of the other gallery's identities, and of nothing that is asked."""


class Attacked(NamedTuple):
    served: Running
    folder: Path
    keys: dict[str, str]


class Outcome(NamedTuple):
    """What came of a request: its status, 0 without an answer; the answer's head and body."""

    status: int
    head: bytes
    body: bytes


@pytest.fixture(scope="module")
def attacked(model, images, tmp_path_factory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp(SECRET)
    galleries = {}
    for name, called in (("mine", "p{}"), ("yours", SECRET + "-{}")):
        path = folder / f"{name}.gallery"
        with Recogniser(model, path, create=True) as one:
            for row in range(5):
                one.enrol(called.format(row), [images[row]])
        galleries[name] = {"path": str(path), "model": model, "thumbnails": True}
    of = {role: (role, ["mine"]) for role in ("read", "enrol", "admin")}
    keys, settings = keyed(**of, yours=("admin", ["yours"]))
    given = {"port": 0, "galleries": galleries, "keys": settings, "limits": LIMITS}
    with running(Settings.model_validate(given)) as one:
        yield Attacked(one, folder, keys)


def sent(port: int, one: Malformed) -> Outcome:
    """Send the bytes of a request; return what is answered until the connection is closed."""
    answer = b""
    with (
        contextlib.suppress(ConnectionError),  # it need not read to the end
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        if one.leaves:  # with a reset
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(one.wire)
        while not one.leaves and not _whole(answer):
            more = connection.recv(65536)
            if not more:
                break
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return Outcome(int(head[9:12] or 0), head, body)


def _whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found and length and len(body) >= int(length[1]) and head[9:10] != b"1")


def wrong(one: Malformed, outcome: Outcome) -> str:
    """Return what is wrong with an answer; empty where nothing is."""
    text = (outcome.head + outcome.body).decode(errors="replace").lower()
    if not outcome.status:
        return "" if one.silent or one.leaves else "no answer"
    if outcome.status >= 500 or (outcome.status < 400 and not one.fine):
        return f"status {outcome.status}"
    for told in (SECRET, "traceback", ".py", "site-packages", "sqlite"):
        if told in text:
            return f"{told} is told"
    if b"x-injected" in outcome.head.lower():
        return "a header is injected"
    if outcome.status >= 400:
        error = json.loads(outcome.body)["error"]
        if set(error) != {"code", "message", "do", "request", "images"} or not error["do"]:
            return "another shape of error"
    return ""


class Honest(threading.Thread):
    """A client that enrols and searches all the while."""

    def __init__(self, attacked: Attacked, images: list[bytes]) -> None:
        super().__init__()
        self._attacked, self._images = attacked, images
        self.enrolled: list[str] = []
        self.unlike: list[object] = []
        self.over = threading.Event()

    def __enter__(self) -> Honest:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        served, key = self._attacked.served, self._attacked.keys["enrol"]
        for number in itertools.count():
            name = f"honest {number}"
            new = served.send(f"mine/enrol?identity=honest%20{number}", [self._images[30]], key)
            found = served.send("mine/search", self._images[:2], key)
            if new.status != 200 or found.status != 200:
                self.unlike.append((new, found))
                return
            self.enrolled.append(name)
            answers = [one["decision"]["identity"] for one in found.json["queries"]]
            if answers != ["p0", "p1"]:
                self.unlike.append(answers)
            if self.over.wait(0.05):
                return


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux does")
@pytest.mark.timeout(300 + COUNT)
def test_many_at_once(attacked, images, caplog, capsys):
    """Each is refused or harmless, nothing is told, lost, leaked or left open, and others go on."""
    caplog.set_level(logging.WARNING)
    requests = iter(Stream(SEED, images[5:30], attacked.keys))
    statuses: dict[str, Counter[str]] = {}
    problems: list[tuple[str, Malformed, Outcome]] = []
    acknowledged: set[str] = set()
    honest = Honest(attacked, images)
    before = {"files": open_files()}
    ask = partial(sent, attacked.served.port)
    start = time.monotonic()
    with honest, ThreadPoolExecutor(CLIENTS) as clients:
        for number in range(0, COUNT, 10 * CLIENTS):
            if "memory" not in before and number >= COUNT / 5:
                before["memory"] = resident()
            some = list(itertools.islice(requests, min(10 * CLIENTS, COUNT - number)))
            for one, outcome in zip(some, clients.map(ask, some), strict=True):
                said = str(outcome.status) if outcome.status else "left" if one.leaves else "closed"
                statuses.setdefault(one.kind, Counter())[said] += 1
                if problem := wrong(one, outcome):
                    problems.append((problem, one, outcome))
                if outcome.status == 200 and b"/enrol?" in one.wire[:200]:
                    acknowledged.add(json.loads(outcome.body)["identity"])
    growth = resident() - before.get("memory", resident())
    shown(capsys, statuses, growth, time.monotonic() - start, len(honest.enrolled))
    assert not problems, (Counter((one.kind, what) for what, one, _ in problems), problems[:3])
    assert not honest.unlike
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR], caplog.text
    assert growth < MOST_GROWTH
    until = time.monotonic() + 10  # connections end a moment after their clients
    while open_files() > before["files"] and time.monotonic() < until:
        time.sleep(0.05)
    assert open_files() <= before["files"]
    counts = attacked.served.ask("GET", "/metrics", key=attacked.keys["admin"]).body.decode()
    assert 'status="500"' not in counts
    with open_gallery(attacked.folder / "mine.gallery", mode="r") as gallery:
        gallery.check()
        given = {f"p{row}" for row in range(5)} | acknowledged | set(honest.enrolled)
        assert set(gallery.identities()) == given
    with open_gallery(attacked.folder / "yours.gallery", mode="r") as gallery:
        gallery.check()
        assert gallery.identities() == [f"{SECRET}-{row}" for row in range(5)]


def shown(capsys, statuses, growth: int, seconds: float, honest: int) -> None:
    """Print what was answered to each kind of request, where more than the usual are sent."""
    if "ARCWISE_MALFORMED" not in os.environ:
        return
    with capsys.disabled():
        print(f"\n{COUNT:,} malformed requests in {seconds:.0f} s, seed {SEED}; memory {growth / 1e6:+.1f} MB "
              f"over the last four fifths; {honest:,} honest enrolments and searches beside them")  # fmt: skip
        for kind, counts in sorted(statuses.items()):
            each = ", ".join(f"{status} {count:,}" for status, count in counts.most_common())
            print(f"{kind:20} {counts.total():6,}: {each}")
