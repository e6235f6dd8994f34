"""An audit of a gallery: what was planted is found, judged on a page, done, and undone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.cli.gallery_audit import show
from arcwise.errors import ArcwiseError
from arcwise.gallery import NewTemplate, open_gallery
from arcwise.recognition.recorded import CONTENT
from arcwise.verbs.gallery_audit import audit_gallery
from arcwise.verbs.gallery_audit_decisions import (
    BEFORE,
    TO_REMOVE,
    apply_gallery_decisions,
    read_gallery_decisions,
)
from arcwise.verbs.gallery_audit_page import write_audit_page
from arcwise.verbs.gallery_rename import rename
from tests.report import chromium
from tests.report.checks import faults
from tests.verbs.conftest import search_threshold, threshold

HOSTILE = '<script>alert("1")<'
PEOPLE, EACH = 40, 4


@pytest.fixture(scope="module")
def audited_model(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says what similar is."""
    folder = tmp_path_factory.mktemp("audited") / "model"
    shutil.copytree(served, folder)
    add_thresholds(
        folder,
        [threshold(0.01, 0.4), threshold(0.001, 0.5)],
        measured_on="nothing",
        digests=read_bundle(served).digests["calibrate"],
        search_thresholds=[
            search_threshold(0.01, 1000, 0.7, templates=4),
            search_threshold(0.1, 1000, 0.6, templates=4),
        ],
    )
    return folder


@pytest.fixture
def gallery(audited_model: Path, tmp_path: Path) -> Path:
    """Forty people with four templates each.

    p00's first is p01's, p02 is also somebody else, p03 and p04 share a vector, and the first two
    of p05 are of one file.
    """
    model = runtime.load(audited_model)
    draw = np.random.default_rng(3)
    owner = np.repeat(np.arange(PEOPLE), EACH)
    centres = np.linalg.qr(draw.normal(size=(model.dim, model.dim)))[0]
    centres = np.concatenate([centres, draw.normal(size=(PEOPLE, model.dim)) / model.dim**0.5])
    rows = centres[owner] + 0.08 * draw.normal(size=(len(owner), model.dim))
    rows[0] = rows[5] + 0.02 * draw.normal(size=model.dim)
    rows[19] = rows[12]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"p{one:02}" for one in owner]
    names[10] = names[11] = HOSTILE
    items = []
    for row, (name, vector) in enumerate(zip(names, rows, strict=True)):
        image = np.kron(draw.integers(0, 255, (5, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        done, small = cv2.imencode(".jpg", image)
        assert done
        file = 20 if row == 21 else row
        items.append(NewTemplate(name, vector, {CONTENT: str(file)}, None, small.tobytes()))
    path = tmp_path / "g.gallery"
    with open_gallery(path, create=True, model=model) as store:
        store.enrol(items)
        store.enrol([NewTemplate("held", rows[0])])
        store.quarantine([len(rows) + 1], "blurred")
    return path


def test_what_was_planted_is_found(gallery: Path) -> None:
    report = audit_gallery(gallery)
    assert (report.templates, report.identities) == (160, 41)
    assert report.point is not None
    assert report.point.threshold == 0.7
    duplicate, file, one_identity, misfit = report.findings
    assert (duplicate.templates, duplicate.identities) == ((13, 20), ("p03", "p04"))
    assert (file.templates, file.identities) == ((21, 22), ("p05",))
    assert set(one_identity.identities) == {"p02", HOSTILE}
    assert (misfit.templates, misfit.identities) == ((1,), ("p00", "p01"))
    assert report.counts == {"duplicate": 2, "hub": 0, "one identity": 1, "misfit": 1}
    assert misfit.nearest == 6
    assert not report.notes


def test_without_thresholds(gallery: Path, audited_model: Path, tmp_path: Path) -> None:
    report = audit_gallery(gallery, model=tmp_path / "none")
    assert report.counts == {"duplicate": 2, "hub": 0, "one identity": 0, "misfit": 0}
    assert "missing" in report.notes[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    if chromium.executable() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with chromium.running() as one:
        yield one


def state(gallery: Path) -> dict[int, tuple[str, str | None]]:
    with open_gallery(gallery, mode="r") as store:
        return {
            number: (name, reason)
            for one in store.stored()
            for number, name, reason in zip(
                one.templates.tolist(), one.identities, one.quarantined, strict=True
            )
        }


def test_the_page_asks_and_what_it_saves_is_done_and_undone(
    gallery: Path, browser: chromium.Browser, tmp_path: Path
) -> None:
    before = state(gallery)
    report = audit_gallery(gallery)
    page = write_audit_page(tmp_path / "page.html", report)
    assert HOSTILE not in page.read_text()
    visit = browser.visit(page, width=1280)
    assert visit.ask('document.querySelectorAll(".judge").length') == len(report.findings)
    assert visit.ask('document.querySelectorAll(".strip img").length') >= 2 + 2 + 4 + 7
    visit.ask('document.querySelectorAll(".judge button:first-child").forEach(b => b.click())')
    file = tmp_path / "decisions.json"
    file.write_text(visit.ask("decisions()"))
    assert not faults(visit, 1280)
    assert not faults(browser.visit(page, width=500), 500)
    done = apply_gallery_decisions(gallery, file)
    assert done.quarantined == {"audit: duplicate": (20, 22)}
    (pair,) = (one.identities for one in report.findings if one.kind == "one identity")
    assert done.assigned == {pair[0]: (9, 10) if pair[1] == "p02" else (11, 12), "p01": (1,)}
    assert done.outdated == 0
    after = state(gallery)
    assert after[1] == ("p01", None)
    assert after[20] == ("p04", "audit: duplicate")
    assert {after[one][0] for one in (9, 10, 11, 12)} == {pair[0]}
    again = audit_gallery(gallery)
    assert not again.findings
    # Undone, as the documents say.
    with open_gallery(gallery) as store:
        store.release([20, 22])
        moved = store.templates(where=f'{BEFORE} != ""')
    for one in moved:
        rename(
            gallery, one.identity, one.metadata[BEFORE], templates=[one.template], merge=True
        )  # fmt: skip
    assert state(gallery) == before


def decisions(path: Path, *answers: tuple[str, list[int], list[str], str | None]) -> Path:
    keys = ("kind", "templates", "identities", "answer")
    listed = [dict(zip(keys, one, strict=True)) for one in answers]
    path.write_text(
        json.dumps({"kind": "arcwise gallery decisions", "version": 1, "findings": listed})
    )
    return path


def test_each_answer(gallery: Path, tmp_path: Path) -> None:
    file = decisions(
        tmp_path / "d.json",
        ("duplicate", [13, 20], ["p03", "p04"], "last"),
        ("hub", [50], ["p12"], "remove"),
        ("hub", [54], ["p13"], "quarantine"),
        ("hub", [58], ["p14"], "keep"),
        ("misfit", [1], ["p00", "p01"], None),
        ("misfit", [21], ["p00", "p01"], "move"),  # not of p00
        ("one identity", [9, 10], ["p06", "p02"], "merge"),
    )
    done = apply_gallery_decisions(gallery, file)
    assert done.quarantined == {
        "audit: duplicate": (13,), TO_REMOVE: (50,), "audit: hub": (54,)
    }  # fmt: skip
    assert (done.assigned, done.outdated) == ({"p06": (9, 10)}, 1)
    with pytest.raises(ArcwiseError, match="no template"):
        apply_gallery_decisions(
            gallery, decisions(tmp_path / "e.json", ("hub", [50], ["p12"], "remove"))
        )


def test_what_is_decided_is_not_asked_again(gallery: Path, tmp_path: Path) -> None:
    file = decisions(tmp_path / "d.json", ("duplicate", [20, 13], ["p04", "p03"], "keep"))
    report = audit_gallery(gallery, decisions=file)
    assert report.counts["duplicate"] == 1
    assert report.decisions == read_gallery_decisions(file)


@pytest.mark.parametrize(
    "answer",
    [
        ("hub", [1], ["p00"], "merge"), ("twins", [1], ["p00"], "keep"),
        ("hub", [], ["p00"], "keep"), ("hub", ["1"], ["p00"], "keep"),
        ("misfit", [1], ["p00"], "move"), ("hub", [1], [3], "keep"),
    ],
)  # fmt: skip
def test_files_that_are_none(answer: tuple, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="gallery audit"):
        read_gallery_decisions(decisions(tmp_path / "d.json", answer))
    (tmp_path / "d.json").write_text("[]")
    with pytest.raises(ArcwiseError, match="gallery audit"):
        read_gallery_decisions(tmp_path / "d.json")


def test_the_command(gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gallery", "audit", str(gallery)]
    assert main([*words, "--page", str(tmp_path / "a.html"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"]["duplicate"] == 2
    assert Path(document["page"]).is_file()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "160 templates of 41 identities, 4 findings" in said
    assert "1 of 100 images" in said
    found = audit_gallery(gallery)
    show(replace(found, findings=found.findings * 6))
    assert "--json has all" in capsys.readouterr().out
    file = decisions(tmp_path / "d.json", ("misfit", [1], ["p00", "p01"], "remove"))
    assert main([*words, "--apply", str(file)]) == 0
    assert TO_REMOVE in capsys.readouterr().out
    assert main(["remove", str(gallery), "--quarantined", TO_REMOVE]) == 0
    capsys.readouterr()
    file = decisions(tmp_path / "d.json", ("misfit", [2], ["p00", "p01"], "move"))
    assert main([*words, "--apply", str(file)]) == 0
    (undo,) = [one for one in capsys.readouterr().out.splitlines() if "to undo" in one]
    typed = undo.partition("arcwise ")[2].partition(";")[0]
    for word, value in (("NAME", "p01"), ("BEFORE", "p00"), ("TEMPLATE …", "2")):
        typed = typed.replace(word, value)
    assert main(typed.split()) == 0
    assert state(gallery)[2][0] == "p00"
    assert 1 not in state(gallery)
    assert main([*words, "--apply", str(file), "--page", "x.html"]) == 2
