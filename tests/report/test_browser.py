"""The report in a real browser: no error, no request, nothing cut off, every image there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from arcwise import evaluation, report
from arcwise.report import plots

from . import chromium
from .checks import MISPLACED, TINY, faults
from .conftest import HOSTILE

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason="no Chromium: apt-get install chromium"
)

WIDTHS = (360, 1280)


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(
    verification: evaluation.Verification,
    identification: evaluation.Identification,
    angles: evaluation.Angles,
    rate: evaluation.Rate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A report with every kind of section, of two models, one with a long name."""
    names = ("first", "a second model with a name that goes on and on")
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (90, 120, 3), dtype=np.uint8) for _ in range(6)]
    frames = ("neutral", "right", "wrong", "wrong", "right", "neutral")
    shown = [
        report.CaptionedImage(image, f"{HOSTILE} {'long' * 20}", frame)
        for image, frame in zip(images, frames, strict=True)
    ]
    lines = {names[0]: ("FAR 1 %", -2.0), names[1]: ("FAR 1 %", 3.5)}
    groups = {group: dict.fromkeys(names, rate) for group in (HOSTILE, "b", "c")}
    drawn = {
        "ROC": plots.roc(dict.fromkeys(names, verification)),
        "DET": plots.det(dict.fromkeys(names, verification)),
        "Similarities": plots.scores(dict.fromkeys(names, verification), lines),
        "Angles": plots.angles(dict.fromkeys(names, angles)),
        "CMC": plots.cmc(dict.fromkeys(names, identification)),
        "Open set": plots.detection(dict.fromkeys(names, identification)),
        "Groups": plots.groups(groups, "TAR at FAR 1 %"),
        "Models": plots.comparison(dict.fromkeys(names, rate), "TAR at FAR 1 %"),
        "Thresholds": plots.thresholds({key: [(0.9, rate), (0.01, rate)] for key in names}, "FAR"),
        "Reliability": plots.reliability({key: [(0.1, rate), (0.9, rate)] for key in names}),
        "Training": plots.training([{"step": step, "loss": 1 / (1 + step)} for step in range(9)]),
    }
    sections = [
        report.Numbers("Results", [report.Number("recall@1", rate, "of 12 345 queries")] * 3),
        report.Facts("Measured on", [("fingerprint", "0123456789abcdef" * 4), ("data", HOSTILE)]),
        report.Table(
            "Measures",
            ["measure", *names, "difference"],
            [["recall@1", rate, rate, report.RateDifference(rate)]] * 3,
        ),
        *(report.Plot(title, svg) for title, svg in drawn.items()),
        report.ImageStrips("Searches", [report.Strip(shown, HOSTILE, "wrong")]),
        report.ImageStrips("Pairs", [report.Strip(shown[:2], "a pair", "right")] * 3),
    ]
    return report.write_report(
        tmp_path_factory.mktemp("browser") / "report.html", "A report", sections, HOSTILE
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_a_report_in_a_window(
    browser: chromium.Browser, page: Path, width: int, dark: bool
) -> None:
    visit = browser.visit(page, width, dark=dark)
    assert faults(visit, width) == []
    assert visit.ask("document.images.length") == 6 + 3 * 2


def test_contents_are_folded_on_a_phone(browser: chromium.Browser, page: Path) -> None:
    """They would fill its first screen; they unfold, and lead to the sections."""
    shown = "[...document.querySelectorAll('nav a')].filter(one => one.checkVisibility()).length"
    results = "document.getElementById('s1').getBoundingClientRect().top"
    visit = browser.visit(page, 360)
    assert (visit.ask(shown), visit.ask(results) < 400) == (0, True)
    visit.ask("document.querySelector('summary').click()")
    sections = visit.ask("document.querySelectorAll('main > section').length")
    assert visit.ask(shown) == sections == browser.visit(page, 1280).ask(shown)
    visit.ask("[...document.querySelectorAll('.folded a')].at(-1).click()")
    assert visit.ask(f"location.hash === '#s{sections}'")


def test_colours_turn_with_the_light(browser: chromium.Browser, page: Path) -> None:
    curve = """getComputedStyle(document.querySelector("[style*='stroke: var']")).stroke"""
    for script in ("getComputedStyle(document.body).backgroundColor", curve):
        light, dark = (browser.visit(page, 360, dark=dark).ask(script) for dark in (False, True))
        assert light != dark


def test_a_page_with_faults_is_found_out(browser: chromium.Browser, tmp_path: Path) -> None:
    """What the tests above would miss, they could not vouch for."""
    page = tmp_path / "faulty.html"
    page.write_text(
        '<!DOCTYPE html><img src="missing.png"><img src="data:image/png;base64,AAAA">'
        '<div style="width: 900px">wide</div><p style="font-size: 5px">tiny</p>'
        "<main><p style='font-size: 5px'>tiny</p></main>"
        '<svg aria-label="s" width="100" viewBox="0 0 100 60"><text x="90" y="50">outside</text>'
        '<text x="5" y="20">one</text><text x="7" y="22">other</text></svg>'
        "<script>console.error('said'); undefined.field</script>"
    )
    visit = browser.visit(page, 360)
    assert [url.rpartition("/")[2] for url in visit.requests] == ["missing.png"]
    assert any("said" in error for error in visit.errors)
    assert any("Uncaught" in error for error in visit.errors)
    assert any("ERR_FILE_NOT_FOUND" in error for error in visit.errors)
    assert visit.ask("document.documentElement.scrollWidth") > 360
    assert not visit.ask("[...document.images].some(one => one.naturalWidth > 0)")
    assert visit.ask(MISPLACED) == ["s: outside is cut", "s: one meets other"]
    assert visit.ask(TINY) == ["tiny"]
