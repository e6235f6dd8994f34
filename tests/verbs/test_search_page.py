"""The page of a search: every query and hit is on it, and it shows well in a real browser."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.errors import ArcwiseError, ImageError
from arcwise.gallery import Decision, Hit, OperatingPoint
from arcwise.recognition import Recogniser
from arcwise.verbs.search import Answer, search
from arcwise.verbs.search_page import MAX_IMAGES, page_path, write_page
from tests.report import chromium
from tests.report.checks import faults
from tests.verbs.conftest import Shop, threshold

HOSTILE = '<script>alert("1")</script> & long' + "long" * 20


def placeholders(page: Path) -> list[str]:
    return re.findall(r'<div class="none">(.*?)</div>', page.read_text(encoding="utf-8"))


def images(page: Path) -> int:
    return page.read_text(encoding="utf-8").count("<img ")


@pytest.fixture
def photo(stock: Shop, tmp_path: Path) -> Path:
    path = tmp_path / "0 Ünï.jpg"
    path.write_bytes(stock.catalogue.read(0))
    return path


@pytest.fixture
def enrolled(stock: Shop, tmp_path: Path) -> Path:
    """An image where `hit` says it was enrolled from."""
    path = tmp_path / "enrolled" / "a" / "1.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(stock.catalogue.read(1))
    return path


def hit(identity: str = "a", similarity: float = 0.5, **metadata: object) -> Hit:
    return Hit(identity, similarity, 1, metadata)


def test_a_search(stock: Shop, photo: Path, tmp_path: Path) -> None:
    asked = search(stock.gallery, [photo, tmp_path / "none.jpg", stock.photos.select([3])]).queries
    page = write_page(tmp_path / "page.html", asked, gallery=stock.gallery, summary="Decided so.")
    text = page.read_text(encoding="utf-8")
    assert images(page) == 2 * (1 + 5)
    assert placeholders(page) == ["no such file or folder"]
    assert "Decided so." in text
    assert f"{photo}: {stock.catalogue.identities[0]}" in text
    assert text.count("→ answer") == 1
    assert "3 queries in shop.gallery" in text
    assert "not resolved" not in text  # the footer of measured pages


def test_the_enrolled_image_is_found(enrolled: Path, photo: Path, tmp_path: Path) -> None:
    """From the root of its data set, also in an archive; and in galleries that name no root."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(enrolled, "a/1.jpg")
    hits = (
        hit(image="a/1.jpg", root=str(tmp_path / "enrolled")),
        hit(image="a/1.jpg", root=str(tmp_path / "set.zip")),
        hit(image="set.zip/a/1.jpg", root=str(tmp_path)),
        hit(image="enrolled/a/1.jpg"),
        hit(image=str(enrolled)),
    )
    page = write_page(
        tmp_path / "page.html", [Answer(str(photo), hits, None)], gallery=tmp_path / "g", summary=""
    )
    assert (placeholders(page), images(page)) == ([], 6)


def test_an_enrolled_image_that_cannot_be_shown(
    enrolled: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "damaged.zip").write_text("no archive")
    hits = (
        hit(image="a/1.jpg", root=str(tmp_path)),
        hit(image="text.jpg", root=str(tmp_path)),
        hit(image="a/1.jpg", root=str(tmp_path / "damaged.zip")),
        hit(image="enrolled", root=str(tmp_path)),
        hit(image=5),
        hit(),
    )
    page = write_page(
        tmp_path / "page.html", [Answer(str(photo), hits, None)], gallery=tmp_path / "g", summary=""
    )
    found = placeholders(page)
    assert (len(found), images(page)) == (6, 1)
    assert "no such file" in found[0]
    assert found[4:] == ["no image is recorded"] * 2


def test_an_enrolled_image_that_is_gone(stock: Shop, photo: Path, tmp_path: Path) -> None:
    """Then the small one that the gallery keeps is shown; and nothing where it keeps none."""
    gallery = tmp_path / "g"
    with Recogniser(stock.model, gallery, create=True) as one:
        kept = one.enrol("a", [photo]).templates[0]
        none = one.enrol("b", [photo], thumbnails=False).templates[0]
    gone = {"image": "a/1.jpg", "root": str(tmp_path)}
    hits = (*(Hit("a", 0.5, row, gone) for row in (kept, none, 99)), Hit("a", 0.5, kept, {}))
    page = write_page(
        tmp_path / "page.html", [Answer(str(photo), hits, None)], gallery=gallery, summary=""
    )
    assert (images(page), len(placeholders(page))) == (3, 2)


def test_what_is_said_of_a_query(photo: Path, tmp_path: Path) -> None:
    asked = [
        Answer(str(photo), (), Decision(None, None, None, 0.5)),
        Answer(str(photo), (hit(),), Decision(None, 0.4, None, 0.5)),
        Answer(str(photo), (hit(HOSTILE),), Decision(HOSTILE, 0.6, None, 0.5)),
        Answer(str(photo), (hit(),), None),
        ImageError(HOSTILE, HOSTILE),
    ]
    page = write_page(tmp_path / "page.html", asked, gallery="g", summary=HOSTILE)
    text = page.read_text(encoding="utf-8")
    assert "nobody is enrolled" in text
    assert "0.400 is below the threshold 0.500" in text
    assert "no decision" in text
    assert "<script" not in text


def test_a_doubtful_answer_says_why(photo: Path, tmp_path: Path) -> None:
    """As the server's page: within the interval of the threshold, or two who reach it."""
    basis = replace(threshold(0.1, 0.5), low=0.45, high=0.55)
    point = OperatingPoint(0.5, 0.1, (0.0, 1.0), basis, fits=False, exact=False, dir=None)
    asked = [
        Answer(str(photo), (), Decision(identity, similarity, margin, 0.5))
        for identity, similarity, margin in (
            ("sure", 0.9, 0.5), ("near", 0.54, None), (None, 0.46, 0.3), ("two", 0.9, 0.2),
            (None, 0.2, 0.1),
        )
    ]  # fmt: skip
    page = write_page(tmp_path / "page.html", asked, gallery="g", summary="", point=point)
    text = page.read_text(encoding="utf-8")
    assert f"{photo}: sure, 0.900 reaches the threshold 0.500" in text
    assert text.count("doubtful: ") == 3
    assert all(f"doubtful: {one}" in text for one in ("near", "unknown", "two"))
    assert text.count("between 0.450 and 0.550") == 2


def test_very_many_queries(photo: Path, tmp_path: Path) -> None:
    asked = [Answer(str(photo), (hit(),) * 9, None)] * 200
    page = write_page(tmp_path / "page.html", asked, gallery="g", summary="")
    assert images(page) == MAX_IMAGES // 10
    assert "The first 100 of 200 queries" in page.read_text(encoding="utf-8")


class TestWhere:
    @pytest.mark.parametrize(
        ("out", "page"),
        [("p.html", "p.html"), ("p.HTML", "p.HTML"), ("new", "new/search.html"),
         ("new/p.html", "new/p.html"), ("folder", "folder/search.html"),
         ("dotted.d", "dotted.d/search.html"), ("old.html", "old.html")],
    )  # fmt: skip
    def test_a_page_or_a_folder(self, tmp_path: Path, out: str, page: str) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "dotted.d").mkdir()
        (tmp_path / "old.html").write_text("older")
        assert page_path(tmp_path / out) == tmp_path / page

    @pytest.mark.parametrize("out", ["p.json", "p.htm", "file", "file/p.html", "full"])
    def test_something_else(self, tmp_path: Path, out: str) -> None:
        (tmp_path / "file").write_text("mine")
        (tmp_path / "full" / "search.html").mkdir(parents=True)
        with pytest.raises(ArcwiseError):
            page_path(tmp_path / out)
        assert (tmp_path / "file").read_text() == "mine"

    def test_on_the_command_line(
        self, stock: Shop, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["search", str(stock.gallery), str(photo), "--out"]
        assert main([*words, str(tmp_path / "page.html")]) == 0
        assert capsys.readouterr().out.endswith(f"page: {tmp_path / 'page.html'}\n")
        assert images(tmp_path / "page.html") == 6
        assert main([*words, str(tmp_path / "page.json")]) == 2
        assert capsys.readouterr().out == ""


@pytest.mark.skipif(chromium.executable() is None, reason="no Chromium: apt-get install chromium")
class TestBrowser:
    @pytest.fixture(scope="class")
    def browser(self) -> Iterator[chromium.Browser]:
        with chromium.running() as browser:
            yield browser

    @pytest.fixture(scope="class")
    def page(self, stock: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("page")
        names = [folder / "a.jpg", folder / f"{'long ' * 9}.jpg", folder / "none.jpg"]
        for row, name in enumerate(names[:2]):
            name.write_bytes(stock.catalogue.read(row))
        asked = search(stock.gallery, [*names, stock.photos.select([3, 9])]).queries
        gone = Hit(HOSTILE, 0.123, 10**6, {"image": "a/1.jpg", "root": str(folder / "moved")})
        asked += (Answer(str(names[0]), (gone,), Decision(HOSTILE, 0.123, None, 0.1)),)
        return write_page(
            folder / "search.html", asked, gallery=stock.gallery, summary="What it promises."
        )

    @pytest.mark.parametrize("width", [360, 1280])
    @pytest.mark.parametrize("dark", [False, True])
    def test_in_a_window(
        self, browser: chromium.Browser, page: Path, width: int, dark: bool
    ) -> None:
        visit = browser.visit(page, width, dark=dark)
        assert faults(visit, width) == []
        assert visit.ask("document.images.length") == 4 * 6 + 1
        assert visit.ask("[...document.images].every(one => one.alt)")
        cut = "one.scrollHeight > one.clientHeight || one.scrollWidth > one.clientWidth"
        assert not visit.ask(f"[...document.querySelectorAll('.none')].some(one => {cut})")
