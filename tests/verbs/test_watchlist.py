"""A folder screened against a gallery: hits, what could not be read, and going on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.cli.watchlist import explained
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery
from arcwise.runtime import Model
from arcwise.verbs.search import search
from arcwise.verbs.watchlist import hits_path, screen, write_hits
from arcwise.verbs.watchlist_page import write_watchlist_page
from tests.report import chromium
from tests.report.checks import faults
from tests.verbs.conftest import Shop


@pytest.fixture
def folder(stock: Shop, tmp_path: Path) -> Path:
    """Three enrolled images, one photo, one that is broken and one that is none."""
    place = tmp_path / "camera"
    place.mkdir()
    for row in range(3):
        (place / f"{row}.jpg").write_bytes(stock.catalogue.read(row))
    (place / "<other>.jpg").write_bytes(stock.photos.read(5))
    (place / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (place / "notes.txt").write_text("")
    return place


@pytest.fixture
def gallery(stock: Shop, tmp_path: Path) -> Path:
    return Path(shutil.copy(stock.gallery, tmp_path / "g.gallery"))


def test_hits_are_everyone_above(stock: Shop, folder: Path, gallery: Path) -> None:
    result = screen(gallery, [folder])
    names = stock.catalogue.identities
    assert {(Path(one.image).name, one.identity) for one in result.hits} >= {
        (f"{row}.jpg", names[row]) for row in range(3)
    }
    similarities = [one.similarity for one in result.hits]
    assert similarities == sorted(similarities, reverse=True)
    everyone = search(gallery, [folder], everyone=True)
    assert len(result.hits) == sum(len(answer.hits) for answer in everyone.answers)
    assert result.images == 4
    assert [Path(one.name).name for one in result.failures] == ["broken.jpg"]
    assert [Path(one).name for one in result.ignored] == ["notes.txt"]
    assert result.thumbnails.keys() == {one.template for one in result.hits}
    assert result.point is not None
    assert result.expected == pytest.approx(4 * result.point.fpir)


def test_it_goes_on_where_it_was(
    stock: Shop, folder: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path / "cache"))
    prepare, prepared = Model.prepare, []

    def counted(self: Model, *image: object) -> object:
        prepared.append(image)
        return prepare(self, *image)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "prepare", counted)
    first = screen(gallery, [folder])
    assert len(prepared) == 4
    (folder / "more.jpg").write_bytes(stock.photos.read(9))
    again = screen(gallery, [folder])
    assert len(prepared) == 5
    assert [one for one in again.hits if "more" not in one.image] == list(first.hits)
    screen(gallery, [folder], cached=False)
    assert len(prepared) == 10


def test_of_a_part(folder: Path, gallery: Path) -> None:
    with open_gallery(gallery) as store:
        store.annotate(2, {"list": "wanted"})
    result = screen(gallery, [folder], where='list == "wanted"')
    assert {one.template for one in result.hits} == {2}
    assert result.size.templates == 1
    nobody = screen(gallery, [folder], where='list == "none"')
    assert (nobody.hits, nobody.point) == ((), None)
    assert "nobody" in explained(nobody)
    (typo,) = screen(gallery, [folder], where='lits == "wanted"').notes
    assert "'list'" in typo


def test_the_table(folder: Path, gallery: Path, tmp_path: Path) -> None:
    result = screen(gallery, [folder])
    with write_hits(result, hits_path(tmp_path / "hits.csv")).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["identity"], int(row["template"])) for row in rows] == [
        (one.image, one.identity, one.template) for one in result.hits
    ]
    with pytest.raises(ArcwiseError, match="exists"):
        hits_path(tmp_path / "hits.csv")
    with pytest.raises(ArcwiseError, match=r"\.csv"):
        hits_path(tmp_path / "hits.txt")


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    if chromium.executable() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with chromium.running() as one:
        yield one


def test_the_page(folder: Path, gallery: Path, tmp_path: Path, browser: chromium.Browser) -> None:
    result = screen(gallery, [folder])
    page = write_watchlist_page(tmp_path / "page.html", result, summary=explained(result))
    text = page.read_text()
    assert "<other>" not in text
    assert "broken.jpg" in text
    visit = browser.visit(page, width=1280)
    shown = 'document.querySelectorAll(".strip img").length'
    assert visit.ask(shown) == result.images_with_hits + len(result.hits)
    assert not faults(visit, 1280)
    assert not faults(browser.visit(page, width=500), 500)


def test_the_command(
    folder: Path, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["watchlist", str(gallery), str(folder)]
    table, page = tmp_path / "hits.csv", tmp_path / "page.html"
    assert main([*words, "--out", str(table), "--page", str(page), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["images"] == 4
    assert len(document["failures"]) == 1
    assert len(document["hits"]) >= 3
    assert table.exists()
    assert page.exists()
    (folder / "broken.jpg").unlink()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "by chance" in said
    assert main([*words, "--out", str(table)]) == 2
    assert main(["watchlist", str(tmp_path / "none"), str(folder)]) == 2
    assert "no such gallery" in capsys.readouterr().err
