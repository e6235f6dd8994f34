"""Requests that are wrong in every way: each gets one clear error, and nothing is lost or told."""
# ruff: noqa: E501

from __future__ import annotations

import base64
import gzip
import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from arcwise.gallery import open_gallery
from arcwise.recognition import Recogniser
from arcwise.serving.settings import Settings
from tests.serving.conftest import Reply, Running, form, running
from tests.serving.malformed import NASTY, png

LIMITS = {
    "images": 4,
    "image_bytes": 100_000,
    "body_bytes": 300_000,
    "pixels": 250_000,
    "rate": 100_000,
    "burst": 100_000,
    "head_seconds": 0.4,
    "body_seconds": 0.5,
}


@pytest.fixture(scope="module")
def place(model, images, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("malformed") / "shop.gallery"
    with Recogniser(model, path, create=True) as one:
        for row in range(5):
            one.enrol(f"p{row}", [images[row]])
    return path


@pytest.fixture(scope="module")
def limited(place, model) -> Iterator[Running]:
    galleries = {"shop": {"path": str(place), "model": model}}
    given = {"port": 0, "galleries": galleries, "limits": LIMITS}
    with running(Settings.model_validate(given)) as one:
        yield one


def check(reply: Reply, place: Path, *statuses: int) -> None:
    """One of the statuses, or else a refusal; in the one shape, without a trace of the inside."""
    text = reply.body.decode()
    assert reply.status in (statuses or range(400, 500)), (reply.status, text)
    assert "Traceback" not in text
    assert str(place.parent) not in text
    assert ".py" not in text
    assert "x-injected" not in reply.headers
    if reply.status >= 400:
        assert set(reply.json) == {"error"}
        assert set(reply.json["error"]) == {"code", "message", "do", "request", "images"}
        assert reply.json["error"]["do"]


def bad_images(images: list[bytes]) -> list[bytes]:
    whole = images[0]
    jpeg = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    rng = np.random.default_rng(0)
    return [
        b"", b"\0", b"GIF89a", b"%PDF-1.4", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\3\4",
        b"P6 99999 99999 255\n", b"P5\n-1 -1\n255\n", b"BM" + bytes(60), b"II*\0" + bytes(40),
        b"RIFF\xff\xff\xff\xffWEBPVP8 ", gzip.compress(whole), whole[:40], whole[: len(whole) // 2],
        jpeg[:100], jpeg[: len(jpeg) // 2], png(100_000, 100_000), png(60_000, 60_000), png(501, 500),
        png(2**31 - 1, 2**31 - 1), png(0, 0), png(1, 2**32 - 1), png(10, 10), bytes(100_001),
        base64.b64encode(whole), rng.bytes(1000), rng.bytes(50_000), b"\xff\xd8\xff" + rng.bytes(500),
    ]  # fmt: skip


def test_images(limited, place, images):
    """Wrong, cut, huge when decoded: by a form and by base64, alone and among good ones."""
    bad = bad_images(images)
    for content, route in itertools.product(bad, ("search", "embed", "verify?identity=p1")):
        check(limited.send(f"shop/{route}", [content]), place)
    for content in bad:
        check(limited.send("shop/enrol?identity=new", [content]), place)
        check(limited.send("shop/enrol?identity=new", [content, content]), place)
        text = base64.b64encode(content).decode()
        check(limited.change("POST", "shop/search", {"images": [text]}), place)
        among = limited.send("shop/search", [images[1], content])
        check(among, place, 200)
        first, second = among.json["queries"]
        assert first["decision"]["identity"] == "p1"
        assert second["error"]


def test_texts(limited, place, images):
    """Injection, traversal and odd types in every parameter and field."""
    for text in NASTY:
        value = quote(text.encode(errors="surrogatepass"), safe="")
        for path in (
            f"/v1/galleries/{value}",
            f"/v1/galleries/shop/identity?identity={value}",
            f"/v1/galleries/shop/templates/{value}/thumbnail",
            f"/v1/galleries/shop/{value}",
            f"/v1/galleries/shop/identities?limit={value}x",
            f"/{value}",
            f"/v1/galleries/shop/search?{value}=1",
        ):
            check(limited.ask("GET", path), place)
        check(limited.ask("GET", f"/v1/galleries/shop/identities?after={value}"), place, 200)
        for name in ("k", "far", "fpir", "together", "where", "everyone"):
            reply = limited.send(f"shop/search?{name}={value}x", images[:1])
            check(reply, place)
        for field in ("metadata", "landmarks"):
            reply = limited.send("shop/enrol?identity=new", images[:1], **{field: f"{text!a}x"})
            check(reply, place)
        check(limited.send(f"shop/verify?identity={value}", images[:1]), place)
        head = {"X-Request-ID": text.encode(errors="replace").decode("latin-1").replace("\r\n", "")}
        head = {name: one for name, one in head.items() if one.isprintable()}
        reply = limited.ask("DELETE", f"/v1/galleries/shop/identity?identity={value}", headers=head)
        check(reply, place)


def test_names_of_files(limited, place, images):
    """A file name is a name and no path, and what cannot be shown is not kept."""
    for text in NASTY:
        name = text.encode(errors="replace").decode().replace('"', "%22").replace("\r\n", "%0D%0A")
        boundary = "b"
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
        ).encode() + images[0] + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
        head = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        reply = limited.ask("POST", "/v1/galleries/shop/search", body, head)
        check(reply, place, 200)
        shown = reply.json["queries"][0]["image"]
        assert not set(shown) & set("/\\\r\n\0\u202e")
        assert 0 < len(shown) <= 200


def bodies(images: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Content types with bodies that are none, or not theirs."""
    kind, body = form(images[:1])
    text = base64.b64encode(images[0]).decode()
    for wrong in (
        "", "text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other", "application/json", "image/png", "multipart/mixed; boundary=b",
        "application/x-www-form-urlencoded", "application/json; charset=latin-1", kind + "x", "x" * 300,
    ):  # fmt: skip
        yield wrong, body
    for cut in (0, 1, 20, 60, 90, len(body) - 30, len(body) - 6):
        yield kind, body[:cut]
    yield kind, body.replace(b'name="images"', b'name="pictures"')
    yield kind, body.replace(b'name="images"; ', b"")
    yield kind, body.replace(b"\r\n", b"\n")
    yield form(images[:5])
    yield form(images[:1], **{f"f{number}": "x" for number in range(3)})
    yield form(images[:1], **{f"f{number}": "x" for number in range(30)})
    yield form(images[:1], metadata="[" * 100_000)
    yield form(images[:1], metadata='{"a": NaN}')
    yield form(images[:1], metadata="[1]")
    yield form(images[:1], metadata='{"root": "/", "image": "etc/passwd"}')
    yield form(images[:1], metadata='{"content": null}')
    for landmarks in (
        "[1]",
        "[[1,2,3]]",
        "[[" + "1," * 9 + '"x"]]',
        "[null,null]",
        "{}",
        "[[1e400]]",
    ):
        yield form(images[:1], landmarks=landmarks)
    for document in (
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"images": 1}', b'{"images": []}', b'{"images": [1]}',
        b'{"images": ["*"]}', b'{"images": {"a": "b"}}', b"[" * 200_000, b'{"picture": "x"}',
        json.dumps({"images": [text] * 5}).encode(), json.dumps({"images": [text], "names": []}).encode(),
        json.dumps({"images": [text], "names": [1]}).encode(), json.dumps({"images": [text], "x": 1}).encode(),
        json.dumps({"images": [text], "metadata": [1]}).encode(),
        json.dumps({"images": [text], "landmarks": [[1]]}).encode(),
        b'{"images": ["' + b"A" * 299_000 + b'"]}',
    ):  # fmt: skip
        yield "application/json", document


def test_bodies(limited, place, images):
    for kind, body in bodies(images):
        reply = limited.ask(
            "POST", "/v1/galleries/shop/enrol?identity=new", body, {"Content-Type": kind}
        )
        check(reply, place)
    for document in (b"", b"{", b"null", b"1", b'"x"', b"[]", b"{}", b'{"to": 1}', b'{"to": ""}'):
        head = {"Content-Type": "application/json"}
        for method, path in (
            ("PATCH", "identity?identity=p1"),
            ("PUT", "templates/1/identity"),
            ("POST", "quarantine"),
            ("POST", "release"),
        ):
            check(limited.ask(method, f"/v1/galleries/shop/{path}", document, head), place)
    for path in (
        "templates/0",
        "templates/-1",
        f"templates/{2**63}",
        "templates/1.5",
        "templates/",
    ):
        check(limited.ask("DELETE", f"/v1/galleries/shop/{path}"), place)


def raw(served: Running, data: bytes, wait: float = 5.0) -> bytes:
    """Return what a connection answers to bytes, until it is closed."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=wait) as connection:
        connection.sendall(data)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


def test_what_is_no_http(limited):
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"SSH-2.0-x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n",
    ):  # fmt: skip
        try:
            answer = raw(limited, data)
        except ConnectionError:  # it did not even read to the end
            continue
        assert answer.startswith(b"HTTP/1.1 40"), (data[:60], answer[:200])
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


def test_bodies_that_are_too_large(limited):
    head = b"POST /v1/galleries/shop/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = raw(limited, head + b"Content-Length: 999999999999\r\n\r\n{")
    assert b" 413 " in answer.split(b"\r\n")[0]
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    answer = raw(limited, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 12)
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"too_large" in answer


def test_slow_clients(limited, images):
    """A head or a body that does not come; others are answered meanwhile."""
    head = b"POST /v1/galleries/shop/search HTTP/1.1\r\nHost: localhost\r\n"
    body = b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    start = time.monotonic()
    slow = [socket.create_connection(("127.0.0.1", limited.port), timeout=5) for _ in range(40)]
    for number, connection in enumerate(slow):
        connection.sendall([b"", b"GET", head, head + body][number % 4])
    assert limited.send("shop/search", images[:1]).status == 200
    for number, connection in enumerate(slow):
        answer = connection.recv(65536)
        assert (b" 408 " in answer) == (number % 4 == 3)
        connection.close()
    assert time.monotonic() - start < 4


def test_nothing_was_lost(limited, place, images):
    """After all of the above the gallery is what it was, and answers."""
    with open_gallery(place, mode="r") as gallery:
        assert gallery.identities() == [f"p{row}" for row in range(5)]
        gallery.check()
    found = limited.send("shop/search", images[:4]).json["queries"]
    assert [one["decision"]["identity"] for one in found] == ["p0", "p1", "p2", "p3"]
    said = limited.ask("GET", "/metrics").body.decode()
    assert 'status="500"' not in said
    refused = [line for line in said.splitlines() if 'status="4' in line and "_total{" in line]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in refused) > 500
    running_now = float(said.partition("\narcwise_requests_running ")[2].split()[0])
    assert running_now == 1
