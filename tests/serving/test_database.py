"""Galleries in a database behind a server."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery
from arcwise.serving.settings import Settings
from tests.serving.conftest import Reply, Running, running

if TYPE_CHECKING:
    from benchmarks.postgres_server import PostgresServer


def settings(address: str, model: Path, folder: Path) -> Settings:
    shop = {"path": address, "model": model, "audit": folder / "shop.audit.jsonl"}
    return Settings.model_validate({"port": 0, "galleries": {"shop": shop}})


def names(served: Running) -> list[str]:
    listed = served.ask("GET", "/v1/galleries/shop/identities").json["identities"]
    return [one["identity"] for one in listed]


def found(served: Running, images: list[bytes]) -> list[str]:
    queries = served.send("shop/search", images).json["queries"]
    return [one["decision"]["identity"] for one in queries]


def fill(served: Running, images: list[bytes]) -> None:
    """Enrol p0 to p4, and remove p4."""
    for row in range(5):
        assert served.send(f"shop/enrol?identity=p{row}", [images[row]]).status == 200
    assert served.ask("DELETE", "/v1/galleries/shop/identity?identity=p4").status == 200
    assert found(served, images[:4]) == ["p0", "p1", "p2", "p3"]


def test_milvus(milvus_folder: Path, model: Path, images: list[bytes], tmp_path: Path) -> None:
    """What one server enrolled and removed the next one has."""
    address = f"milvus-lite://{milvus_folder}?gallery=shop"
    for number in range(2):
        with running(settings(address, model, tmp_path)) as served:
            if number == 0:
                fill(served, images)
            assert served.ask("GET", "/ready").status == 200
            assert names(served) == ["p0", "p1", "p2", "p3"]
            assert found(served, images[1:3]) == ["p1", "p2"]


def test_a_database_that_restarts(
    postgres_server: PostgresServer,
    model: Path,
    images: list[bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While it is away each call gets one clear error; then they go on, and nothing is lost."""
    address = postgres_server.address("shop")
    with running(settings(address, model, tmp_path)) as served:
        fill(served, images)
        replies: list[tuple[str, Reply]] = []
        over = threading.Event()

        def enrol() -> None:
            for number in range(10_000):
                if over.is_set():
                    return
                name = f"new {number}"
                path = f"shop/enrol?identity=new%20{number}"
                replies.append((name, served.send(path, [images[20 + number % 20]])))

        thread = threading.Thread(target=enrol)
        thread.start()
        while len(replies) < 5:
            time.sleep(0.01)
        postgres_server.kill()
        while replies[-1][1].status == 200:
            time.sleep(0.01)
        over.set()
        thread.join()
        acknowledged = [name for name, one in replies if one.status == 200]
        away = [one for _, one in replies if one.status != 200]
        away.append(served.send("shop/search", images[:1]))
        away.append(served.ask("GET", "/v1/galleries/shop/identities"))
        away.append(served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1"))
        for one in away:
            assert (one.status, one.code) == (503, "unavailable")
            assert "gallery shop: " in one.json["error"]["message"]
            assert str(postgres_server.data) not in one.body.decode()
        ready = served.ask("GET", "/ready")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert "server" in ready.json["galleries"][0]["problem"]
        assert str(postgres_server.data) not in ready.body.decode()
        assert served.ask("GET", "/health").status == 200
        metrics = served.ask("GET", "/metrics")
        assert metrics.status == 200
        assert b'arcwise_ready{gallery="shop"} 0.0' in metrics.body
        assert b"arcwise_identities{" not in metrics.body

        postgres_server.start()
        assert served.ask("GET", "/ready").status == 200
        assert b'arcwise_ready{gallery="shop"} 1.0' in served.ask("GET", "/metrics").body
        assert found(served, images[:4]) == ["p0", "p1", "p2", "p3"]
        for fact in ("does not do what it is asked", "answers again"):
            assert caplog.text.count(fact) == 1
        assert served.ask("DELETE", "/v1/galleries/shop/identity?identity=p3").status == 200
        assert served.send("shop/enrol?identity=after", [images[9]]).status == 200
        in_doubt = {name for name, one in replies if one.status != 200}
        expected = {"p0", "p1", "p2", "after", *acknowledged}
        assert expected <= set(names(served)) <= expected | in_doubt
    lines = (tmp_path / "shop.audit.jsonl").read_text().splitlines()
    done = [one["identity"] for one in map(json.loads, lines) if one.get("state") == "done"]
    assert set(acknowledged) <= set(done)
    with open_gallery(address, mode="r") as gallery:
        gallery.check()
    postgres_server.drop_galleries()


def test_a_database_that_is_not_there(
    postgres_server: PostgresServer, model: Path, tmp_path: Path
) -> None:
    """A server does not begin, and says so in a line."""
    given = settings(postgres_server.address("shop").replace("owner", "nobody"), model, tmp_path)
    with pytest.raises(GalleryError, match="no connection"), running(given):
        pass
