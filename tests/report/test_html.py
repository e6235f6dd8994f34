"""The report: one file that needs nothing, shows everything, and trusts no name."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise import report
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate, Verification
from arcwise.report import plots
from arcwise.report.html import data_uri

from .conftest import HOSTILE

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects tags, addresses and words; refuses tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words += data


def parse(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    return page


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    y, x = np.mgrid[:90, :120]
    return np.stack([x * 2, y * 2, np.full_like(x, 30)], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def sections(verification: Verification, rate: Rate, photo: np.ndarray) -> list[report.Section]:
    captioned = report.CaptionedImage
    unresolved = Rate(0.3, 0.1, 0.9, resolved=False)
    return [
        report.Numbers("Results", [report.Number(HOSTILE, rate, HOSTILE)], HOSTILE),
        report.Facts("What was measured", [(HOSTILE, HOSTILE), ("images", 12345)], HOSTILE),
        report.Table(
            f"Table {HOSTILE}",
            ["name", HOSTILE, "number"],
            [[HOSTILE, rate, 0.123456], ["b", unresolved, 7]],
            HOSTILE,
        ),
        report.Plot("Curve", plots.roc({HOSTILE: verification}), HOSTILE),
        report.ImageStrips(
            "Search",
            [
                report.Strip(
                    [
                        captioned(photo, "query"),
                        captioned(photo, HOSTILE, "right"),
                        captioned(photo[:20, :20], "z", "wrong"),
                    ],
                    HOSTILE,
                )
            ],
            HOSTILE,
        ),
    ]


def test_the_file_needs_nothing_else(sections: list[report.Section], tmp_path: Path) -> None:
    path = report.write_report(tmp_path / "new" / "report.html", HOSTILE, sections, HOSTILE)
    text = path.read_text(encoding="utf-8")
    page = parse(text)
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert addresses
    assert all(value.startswith(("data:image/", "#")) for value in addresses)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    for url in re.findall(r"https?://[^\s\"'<]+", text):
        assert url in ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_every_word_is_escaped_and_shown(sections: list[report.Section]) -> None:
    text = report.render(HOSTILE, sections, HOSTILE)
    page = parse(text)
    assert "<script" not in text
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    # title, heading, summary, link, and every label, note, header, cell and caption
    assert page.words.count(HOSTILE) >= 16
    assert ("alt", HOSTILE) in page.attributes
    for section in sections:
        assert section.title in page.words


def test_numbers_are_written_for_people(sections: list[report.Section]) -> None:
    words = parse(report.render("t", sections)).words.replace("\u202f", " ")
    assert "98.44 %" in words
    assert "97.12 – 99.11" in words
    assert "12,345" in words
    assert "0.1235" in words
    assert "not resolved" in words
    assert "30.00 %" not in words  # a number that is not resolved is not printed
    assert "✓ right" in words
    assert "✗ wrong" in words


def test_images_decode(sections: list[report.Section], photo: np.ndarray) -> None:
    page = parse(report.render("t", sections))
    uris = [value for name, value in page.attributes if name == "src"]
    assert len(uris) == 3
    decoded = [_decode(uri) for uri in uris]
    assert [image.shape for image in decoded] == [(90, 120, 3), (90, 120, 3), (20, 20, 3)]
    assert np.abs(decoded[0].astype(int) - photo).mean() < 3
    assert (decoded[2] == photo[:20, :20]).all()  # small ones are exact


def _decode(uri: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_large_images_shrink() -> None:
    assert _decode(data_uri(np.zeros((1000, 500, 3), np.uint8))).shape == (320, 160, 3)
    assert _decode(data_uri(np.zeros((1, 5000, 3), np.uint8))).shape == (1, 320, 3)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_invalid_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ArcwiseError, match="expected uint8"):
        data_uri(image)


@pytest.mark.parametrize("svg", ["<b>", "", "<svg><script>1</script></svg>"])
def test_a_plot_from_elsewhere_is_refused(svg: str) -> None:
    with pytest.raises(ArcwiseError, match="in report"):
        report.render("t", [report.Plot("p", svg)])


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ArcwiseError, match="expected as many"):
        report.Table("t", ["a", "b"], [["x"]])


def test_empty_sections_and_no_summary() -> None:
    page = parse(report.render("t", [report.Table("none", ["a"], []), report.ImageStrips("p")]))
    assert "none" in page.words
    assert "nav" not in page.tags


def test_a_failed_report_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ArcwiseError):
        report.write_report(path, "t", [report.Plot("p", "no plot")])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sections_cannot_change(sections: list[report.Section]) -> None:
    for section in sections:
        with pytest.raises(dataclasses.FrozenInstanceError):
            section.title = "other"


def test_there_is_a_dark_and_a_printed_form() -> None:
    text = report.render("t", [])
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "width=device-width" in text


def test_a_lone_plot_takes_the_whole_row(verification: Verification) -> None:
    plot, table = report.Plot("p", plots.roc({"a": verification})), report.Table("t", ["a"], [])
    text = report.render("t", [plot, plot, plot, table, plot, table, plot, plot])
    kinds = re.findall(r'<section class="(\w+ \w+)"', text)
    assert kinds == [
        "plot half",
        "plot half",
        "plot wide",
        "table wide",
        "plot wide",
        "table wide",
        "plot half",
        "plot half",
    ]


def test_a_difference_has_a_sign() -> None:
    cells = [
        report.RateDifference(Rate(-0.0123, -0.02, 0.005)),
        report.RateDifference(Rate(0.0777, -0.1, 0.1, resolved=False)),
    ]
    words = parse(report.render("t", [report.Table("t", ["a", "b"], [cells])])).words
    assert "−1.23" in words
    assert "−2.00 – +0.50" in words
    assert "7.77" not in words
    assert "not resolved" in words


def test_twenty_strips_stay_below_three_megabytes(tmp_path: Path) -> None:
    """Even of images that do not compress."""
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (480, 640, 3), dtype=np.uint8) for _ in range(20)]
    strips = [
        report.Strip([report.CaptionedImage(np.roll(one, k, 0)) for k in range(6)]) for one in noise
    ]
    path = report.write_report(tmp_path / "r.html", "t", [report.ImageStrips("p", strips)])
    assert path.stat().st_size < 3_000_000
    sizes = {_decode(uri).shape[1] for uri in re.findall(r'src="([^"]+)"', path.read_text())}
    assert sizes <= {320, 240, 192, 160, 128}
    assert len(sizes) == 1


def test_few_images_stay_large(tmp_path: Path) -> None:
    images = [report.CaptionedImage(np.full((480, 640, 3), 90, np.uint8))] * 12
    page = parse(report.render("t", [report.ImageStrips("p", [report.Strip(images)])]))
    assert {_decode(v).shape for n, v in page.attributes if n == "src"} == {(240, 320, 3)}


def test_not_resolved_is_explained_where_it_stands() -> None:
    row = ["0.01", "not resolved: too few pairs"]
    for rows, there in (([row], True), ([["0.01", "0.5"]], False)):
        table = report.Table("Thresholds", ["rate", "similarity"], rows)
        assert ("“Not resolved” stands" in report.render("Page", [table])) is there
