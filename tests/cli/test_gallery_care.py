"""The small commands on a gallery: list, rename, quarantine, release, remove, purge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.cli import main
from arcwise.gallery import open_gallery

CapSys = pytest.CaptureFixture[str]


@pytest.fixture
def gallery(tmp_path: Path) -> str:
    """Templates 1 and 2 of Ann, 3 of Bob and 4 of Cid, which is in quarantine."""
    path = tmp_path / "g"
    rows = np.eye(4, dtype=np.float32)
    with open_gallery(path, create=True, dim=4) as store:
        store.enrol(
            [
                ("Ann", rows[0], {"shop": "Berlin"}),
                ("Ann", rows[1], {}, 0.5),
                ("Bob", rows[2], {"shop": "Paris"}),
                ("Cid", rows[3]),
            ]
        )
        store.quarantine([4], "audit: remove")
    return str(path)


def said(capsys: CapSys, *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: CapSys, *words: str) -> str:
    assert main([*words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_list(gallery: str, capsys: CapSys) -> None:
    assert said(capsys, "gallery", "list", gallery)["identities"] == {"Ann": 2, "Bob": 1}
    for words, expected in (
        (["Ann"], [1, 2]),
        (["ann"], None),
        (["Cid"], [4]),
        (["--where", 'shop == "Paris"'], [3]),
        (["Ann", "--where", 'shop != "Paris"'], [1]),
        (["--quarantined"], [4]),
        (["Bob", "--quarantined"], []),
    ):
        if expected is None:
            assert "Ann" in refused(capsys, "gallery", "list", gallery, *words)
            continue
        rows = said(capsys, "gallery", "list", gallery, *words)["templates"]
        assert [row["template"] for row in rows] == expected
    assert main(["gallery", "list", gallery, "Cid"]) == 0
    assert "in quarantine: audit: remove" in capsys.readouterr().out
    assert main(["gallery", "info", gallery]) == 0
    assert "1 more in quarantine" in capsys.readouterr().out


def test_rename(gallery: str, capsys: CapSys) -> None:
    assert said(capsys, "gallery", "rename", gallery, "Bob", "Eve")["templates"] == 1
    assert "Eve" in refused(capsys, "gallery", "rename", gallery, "Ev", "Dee")
    assert "--merge" in refused(capsys, "gallery", "rename", gallery, "Eve", "Ann")
    assert "--merge" in refused(capsys, "gallery", "rename", gallery, "Eve", "Cid")
    assert "3" in refused(capsys, "gallery", "rename", gallery, "Ann", "Dee", "--templates", "3")
    assert said(capsys, "gallery", "rename", gallery, "Ann", "Eve", "--merge", "--templates", "2")
    assert said(capsys, "gallery", "list", gallery)["identities"] == {"Ann": 1, "Eve": 2}
    assert said(capsys, "gallery", "rename", gallery, "Cid", "Dee")["templates"] == 1
    assert said(capsys, "gallery", "list", gallery, "Dee")["templates"][0]["quarantine"]


def test_paths_that_keep_the_old_name(gallery: str, capsys: CapSys) -> None:
    with open_gallery(gallery) as store:
        recorded = [{"image": f"{one}/1.jpg", "root": "/data"} for one in ("Eve", "eve_2", "Eves")]
        numbers = store.enrol([("Eve", np.eye(4)[0], one) for one in recorded]).templates
        store.quarantine(numbers[1:2], "blurred")
    done = said(capsys, "gallery", "rename", gallery, "Eve", "Dee")
    assert (done["templates"], done["paths"]) == (3, 2)
    assert main(["gallery", "rename", gallery, "Dee", "Eve"]) == 0
    assert "still have" not in capsys.readouterr().out  # they have the new name
    assert main(["gallery", "rename", gallery, "Eve", "Ann", "--merge"]) == 0
    assert "2 templates still have 'Eve'" in capsys.readouterr().out
    assert main(["gallery", "purge", gallery]) == 0
    assert "metadata" in capsys.readouterr().out


def test_quarantine(gallery: str, capsys: CapSys) -> None:
    words = ("gallery", "quarantine", gallery)
    assert "9" in refused(capsys, *words, "1", "9", "--reason", "blurred")
    assert "reason" in refused(capsys, *words, "1", "--reason", " ")
    assert said(capsys, *words, "2", "1", "--reason", "blurred")["quarantined"] == 2
    assert said(capsys, "gallery", "list", gallery)["identities"] == {"Bob": 1}
    assert main([*words, "3", "1", "--reason", "twice"]) == 0
    undo = capsys.readouterr().out.splitlines()[-1]
    assert main(undo.partition("arcwise ")[2].split()) == 0
    with open_gallery(gallery, mode="r") as store:
        assert [one.template for one in store.templates()] == [1, 3]


def test_release(gallery: str, capsys: CapSys) -> None:
    assert "1" in refused(capsys, "gallery", "release", gallery, "4", "1")
    assert said(capsys, "gallery", "release", gallery, "4")["released"] == 1
    assert said(capsys, "gallery", "list", gallery)["identities"]["Cid"] == 1


def test_remove(gallery: str, capsys: CapSys) -> None:
    assert "9" in refused(capsys, "remove", gallery, "--templates", "1", "9")
    assert "one of these" in refused(capsys, "remove", gallery, "Ann", "--templates", "1")
    assert "one of these" in refused(capsys, "remove", gallery)
    assert said(capsys, "remove", gallery, "--templates", "1", "3")["removed"] == 2
    assert "there are: 'audit: remove'" in refused(
        capsys, "remove", gallery, "--quarantined", "blurred"
    )
    with open_gallery(gallery) as store:
        (other,) = store.enrol([("Dee", np.eye(4)[1])]).templates
        store.quarantine([other], "audit: hub")
    gone = said(capsys, "remove", gallery, "--quarantined", "audit")
    assert gone["reasons"] == {"audit: remove": 1, "audit: hub": 1}
    with open_gallery(gallery) as store:
        assert (store.counts(), store.quarantined()) == ({"Ann": 1}, [])


def test_purge(gallery: str, capsys: CapSys) -> None:
    with open_gallery(gallery) as store:
        store.assign([1], "Somebody")
        store.assign([1], "Else")
    assert said(capsys, "gallery", "purge", gallery)["purged"]
    assert b"Somebody" not in Path(gallery).read_bytes()


@pytest.mark.parametrize("verb", ["list", "purge", "quarantine", "release", "rename"])
def test_no_gallery(verb: str, tmp_path: Path, capsys: CapSys) -> None:
    given = {
        "quarantine": ["1", "--reason", "x"],
        "release": ["1"],
        "rename": ["a", "b"],
    }
    more = given.get(verb, [])
    assert "no such gallery" in refused(capsys, "gallery", verb, str(tmp_path / "none"), *more)
