"""A server as a process: what it loads, and that nothing acknowledged is lost when it dies."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import arcwise
from arcwise.cli import main
from arcwise.gallery import open_gallery
from tests.serving.conftest import form
from tests.verbs.test_serving_install import NOT_IN_DATA, WITHOUT

NOT_WITH_A_SERVER = (*NOT_IN_DATA, "pyarrow", "scipy", "faiss", "numba", "sklearn", "yaml", "httpx")
"""What a server neither needs nor loads, whatever is installed."""

ROUNDS = int(os.environ.get("ARCWISE_KILL_ROUNDS", "1"))

MAIN = "import sys; from arcwise.cli import main; sys.exit(main(sys.argv[1:]))"

LOADED = """
import threading
from pathlib import Path
import arcwise
from arcwise.serving.running import Server
from arcwise.serving.settings import Settings

server = Server(Settings.model_validate(
    {"port": 0, "galleries": {"shop": {"path": "shop.gallery", "model": Path("model")}}}
))
thread = threading.Thread(target=server.run)
thread.start()
with arcwise.Client(server.url + "/v1/galleries/shop") as client:
    images = [Path("a.png"), Path("b.png").read_bytes()]
    client.enrol("first", images)
    client.search(images, together=True)
    client.verify("first", images[:1])
    client.about()
server.stop()
thread.join()
print("loaded:", *[name for name in ABSENT if name in sys.modules])
"""


@pytest.fixture
def folder(model: Path, images: list[bytes], tmp_path: Path) -> Path:
    (tmp_path / "model").symlink_to(model)
    for name, content in zip("ab", images, strict=False):
        (tmp_path / f"{name}.png").write_bytes(content)
    return tmp_path


class Process:
    """`arcwise serve` in a process of its own, once it listens."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve", *words, "--port", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.child.stdout is not None
        self.said = ""
        for line in self.child.stdout:
            self.said += line
            if found := re.match(r"listening +(\S+)", line):
                self.url = f"{found[1]}/v1/galleries/shop"
                break
        else:
            raise AssertionError(self.said)

    def end(self, number: int) -> int:
        self.child.send_signal(number)
        self.said += self.child.communicate(timeout=30)[0]
        return self.child.returncode


def test_what_a_server_loads(folder: Path) -> None:
    code = (WITHOUT + LOADED).replace("{absent}", repr(NOT_WITH_A_SERVER))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_killed_while_it_enrols(folder: Path, images: list[bytes]) -> None:
    """Whatever was acknowledged is there, and in the log; the gallery is sound.

    Each round goes on with what the last one left. Thirty rounds:
    `ARCWISE_KILL_ROUNDS=30 python -m pytest tests/serving/test_process.py -k killed`.
    """
    acknowledged: list[str] = []
    numbers, chance = iter(range(10**9)), random.Random(0)
    for number_of_round in range(ROUNDS):
        process = Process(folder, "model", "shop.gallery")
        with arcwise.Client(process.url) as client:  # which knows what was before
            assert client.about().size.identities >= len(acknowledged)
        before, threads = len(acknowledged), []
        for _ in range(4):
            threads.append(
                threading.Thread(target=enrol, args=(process, images, numbers, acknowledged))
            )
            threads[-1].start()
        least = before + (chance.randrange(1, 60) if number_of_round else 25)
        while len(acknowledged) < least:
            time.sleep(0.002)
        process.end(signal.SIGKILL)
        for thread in threads:
            thread.join()
        with open_gallery(folder / "shop.gallery") as gallery:
            gallery.check()
            assert set(acknowledged) <= set(gallery.identities())
        lines = (folder / "shop.gallery.audit.jsonl").read_text().splitlines()
        states = {state: set() for state in ("begun", "done")}
        for line in lines:
            entry = json.loads(line)
            states[entry["state"]].add(entry["identity"])
        assert set(acknowledged) <= states["done"] <= states["begun"]


def enrol(
    process: Process, images: list[bytes], numbers: Iterator[int], acknowledged: list[str]
) -> None:
    """Enrol one identity after the other, until the server is gone."""
    with arcwise.Client(process.url) as client:
        for number in numbers:
            try:
                client.enrol(f"i{number}", [images[number % 40]])
            except arcwise.ArcwiseError:
                return
            acknowledged.append(f"i{number}")


def test_terminated_with_requests_on_their_way(folder: Path, images: list[bytes]) -> None:
    """One whose body is not all there yet when the signal comes is answered like the others."""
    process = Process(folder, "model", "shop.gallery")
    host, port = re.findall(r"//(.*):(\d+)/", process.url)[0]
    kind, body = form(images[:1])
    head = (
        f"POST /v1/galleries/shop/enrol?identity=slow HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head + body[:50])
        with arcwise.Client(process.url) as client:  # it has read as much when it answers this
            client.about()
        process.child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # until it accepts nothing more
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                break
            time.sleep(0.02)
        connection.sendall(body[50:])
        answer = b""
        while more := connection.recv(65536):
            answer += more
    assert answer.startswith(b"HTTP/1.1 200"), answer
    process.said += process.child.communicate(timeout=30)[0]
    assert process.child.returncode == 0, process.said
    assert "what was accepted is answered" in process.said
    assert "Traceback" not in process.said
    with open_gallery(folder / "shop.gallery", mode="r") as gallery:
        assert gallery.identities() == ["slow"]


def test_tls(folder: Path, images: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """By files of a certificate, which a client trusts only where it is told to."""
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "certificate.pem"]
    try:
        subprocess.run([*make, *names, *files], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    (folder / "serve.toml").write_text(
        '[galleries.shop]\npath = "shop.gallery"\nmodel = "model"\n'
        '[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'
    )
    process = Process(folder, "--config", "serve.toml")
    assert process.url.startswith("https://")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with (
        arcwise.Client(process.url) as client,
        pytest.raises(arcwise.ArcwiseError, match="certificate"),
    ):
        client.about()
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(folder / "certificate.pem"))
    assert ssl.get_default_verify_paths().cafile
    with arcwise.Client(process.url) as client:
        client.enrol("first", images[:1])
        assert client.search(images[:1]).answers[0].hits[0].identity == "first"
    assert process.end(signal.SIGHUP) == 0


def test_what_stops_a_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is said in a line: no model, no ONNX network, an address that is taken."""
    monkeypatch.chdir(folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words, fact in [
            (["none", "shop.gallery", "--port", "0"], "none"),
            (["model", "shop.gallery", "--port", port], "cannot be listened on"),
            (["--config", "none.toml"], "none.toml"),
            (["model", "shop.gallery", "--host", "0.0.0.0"], "new-key"),
            ([], "no gallery"),
        ]:
            assert main(["serve", *words]) == 2
            error = capsys.readouterr().err
            assert fact in error
            assert error.count("\n") == 1
