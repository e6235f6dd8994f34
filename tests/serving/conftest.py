"""A small model as a server has it, galleries, and servers on 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from arcwise.recognition import Recogniser
from arcwise.serving.keys import new_key
from arcwise.serving.running import Server
from arcwise.serving.settings import Settings
from tests.serving.page_shop import browser, groceries, rendered, shop, shop_of  # noqa: F401
from tests.verbs.conftest import threshold

SIDE, DIM = 16, 8
LINE = 0.99
"""Similarity from which on a search answers, at a false-accept rate of 0.1."""


class Reply(NamedTuple):
    """An answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


class Running(NamedTuple):
    """A server that runs, and how it is asked."""

    server: Server
    port: int

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            connection.request(method, path, body, {**given, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, names, content)

    def send(self, path: str, images: list[bytes], key: str | None = None, **fields: str) -> Reply:
        """Post images to a path under that of the galleries."""
        kind, body = form(images, **fields)
        return self.ask("POST", f"/v1/galleries/{path}", body, {"Content-Type": kind}, key)

    def change(self, method: str, path: str, document: Any, key: str | None = None) -> Reply:
        """Send JSON to a path under that of the galleries."""
        head = {"Content-Type": "application/json"}
        return self.ask(method, f"/v1/galleries/{path}", json.dumps(document).encode(), head, key)

    def url(self, gallery: str = "shop") -> str:
        return f"{self.server.url}/v1/galleries/{gallery}"


def form(images: list[bytes], **fields: str) -> tuple[str, bytes]:
    """Return the content type and the bytes of a form."""
    boundary = secrets.token_hex(8)
    parts = [(f'name="{name}"', text.encode()) for name, text in fields.items()]
    parts += [
        (f'name="images"; filename="{row}.png"', content) for row, content in enumerate(images)
    ]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for head, content in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """Yield a server that runs in a thread of this process."""
    server = Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield Running(server, int(server.url.rsplit(":", 1)[1]))
    finally:
        server.stop()
        thread.join()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported network that has learnt nothing, with thresholds; made once for all folders."""
    folder = tmp_path_factory.getbasetemp() / "model of servers"
    if folder.exists():
        return folder
    import torch

    from arcwise import encoders, runtime
    from arcwise.bundle import add_thresholds
    from arcwise.images import Preparation
    from arcwise.verbs.export import export

    torch.manual_seed(0)
    encoder = encoders.create("small", dim=DIM, size=(SIDE, SIDE)).eval()
    runtime.save(folder, encoder, Preparation(height=SIDE, width=SIDE))
    export(folder)
    chosen = [threshold(0.1, LINE), threshold(0.01, 0.999)]
    add_thresholds(folder, chosen, measured_on="", digests=())
    return folder


@pytest.fixture(scope="session")
def images() -> list[bytes]:
    """Forty images, as files, that look different to a network that has learnt nothing."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 2, 2, 3), dtype=np.uint8)
    each = (np.repeat(np.repeat(one, 8, 0), 8, 1) for one in coarse)
    return [cv2.imencode(".png", one)[1].tobytes() for one in each]


@pytest.fixture
def gallery(model: Path, images: list[bytes], tmp_path: Path) -> Path:
    """A gallery of ten identities with one template each, called shop."""
    path = tmp_path / "shop.gallery"
    with Recogniser(model, path, create=True) as one:
        for row, image in enumerate(images[:10]):
            one.enrol(f"p{row}", [image], metadata={"shelf": row}, thumbnails=False)
    return path


@pytest.fixture
def served(gallery: Path, model: Path) -> Iterator[Running]:
    """A server without keys, with the one gallery."""
    given = {"port": 0, "galleries": {"shop": {"path": str(gallery), "model": model}}}
    with running(Settings.model_validate(given)) as one:
        yield one


@pytest.fixture
def make(gallery: Path, model: Path) -> Callable[..., Any]:
    """Return settings of a server for the gallery, with others over them."""

    def settings(**others: Any) -> Settings:
        given = {"port": 0, "galleries": {"shop": {"path": str(gallery), "model": model}}}
        return Settings.model_validate({**given, **others})

    return settings


def keyed(**roles: tuple[str, list[str]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return keys by name, and the settings of them: name=(role, galleries)."""
    made = {name: new_key(role) for name, (role, _) in roles.items()}  # type: ignore[arg-type]
    settings = [
        {"name": name, "digest": made[name].digest, "role": role, "galleries": galleries}
        for name, (role, galleries) in roles.items()
    ]
    return {name: one.key for name, one in made.items()}, settings
