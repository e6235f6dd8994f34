"""A seeded stream of malformed requests, as bytes on the wire: no two runs of a seed differ."""
# ruff: noqa: E501

from __future__ import annotations

import base64
import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import cv2
import numpy as np

BOUNDARY = "boundary-of-a-form"
NASTY = (
    "' OR 1=1 --", "'; DROP TABLE templates; --", '" UNION SELECT key FROM keys --', "../../etc/passwd",
    "..\\..\\boot.ini", "/etc/passwd", "file:///etc/passwd", "a\r\nX-Injected: yes", "a\0b", "\ud83d\ude00" * 9,
    "%00", "%2e%2e%2f", "{{7*7}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "x" * 999,
    "\u202egnp.exe", "null", "NaN", "-1", "1e999", "0x10", "true", "[]", "{}", "\x7f", "Ω" * 300,
)  # fmt: skip
UP = ("../", "..\\", "%2e%2e/", "..%2f", "%2e%2e%2f", "%252e%252e%252f", "..%5c", "....//", "..%c0%af",
      "..;/", "./", "//", "%00/")  # fmt: skip
TARGETS = ("etc/passwd", "yours.gallery", "yours.gallery.audit.jsonl", "model/model.json", "serve.toml",
           "v1/galleries/yours/identities", "yours", "proc/self/environ", "")  # fmt: skip
WRONG = {
    "k": ("x", "1.5", "0", "-1", "1e9", "true", "", "1001", str(2**70), "NaN", "[5]", "0x5"),
    "far": ("0", "1", "-0.1", "nan", "inf", "x", "", "1e-400", "1,5", "true"),
    "fpir": ("0", "1", "2", "nan", "-inf", "x", "", "null", "[]"),
    "together": ("maybe", "2", "[]", "", "nan", "-1"),
    "everyone": ("maybe", "2", "{}", "", "\0"),
    "where": ("shelf ==", "(", "shelf == 3 or", "a = ) b", "__import__('os').system('id')", "a == '",
              "shelf in (", "1; DROP TABLE templates", "x" * 10_001, "(" * 5000, "not " * 2000),
}  # fmt: skip
"""Values that each parameter of a search refuses."""


class Malformed(NamedTuple):
    """A malformed request.

    Attributes:
        kind: of what is wrong with it.
        wire: its bytes.
        fine: whether it may be answered like any other, as what is wrong harms nobody.
        silent: whether the server may close the connection without an answer.
        leaves: whether the client goes away instead of reading the answer.
    """

    kind: str
    wire: bytes
    fine: bool = False
    silent: bool = False
    leaves: bool = False


class Stream:
    """Malformed requests, one after the other.

    Args:
        seed: of all choices.
        images: good image files.
        keys: by name: `admin`, `read` and `enrol` of the gallery `mine`, and `yours` of `yours`.
    """

    def __init__(self, seed: int, images: Sequence[bytes], keys: Mapping[str, str]) -> None:
        self._random, self._images, self._keys = random.Random(seed), images, keys
        side = np.kron(np.random.default_rng(seed).integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1)))
        encoded = {kind: cv2.imencode(kind, side.astype(np.uint8)) for kind in FORMATS}
        self._inflating = [png(10, 10, size=10**power) for power in (5, 6, 7)]
        self._formats = [content.tobytes() for _, content in encoded.values()]

    def __iter__(self) -> Iterator[Malformed]:
        kinds: dict[str, tuple[int, Callable[[], Malformed]]] = {
            "wrong types": (16, self._types),
            "wrong bodies": (14, self._bodies),
            "huge": (4, self._huge),
            "decompression bombs": (10, self._bomb),
            "traversal": (12, self._traversal),
            "injection in addresses": (8, self._injection),
            "injection in bodies": (5, self._injected_bodies),
            "injection in headers": (4, self._injected_headers),
            "damaged images": (12, self._damaged),
            "wrong keys": (10, self._key),
            "wrong tenants": (10, self._tenant),
            "broken HTTP": (10, self._broken),
            "slow clients": (3, self._slow),
            "clients that leave": (5, self._leaving),
        }
        weights = [weight for weight, _ in kinds.values()]
        while True:
            (kind,) = self._random.choices(list(kinds), weights)
            yield kinds[kind][1]()._replace(kind=kind)

    def _types(self) -> Malformed:
        """A parameter of another type, out of its range, or of a name that does not exist."""
        choose = self._random.choice
        name = choose((*WRONG, "template", "limit", "unknown", "enrol"))
        if name == "template":
            which = choose(("0", "-1", "x", "1.5", str(2**63), "1e3", "NaN", "%00", "1;2", "0x1"))
            method, rest = choose((("DELETE", ""), ("GET", "/thumbnail"), ("PUT", "/metadata")))
            return self._request(method, f"mine/templates/{which}{rest}", b"{}")
        if name == "limit":
            wrong = choose(("0", "-1", "1001", "x", "", "1.5", str(2**64)))
            return self._request("GET", f"mine/identities?limit={wrong}")
        if name == "unknown":
            path = f"mine/search?{_quoted(self._text()) or 'x'}={_quoted(self._text())}"
        elif name == "enrol":
            wrong = choose(("together=x", "new=2", "partial=", "least_quality=-1", "least_quality=nan",
                            "least_quality=x", "replace=maybe", "identity=&identity="))  # fmt: skip
            path = f"mine/enrol?identity=typed&{wrong}"
            if wrong.startswith("identity"):
                path = "mine/enrol?identity="
        else:
            path = f"mine/search?{name}={_quoted(choose(WRONG[name]))}"
        return self._post(path, self._form([self._image()]))

    def _bodies(self) -> Malformed:
        """JSON of other types, forms with other parts, bodies that are not what they say."""
        route = self._random.choice(
            ("search", "embed", "verify?identity=p1", "enrol?identity=typed")
        )
        text = base64.b64encode(self._image()).decode()
        kind = self._random.randrange(7)
        if kind == 0:  # images that are no list of base64
            document: Any = {"images": self._nonsense()}
        elif kind == 1:
            field = self._random.choice(("names", "metadata", "landmarks", "boxes"))
            document = {"images": [text], field: self._nonsense_for(field)}
        elif kind == 2:
            document = {"images": [text], self._text() + "x": 1}
        elif kind == 3:
            document = self._random.choice(([], None, 1, "x", [[]], {}, {"image": text}, [text]))
        elif kind == 4:
            content = json.dumps({"images": [text]}).encode()
            cut = content[: self._random.randrange(len(content))]
            return self._post(f"mine/{route}", ("application/json", cut))
        elif kind == 5:
            said, body = self._form([self._image()])
            cut = body[: self._random.randrange(len(body) - 4)]
            return self._post(f"mine/{route}", (said, cut))
        else:
            field = self._random.choice(("metadata", "landmarks", "boxes", "x", "pictures"))
            wrong = json.dumps(self._nonsense_for(field)) + "x"
            return self._post(f"mine/{route}", self._form([self._image()], **{field: wrong}))
        return self._post(f"mine/{route}", ("application/json", json.dumps(document).encode()))

    def _huge(self) -> Malformed:
        kind = self._random.randrange(6)
        size = 10 ** self._random.randint(6, 30)
        head = self._head("POST", "mine/search", {"Content-Type": "application/json"})
        if kind == 0:
            return Malformed("", head + f"Content-Length: {size}\r\n\r\n{{".encode())
        if kind == 1:
            chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
            return Malformed(
                "", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 12, silent=True
            )
        if kind == 2:
            return self._post(
                "mine/search", self._form([self._image()] * self._random.randint(5, 60))
            )
        if kind == 3:
            fields = {f"f{number}": "x" * 99 for number in range(self._random.randint(4, 200))}
            return self._post("mine/search", self._form([self._image()], **fields))
        if kind == 4:
            deep = self._random.choice((b"[", b'{"images":', b"[{")) * self._random.randint(
                9999, 20_000
            )
            return self._post("mine/search", ("application/json", deep))
        many = "".join(f"X-{number}: {'y' * 60}\r\n" for number in range(2000)).encode()
        return Malformed("", head + many + b"\r\n", silent=True)

    def _bomb(self) -> Malformed:
        """An image that says it has more pixels than may be decoded, or inflates to far more."""
        wide, high = (int(2 ** self._random.uniform(9, 31)) for _ in range(2))
        small = (min(one, 65_535) for one in (wide, high))
        kind = self._random.randrange(7)
        if kind == 0:
            image = png(wide, high)
        elif kind == 1:  # of few pixels, with far more bytes
            image = self._random.choice(self._inflating)
        elif kind == 2:
            image = b"BM" + struct.pack(
                "<IIIIiiHHIIiiII", 999, 0, 54, 40, wide, high, 1, 24, *[0] * 6
            )
        elif kind == 3:
            image = b"GIF89a" + struct.pack("<HHBBB", *small, 0xF7, 0, 0) + bytes(800)
        elif kind == 4:
            image = f"P{self._random.randint(1, 6)}\n{wide} {high}\n255\n".encode() + bytes(99)
        elif kind == 5:
            tags = b"".join(
                struct.pack("<HHII", tag, 4, 1, v) for tag, v in ((256, wide), (257, high))
            )
            image = b"II*\0\x08\0\0\0\x02\0" + tags + bytes(99)
        else:
            size = ((wide - 1) & 0x3FFF) | (((high - 1) & 0x3FFF) << 14)
            image = (
                b"RIFF" + struct.pack("<I", 999) + b"WEBPVP8L" + struct.pack("<IBI", 99, 0x2F, size)
            )
        route = self._random.choice(
            ("search", "embed", "verify?identity=p1", "enrol?identity=bomb")
        )
        said, body = self._form([image])
        if self._random.random() < 0.2:
            squeezed = gzip.compress(body + bytes(10**5), mtime=0)
            return self._request("POST", f"mine/{route}", squeezed,
                                 {"Content-Type": said, "Content-Encoding": "gzip"})  # fmt: skip
        return self._post(f"mine/{route}", (said, body), fine=kind == 1)

    def _traversal(self) -> Malformed:
        up = "".join(self._random.choices(UP, k=self._random.randint(1, 8)))
        name = up + self._random.choice(TARGETS)
        if self._random.random() < 0.2:  # a file's name is shown, and leads nowhere
            return self._post("mine/search", self._form([self._image()], filename=name), fine=True)
        place = self._random.choice(
            ("mine/../{}", "{}", "mine/{}", "mine/templates/{}/thumbnail", "../../page/{}", "../../{}x",
             "../../page/page.js/{}x", "mine/identity?identity={}")
        )  # fmt: skip
        path = place.format(name).replace("\\", "%5c" if self._random.random() < 0.5 else "\\")
        return self._request(
            self._random.choice(("GET", "GET", "DELETE", "POST")), path, key="read"
        )

    def _injection(self) -> Malformed:
        """SQL, templates, scripts and headers, in each part of an address where text goes."""
        text = self._text()
        value = _quoted(text) or "x"
        kind = self._random.randrange(4)
        if kind == 0:
            ask = self._random.choice(("GET", "DELETE"))
            return self._request(ask, f"mine/identity?identity={value}%27x")
        if kind == 1:
            where = _quoted(f"shelf == {text} or '")
            form = self._form([self._image()])  # it may end up as a condition with a text in it
            return self._post(f"mine/search?where={where}", form, fine=True)
        if kind == 2:  # a name is text and nothing else, so most are enrolled as they are
            form = self._form([self._image()])
            return self._post(f"mine/enrol?identity={value}", form, fine=True)
        return self._request("GET", f"{value}x/identities")

    def _injected_bodies(self) -> Malformed:
        text, kind = self._text(), self._random.randrange(3)
        if kind == 0:
            path = f"mine/identity?identity={_quoted(text)}x"
            return self._request("PATCH", path, _json({"to": text}))
        if kind == 1:
            ids = ([0], [text], [2**63], [True], [1.5], [], text, None, [10**9 - 1])
            document = {"templates": self._random.choice(ids), "reason": text}
            return self._request("POST", "mine/quarantine", _json(document))
        metadata = json.dumps({"note": text, "root": text, "image": text})
        form = self._form([self._image()], metadata=metadata)
        return self._post("mine/enrol?identity=meta", form)

    def _injected_headers(self) -> Malformed:
        field = self._random.choice((
            "X-Request-ID", "User-Agent", "X-Forwarded-For", "Referer", "Cookie", "Accept", "Range",
            "Upgrade", "Expect", "X-HTTP-Method-Override",
        ))  # fmt: skip
        line = self._text().encode(errors="replace").replace(b"\r\n", b"%0d%0a")[:500]
        wire = (
            self._head("GET", "mine/identity?identity=nobody", {}) + field.encode() + b": " + line
        )
        return Malformed("", wire + b"\r\n\r\n", silent=True)

    def _damaged(self) -> Malformed:
        """A real file of a format with wrong bytes; some of these still decode."""
        image = self._mutated(self._random.choice((*self._formats, self._image())))
        route = self._random.choice(
            ("search", "embed", "verify?identity=p1", "enrol?identity=damaged")
        )
        if self._random.random() < 0.3:
            document = {"images": [base64.b64encode(image).decode()]}
            return self._post(f"mine/{route}", ("application/json", _json(document)), fine=True)
        return self._post(f"mine/{route}", self._form([image]), fine=True)

    def _key(self) -> Malformed:
        key = self._keys["admin"]
        cut = self._random.randrange(1, len(key))
        said = self._random.choice((
            "", "Bearer", f"Basic {key}", f"Bearer {key[:cut]}", f"Bearer {key[:cut]}{key[cut + 1:]}x",
            f"Bearer {key.swapcase()}", f"Bearer {key},{key}", f"Token {key}", "Bearer " + "x" * 9999,
            f"Bearer {_quoted(self._text()[:200])}", "Bearer null", f"Bearer {key[::-1]}",
            f"Bearer {self._keys['yours'][:cut]}",
        ))  # fmt: skip
        return self._guarded("mine", said)

    def _tenant(self) -> Malformed:
        """A key that is one of this server's, for a gallery or a role that it does not open."""
        if self._random.random() < 0.3:
            role = self._random.choice(("read", "enrol"))
            method, path, body = self._random.choice((
                ("DELETE", "identity?identity=p1", b""), ("POST", "purge", b""),
                ("PATCH", "identity?identity=p1", _json({"to": "taken"})), ("GET", "quarantine", b""),
                ("DELETE", "templates/1", b""),
            ))  # fmt: skip
            return self._request(method, f"mine/{path}", body, key=role)
        if self._random.random() < 0.5:
            return self._guarded("mine", f"Bearer {self._keys['yours']}")
        name = self._random.choice(
            ("yours", "yours", "YOURS", "yours%20", "your%73", "yours%00", "./yours")
        )
        return self._guarded(name, f"Bearer {self._keys['admin']}")

    def _guarded(self, gallery: str, said: str) -> Malformed:
        """Any call, with what is said in the header of the key."""
        method, path = self._random.choice((
            ("GET", ""), ("GET", "/identities"), ("GET", "/identity?identity=p1"), ("GET", "/calibration"),
            ("GET", "/templates/1/thumbnail"), ("GET", "/quarantine"), ("DELETE", "/identity?identity=p1"),
            ("DELETE", "/templates/1"), ("POST", "/purge"), ("POST", "/search"), ("POST", "/embed"),
            ("POST", "/verify?identity=p1"), ("POST", "/enrol?identity=taken"),
            ("POST", "/enrol?identity=p1&replace=true"),
        ))  # fmt: skip
        kind, body = self._form([self._image()]) if method == "POST" else ("", b"")
        head = {"Content-Type": kind} if kind else {}
        return self._request(method, gallery + path, body, head, said=said)

    def _broken(self) -> Malformed:
        """A good request with wrong bytes in its head, two lengths, or no HTTP at all."""
        kind = self._random.randrange(4)
        good = self._post("mine/search", self._form([self._image()])).wire
        head, _, body = good.partition(b"\r\n\r\n")
        if kind == 0:
            wire = self._random.randbytes(self._random.randint(1, 300)) + b"\r\n\r\n"
        elif kind == 1:
            line = self._random.choice((
                b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 0x10", b"Content-Length: +7",
                b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity, chunked", b"Content-Length: \xb2",
                b"Transfer-Encoding : chunked", b"Host: a, b", b" folded", b"No colon", b": empty", b"X: \0",
                b"Connection: upgrade\r\nUpgrade: websocket", b"Expect: 200-maybe", b"Content-Length: 5, 6",
            ))  # fmt: skip
            wire = head + b"\r\n" + line + b"\r\n\r\n" + body
        elif kind == 2:
            wire = self._mutated(head) + b"\r\n\r\n" + body
        else:
            length = str(self._random.randrange(len(body))).encode()
            wire = head.replace(str(len(body)).encode(), length) + b"\r\n\r\n" + body
        return Malformed("", wire, fine=True, silent=True)

    def _slow(self) -> Malformed:
        """The beginning of a request, after which nothing comes."""
        wire = self._post("mine/enrol?identity=slow", self._form([self._image()])).wire
        return Malformed("", wire[: self._random.randrange(len(wire))], silent=True)

    def _leaving(self) -> Malformed:
        """A request whose client is gone before its end, or before the answer."""
        wire = self._post("mine/search", self._form([self._image()])).wire
        end = self._random.choice((len(wire), self._random.randrange(1, len(wire))))
        return Malformed("", wire[:end], leaves=True)

    def _image(self) -> bytes:
        return self._random.choice(self._images)

    def _text(self) -> str:
        """A nasty text, or two, or one that is changed."""
        text = self._random.choice(NASTY)
        if self._random.random() < 0.5:
            text += self._random.choice(NASTY)[: self._random.randint(1, 60)]
        if self._random.random() < 0.3:
            text = text[: self._random.randint(1, 40)] + chr(self._random.randrange(1, 0xD7FF))
        return text[:1200]

    def _nonsense(self) -> Any:
        """JSON that is no list of base64 texts."""
        return self._random.choice((
            1, True, None, "x", {}, [], [1], [None], [[]], [{}], ["*"], ["A"], {"a": "b"}, [self._text() + "é"],
            -1e308, ["AAAA", 1],
        ))  # fmt: skip

    def _nonsense_for(self, field: str) -> Any:
        if field == "names":
            return self._random.choice((1, "x", {}, [], [1], ["a", "b"], [[]], True))
        if field == "metadata":
            return self._random.choice((1, "x", [1], True, {"root": "/"}, {"image": self._text()}))
        numbers = (1e300, -1e300, 10**400, 1e7)
        return self._random.choice((
            1, "x", {}, [], [1], [[1, 2, 3]], [["x"] * 10], [[self._random.choice(numbers)] * 10], [[[1, 2]]],
            [None, None], [[[1, 2, 3, "x"]]], [[[0, 0, self._random.choice(numbers), 1]]], [[True] * 10],
        ))  # fmt: skip

    def _mutated(self, content: bytes) -> bytes:
        """Bytes with some flipped, cut out, doubled or put between."""
        for _ in range(self._random.randint(1, 6)):
            at = self._random.randrange(max(1, len(content)))
            length = self._random.randint(1, 20)
            content = self._random.choice((
                content[:at] + bytes([self._random.randrange(256)]) + content[at + 1 :],
                content[:at] + content[at + length :],
                content[: at + length] + content[at:],
                content[:at] + self._random.randbytes(length) + content[at:],
                content[: max(at, 1)],
            ))  # fmt: skip
        return content

    def _form(
        self, images: Sequence[bytes], filename: str = "a.png", **fields: str
    ) -> tuple[str, bytes]:
        name = filename.encode(errors="replace").replace(b'"', b"%22")
        parts = [
            (f'name="{one}"'.encode(), text.encode(errors="replace"))
            for one, text in fields.items()
        ]
        parts += [(b'name="images"; filename="%b"' % name, content) for content in images]
        head = b"--%b\r\nContent-Disposition: form-data; " % BOUNDARY.encode()
        body = b"".join(head + one + b"\r\n\r\n" + content + b"\r\n" for one, content in parts)
        return f"multipart/form-data; boundary={BOUNDARY}", body + f"--{BOUNDARY}--\r\n".encode()

    def _post(self, path: str, form: tuple[str, bytes], *, fine: bool = False) -> Malformed:
        return self._request("POST", path, form[1], {"Content-Type": form[0]})._replace(fine=fine)

    def _request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None,
        key: str = "admin", said: str | None = None,
    ) -> Malformed:  # fmt: skip
        given = {"Content-Type": "application/json", **(headers or {})}
        head = self._head(
            method, path, given, f"Bearer {self._keys[key]}" if said is None else said
        )
        return Malformed("", head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _head(
        self, method: str, path: str, headers: Mapping[str, str], said: str | None = None
    ) -> bytes:
        """The head of a request, without the line that ends it."""
        said = f"Bearer {self._keys['admin']}" if said is None else said
        lines = {"Host": "127.0.0.1", "Connection": "close", **headers}
        if said:
            lines["Authorization"] = said
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} /v1/galleries/{path} HTTP/1.1\r\n{text}".encode(errors="replace")


FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm")


def png(width: int, height: int, *, size: int = 50) -> bytes:
    """A PNG that says it has so many pixels, and whose pixels inflate to so many bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(size)))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")
