"""The password in the address of a gallery: no command and no page says it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arcwise.cli import VERBS, main
from arcwise.gallery import open_gallery, shown_address
from arcwise.verbs.gallery_audit import audit_gallery
from arcwise.verbs.gallery_audit_decisions import KIND, LISTED
from arcwise.verbs.gallery_copy import copy_gallery
from tests.verbs.conftest import Shop

if TYPE_CHECKING:
    from benchmarks.postgres_server import PostgresServer

SECRET = "hunter2"


@pytest.fixture(scope="module")
def address(stock: Shop, postgres_server: PostgresServer) -> Iterator[str]:
    """The shop in a database, whose address has a password."""
    there = postgres_server.address("secrets").replace("owner@", f"owner:{SECRET}@")
    copy_gallery(stock.gallery, there)
    yield there
    postgres_server.drop_galleries()


def lines(address: str, stock: Shop, folder: Path) -> dict[str, list[list[str]]]:
    """Return what to say to each command, ways that it refuses included."""
    name, other = sorted(set(stock.catalogue.identities))[:2]
    photo = folder / "photo.jpg"
    photo.write_bytes(stock.photos.read(0))
    new = folder / "new" / "Zed"
    new.mkdir(parents=True)
    (new / "1.jpg").write_bytes(stock.photos.read(1))
    decisions = folder / "decisions.json"
    with open_gallery(address, mode="r") as store:
        number = str(store.templates(other)[0].template)
        dim = store.dim
    answer = {"kind": "misfit", "templates": [int(number)], "identities": [other]}
    document = {"kind": KIND, LISTED: [{**answer, "answer": "remove"}]}
    decisions.write_text(json.dumps(document))
    empty = address.replace("gallery=secrets", "gallery=no%20model")
    with open_gallery(empty, create=True, dim=dim) as store:
        store.enrol([("ann", [1.0] + [0.0] * (dim - 1))])
    image, model = str(photo), str(stock.model)
    labelled = str(folder / "new")
    return {
        "gallery info": [[address], [empty], [address + "x"]],
        "gallery list": [[address], [address, name], [address, "nobody"]],
        "gallery audit": [
            [address, "--page", str(folder / "audit.html")],
            [address, "--apply", str(decisions)],
        ],
        "gallery grow": [[address, image], [empty, image], [empty, image, "--model", model]],
        "gallery confirm": [[address, "nobody", "x"], [address, name, "x"]],
        "gallery rename": [
            [address, name, other],
            [address, name, "Yan"],
            [address, "nobody", "x"],
        ],
        "gallery quarantine": [
            [address, "999", "--reason", "x"],
            [address, number, "--reason", "x"],
        ],
        "gallery release": [[address, "999"], [address, number]],
        "gallery purge": [[address]],
        "gallery copy": [
            [address, address.replace("secrets", "copied")],
            [address, empty],
            [address, str(folder / "copy.gallery")],
        ],
        "gallery upgrade": [
            [address, str(folder / "n.gallery"), "--model", model],
            [address, empty, "--model", model],
            [empty, str(folder / "n.gallery"), "--model", model],
        ],
        "enrol": [[address, labelled], [address, labelled], [empty, labelled]],
        "search": [[address, image], [address, image, "--out", str(folder / "search.html")]],
        "watchlist": [[address, image, "--page", str(folder / "watchlist.html")], [empty, image]],
        "verify": [[address, "Zed", image], [address, "nobody", image]],
        "calibrate": [
            [model, labelled, "--gallery", address],
            [model, labelled, "--gallery", address + "x"],
        ],
        "remove": [[address, "Zed"], [address, "nobody"], [address, "--quarantined", "x"]],
    }


def test_no_command_says_a_password(
    address: str, stock: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lines(address, stock, tmp_path)
    of_galleries = {verb for verb in VERBS if verb.startswith("gallery ")}
    others = {"enrol", "search", "watchlist", "verify", "calibrate", "remove"}
    assert said.keys() == of_galleries | others
    answered = 0
    for verb, calls in said.items():
        for words in calls:
            for form in ([], ["--json"]):
                status = main([*verb.split(), *words, *form])
                out, err = capsys.readouterr()
                assert SECRET not in out + err, (verb, words)
                assert "Traceback" not in err
                answered += status == 0
    assert answered > len(said)
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) == 3
    assert not any(SECRET in page.read_text() for page in pages)
    assert SECRET not in repr(audit_gallery(address, model=stock.model))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("shop.gallery", "shop.gallery"),
        ("a:b@c.gallery", "a:b@c.gallery"),
        (f"postgresql://ann:{SECRET}@db/x?gallery=a b", "postgresql://ann@db/x?gallery=a%20b"),
        (f"postgresql://db/x?gallery=a&password={SECRET}", "postgresql://db/x?gallery=a"),
        (f"postgresql://ann:{SECRET}@x@db/x?gallery=a", "postgresql://…"),
        (f"postgres://ann:{SECRET}@db/x", "postgres://…"),
        (f"milvus://ann:{SECRET}@db/?gallery=a", "milvus://db:19530/?gallery=a"),
        (f"milvus://db/?gallery=a&token={SECRET}", "milvus://db:19530/?gallery=a"),
        ("milvus-lite:///x/y.db?gallery=a", "milvus-lite:///x/y.db?gallery=a"),
        (f"mysql://ann:{SECRET}@db/", "mysql://…"),
        (f"https://ann:{SECRET}@h/v1/galleries/a?key={SECRET}", "https://h/v1/galleries/a"),
    ],
)
def test_shown_address(address: str, shown: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pymilvus")
    assert shown_address(address) == shown
