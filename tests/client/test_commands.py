"""The commands on a gallery of a server: the same options, and the same answers as for its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from arcwise.cli import main
from arcwise.client import Client
from tests.serving.conftest import keyed, running


@pytest.fixture
def folder(images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images, and a data set of three identities that has an unreadable one."""
    monkeypatch.chdir(tmp_path)
    for row in range(4):
        (tmp_path / f"{row}.png").write_bytes(images[row])
    for row in range(20, 26):
        path = tmp_path / "data" / f"new {row % 3}" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images[row])
    (tmp_path / "data" / "new 0" / "bad.png").write_bytes(b"nothing")
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def answer(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = main([*words, "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else said.err

    return answer


def near(value: Any) -> Any:
    """Return a document with its numbers to 5 places, without what only a file has."""
    if isinstance(value, dict):
        only = ("gallery", "root", "bytes", "changed", "path", "content", "kind")
        return {key: near(one) for key, one in value.items() if key not in only}
    if isinstance(value, list):
        return [near(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def test_search_and_verify(served, gallery, folder, run):
    for words in (
        ["0.png", "1.png", "none.png"],
        ["0.png", "--far", "0.1", "--k", "2"],
        ["0.png", "--where", "shelf in (1, 2)", "--everyone"],
        ["0.png", "--fpir", "0.000001"],
    ):
        here, there = run("search", str(gallery), *words), run("search", served.url(), *words)
        assert here[0] == there[0]
        if isinstance(here[1], dict):
            assert near(there[1]) == near(here[1])
    for words in (
        ["p1", "1.png"],
        ["p1", "0.png", "--far", "0.1"],
        ["p1", "0.png", "1.png", "--together"],
    ):
        here, there = run("verify", str(gallery), *words), run("verify", served.url(), *words)
        assert here[0] == there[0]
        assert near(there[1]) | {"unmeasured": ""} == near(here[1]) | {"unmeasured": ""}
    status, error = run("search", served.url(), "0.png", "--model", "m")
    assert (status, "--model" in error) == (2, True)


def test_objects_and_watchlist(served, gallery, folder, run, images):
    """Each object in a box is cut out here, and answered there as here; so is a folder."""
    pixels = [cv2.imdecode(np.frombuffer(one, np.uint8), 1) for one in images[:3]]
    cv2.imwrite("shelf.png", np.concatenate(pixels, 1))
    rows = ["image,box", "shelf.png,32 0 16 16", "shelf.png,0 0 16 16", "shelf.png,90 0 9 9"]
    Path("boxes.csv").write_text("\n".join(rows))
    asked = ["shelf.png", "0.png", "--boxes", "boxes.csv"]
    for command in ("search", "watchlist"):
        here, there = run(command, str(gallery), *asked), run(command, served.url(), *asked)
        assert here[0] == there[0] == 1
        assert near(there[1]) == near(here[1])
    found = run("search", served.url(), *asked)[1]["queries"]
    assert [one["identity"] for one in found] == ["p2", "p0", None, None]
    assert found[0]["object"] == {"image": "shelf.png", "box": [32, 0, 16, 16]}
    assert "outside" in found[2]["error"]
    here, there = (run("watchlist", one, "data") for one in (str(gallery), served.url()))
    assert near(there[1]) == near(here[1])


def test_enrol_info_remove(served, gallery, folder, run):
    status, enrolled = run("enrol", served.url(), "data")
    assert (status, enrolled["templates"], enrolled["identities"]) == (0, 6, 3)
    assert (enrolled["images"], enrolled["total"]) == (6, 16)
    assert [one["image"] for one in enrolled["failures"]] == ["bad.png"]
    status, error = run("enrol", served.url(), "data")
    assert (status, "--replace" in error, "new 0" in error) == (2, True, True)
    status, enrolled = run("enrol", served.url(), "data", "--replace", "--together")
    assert (enrolled["templates"], enrolled["replaced"], enrolled["had_templates"]) == (3, 6, 3)
    assert run("enrol", served.url(), "data", "--again")[1]["total"] == 19

    here, there = run("gallery", "info", str(gallery)), run("gallery", "info", served.url())
    for name in ("identities", "templates", "templates_an_identity", "usual", "outgrown"):
        assert near(there[1][name]) == near(here[1][name]), name
    kept = [one for one in here[1]["points"] if one["fpir"] < 0.5 or one == here[1]["usual"]]
    assert near(there[1]["points"]) == near(kept)  # a server says those that decide
    assert there[1]["model"]["state"] == "sound"
    assert main(["gallery", "info", served.url()]) == 0

    status, removed = run("remove", served.url(), "new 0")
    assert (status, removed["forms"], removed["removed"]) == (0, ["new 0"], 3)
    assert run("remove", served.url(), "new 0")[0] == 2


def test_page(make, gallery, model, images, folder, capsys):
    """Shows what the server keeps, and no file of that name which lies here."""
    shop = {"path": str(gallery), "model": model, "thumbnails": True}
    with running(make(galleries={"shop": shop})) as served:
        served.send("shop/enrol?identity=kept", images[:1])
        (folder / "0.png").write_bytes(images[30])
        assert (
            main(["search", served.url(), "0.png", "1.png", "--k", "12", "--out", "page.html"]) == 0
        )
    page = (folder / "page.html").read_text()
    assert page.count("<img") == 2 + 2  # the queries, and the template that has one, to each
    assert "the server keeps no image" in page


def test_care(served, gallery, folder, run, images, capsys):
    """What `gallery list, rename, release, purge` say of a server is what they say of its file."""
    address = served.url()

    def same(*words):
        here, there = (
            run(*words[:2], str(gallery), *words[2:]),
            run(*words[:2], address, *words[2:]),
        )
        assert here[0] == there[0] == 0
        assert near(there[1]) == near(here[1])
        return there[1]

    assert len(same("gallery", "list")["identities"]) == 10
    same("gallery", "list", "p3")
    with Client(address) as client:
        client.enrol("p3", images[11:12])
    words = ("gallery", "quarantine", address, "4", "5", "--reason", "blurred")
    assert run(*words)[1]["quarantined"] == 2
    listed = same("gallery", "list", "p3")["templates"]
    assert [one["quarantine"] for one in listed] == ["blurred", None]
    same("gallery", "list", "--quarantined")
    assert run("gallery", "list", address, "nobody")[0] == 2
    assert "--where" in run("gallery", "list", address, "--where", "shelf == 3")[1]

    status, error = run("gallery", "rename", address, "p3", "p1")
    assert (status, "--merge" in error) == (2, True)
    status, error = run("gallery", "rename", address, "p3", "p1", "--templates", "1")
    assert (status, "template 1 is not of 'p3'" in error) == (2, True)
    assert run("gallery", "rename", address, "p3", "q3")[1]["templates"] == 2
    status, said = run("gallery", "rename", address, "q3", "p1", "--merge", "--templates", "11")
    assert (status, said["templates"]) == (0, 1)
    assert run("gallery", "release", address, "4", "5")[1]["released"] == 2
    assert run("gallery", "release", address, "4")[0] == 2
    assert run("gallery", "purge", address)[1]["purged"]
    assert same("gallery", "list")["identities"] == {
        **{f"p{row}": 1 for row in (0, 2, 4, 5, 6, 7, 8, 9)}, "p1": 2, "q3": 1
    }  # fmt: skip


def test_a_key_that_reads(make, folder, run, monkeypatch, capsys):
    """It lists an identity, and is told that templates in quarantine are not for it."""
    keys, settings = keyed(clerk=("read", ["shop"]))
    monkeypatch.setenv("ARCWISE_KEY", keys["clerk"])
    with running(make(keys=settings)) as served:
        assert main(["gallery", "list", served.url(), "p3"]) == 0
        said = capsys.readouterr()
        assert ("1 template\n" in said.out, "admin" in said.err) == (True, True)
        for words in (["list", served.url(), "--quarantined"], ["rename", served.url(), "p3", "q"],
                      ["release", served.url(), "1"], ["audit", served.url()]):  # fmt: skip
            status, error = run("gallery", *words)
            assert (status, "admin" in error) == (2, True), words


def test_audit(served, gallery, folder, run, images, make):
    with Client(served.url()) as client:
        client.enrol("again", images[1:2])
    here, there = (run("gallery", "audit", one) for one in (str(gallery), served.url()))
    assert here[0] == there[0] == 0
    assert near(there[1]) == near(here[1])
    (found,) = [one for one in there[1]["findings"] if one["kind"] == "duplicate"]
    assert (found["templates"], found["identities"]) == ([2, 11], ["p1", "again"])
    assert main(["gallery", "audit", served.url(), "--page", "audit.html"]) == 0
    page = (folder / "audit.html").read_text()
    assert "the server keeps no image" in page
    (folder / "d.json").write_text("{}")
    status, error = run("gallery", "audit", served.url(), "--apply", "d.json")
    assert (status, "where the gallery lies" in error) == (2, True)
    with running(make(limits={"audit_templates": 10})) as small:
        status, error = run("gallery", "audit", small.url())
        assert (status, "11 templates" in error) == (2, True)


def test_no_call_for_it(served, folder, run):
    """A command for which a server has no call says so, and which have one."""
    for command, *rest in (["grow", "0.png"], ["copy", "copy"], ["confirm", "p1", "q"]):
        status, error = run("gallery", command, served.url(), *rest)
        assert (status, error.count("\n")) == (2, 1)
        assert "no call" in error
