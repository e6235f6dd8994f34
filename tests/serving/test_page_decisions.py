"""What the page says of decisions and rates, in a real browser on a real server."""

from __future__ import annotations

import json

import pytest

from arcwise.bundle import add_thresholds
from arcwise.evaluation.intervals import FEW
from arcwise.gallery import GalleryCalibration, SecondLook, open_gallery
from arcwise.recognition import Recogniser
from arcwise.recognition.images import ImageList
from tests.report import chromium
from tests.serving.conftest import running
from tests.serving.page_shop import ANSWER, ENROLLED, fine, go, opened
from tests.verbs.conftest import search_threshold, threshold

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason="no Chromium: apt-get install chromium"
)


def test_compare_and_rates(browser, shop):
    with running(shop.settings()) as served:
        visit = opened(browser, served, "compare")
        for side, photo in ((1, shop.known), (2, shop.known)):
            visit.choose(f".side:nth-child({side}) input", photo)
        assert "Doubtful" in visit.until(ANSWER)  # no strict rate was measured
        visit.choose(".side:nth-child(2) input", shop.unknown)
        visit.until(f"({ANSWER})?.includes('Not the same')")
        go(visit, "rates")
        visit.until("document.querySelector('.lead')?.textContent.includes('similarity')")
        fine(browser, visit)


def test_verdicts(browser, shop):
    def said(identity, value, margin, low=0.55, high=0.65, **point):
        basis = {"threshold": 0.6, "low": low, "high": high, "identities": 50}
        hits = [{"identity": "a", "similarity": value}, {"identity": "b", "similarity": 0.5}]
        decision = {"identity": identity, "similarity": value, "margin": margin, "threshold": 0.6}
        return {
            "queries": [{"decision": decision, "hits": hits}],
            "point": {"basis": basis, **point},
            "size": {"identities": 9, "templates": 9},
        }

    def above_next(identity, value, margin, **point):
        answer = said(identity, 0.9, margin, neighbours=10, **point)
        answer["queries"][0]["decision"] |= {"above_next": value, "neighbours": 10}
        return answer

    cases = {
        "this": said("a", 0.8, 0.3),
        "this, second look": above_next("a", 0.8, 0.3),
        "unknown, second look": above_next(None, 0.4, 0.1),
        "doubtful, second look near": above_next("a", 0.62, 0.1),
        "doubtful, second look two": above_next("a", 0.8, 0.1),
        "unknown": said(None, 0.4, 0.1),
        "doubtful, near": said("a", 0.62, 0.1),
        "doubtful, near from below": said(None, 0.58, 0.1),
        "doubtful, two": said("a", 0.8, 0.1),
        "unknown, just below a second": said(None, 0.5, 0.0),
        "this, threshold not bracketed": said("a", 0.62, 0.1, -1, 1),
        "undecided": {**said("a", 0.8, 0.3), "point": None},
    }
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        words = (
            "import('/page/words.js').then(words => ARGUMENTS.map(one => words.NAME(one)ENDING))"
        )

        def map_over(name: str, arguments: list[object], ending: str = "") -> list[object]:
            script = words.replace("NAME", name).replace("ENDING", ending)
            return visit.ask(script.replace("ARGUMENTS", json.dumps(arguments)))

        kinds = map_over("verdict", list(cases.values()), ".kind")
        assert kinds == [name.partition(",")[0] for name in cases]
        points = [
            {"fpir": fpir, "basis": {"identities": people, **single}}
            for fpir in (0.01, 0.5)
            for people in (FEW - 1, FEW)
            for single in ({"far": 0.1}, {})
        ]
        assert map_over("promises", points) == [False, True, True, True, *[False] * 4]
        counts = {0.1: "10 of 100", 0.01: "1 of 100", 0.004: "4 of 1,000", 0.365: "37 of 100"}
        counts |= {0.001: "1 of 1,000", 0: "none"}
        assert map_over("count", list(counts)) == list(counts.values())


def test_rates_are_those_that_decide(browser, shop):
    """In a gallery of two templates an identity: table, curve and choice say what searches do."""
    with Recogniser(shop.model, shop.gallery) as one:
        for row in range(ENROLLED):
            again = ImageList([shop.unknown.read_bytes() + bytes(row + 1)], names=["again"])
            one.enrol(f"product {row}", again)
    searches = [
        search_threshold(fpir, size, 0.99 - fpir + 0.001 * size / ENROLLED * each, templates=each)
        for size in (ENROLLED - 1, ENROLLED, 10 * ENROLLED)
        for each in (1, 2)
        for fpir in (0.1, 0.05, 0.01)
    ]
    pairs = [threshold(0.1, 0.9), threshold(0.001, 0.999)]
    add_thresholds(shop.model, pairs, measured_on="x", digests=(), search_thresholds=searches)
    with running(shop.settings()) as served:
        calibration = "/v1/galleries/shop/calibration"
        rates = (0.1, 0.05, 0.01)
        said = [served.ask("GET", f"{calibration}?fpir={rate}").json for rate in rates]
        every = said[0]["points"]
        deciding = [served.ask("GET", f"{calibration}?fpir={one['fpir']}").json for one in every]
        assert [one["point"] for one in deciding] == every
        visit = opened(browser, served, "rates", width=390, height=844)
        rows = "[...document.querySelectorAll('tbody tr')].map(one => one.innerText)"
        used = "document.querySelector('tr[aria-current]')?.innerText"
        assert "in use" in visit.until(used)
        table = " ".join(visit.ask(rows))
        for one in said:
            assert (one["point"]["dir"] is not None, one["point"]["exact"]) == (True, True)
            assert f"{one['point']['threshold']:.3f}" in table
        options = "[...document.querySelectorAll('select')].at(-1).options"
        offered = visit.ask(f"[...{options}].map(one => one.text)")
        shares = [text.split(" (")[0].removeprefix("about ") for text in offered]
        assert shares[:3] == ["10 of 100", "5 of 100", "1 of 100"]
        assert visit.ask("document.querySelectorAll('circle.found').length") >= 3
        region = "document.querySelector('.scroll')"
        assert visit.ask(f"{region}.scrollWidth - {region}.clientWidth") == 0
        for row, one in enumerate(said):
            visit.ask(f"{options}[{row}].selected = true")
            chooser = "[...document.querySelectorAll('select')].at(-1)"
            visit.ask(f"{chooser}.dispatchEvent(new Event('change'))")
            visit.until(f"({used})?.startsWith('{one['point']['threshold']:.3f}')")
        fine(browser, visit)


def test_calibrated_meanwhile(browser, shop):
    """Without thresholds the page says what to do, and takes them up when they are there."""
    add_thresholds(shop.model, [], measured_on="x", digests=())
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        visit.choose(".drop input", shop.known)
        visit.until(ANSWER)
        assert "arcwise calibrate" in visit.ask("document.querySelector('.result').textContent")
        assert not visit.ask("document.querySelectorAll('main select').length")
        go(visit, "rates")
        assert "arcwise calibrate" in visit.ask("document.querySelector('.view').textContent")
        with open_gallery(shop.gallery) as store:
            measured = (search_threshold(0.05, ENROLLED, 0.7),), "strangers", store.size().newest
            store.keep_calibration(GalleryCalibration(ENROLLED, ENROLLED, *measured))
        go(visit, "recognise")
        assert "5 of 100" in visit.ask(
            "[...document.querySelectorAll('select')].at(-1).textContent"
        )


def test_two_compared(browser, shop):
    """The same only by a strict test; what passes a lax one alone is doubtful."""
    tests = {0.1: (0.5, 1.0), 0.01: (0.7, 0.9), 0.001: (0.8, 0.7), 1e-4: (0.9, 0.2)}
    measured = [{"far": far, "threshold": at, "tar": tar} for far, (at, tar) in tests.items()]
    cases = [(0.4, "unknown"), (0.6, "doubtful"), (0.75, "doubtful"), (0.85, "this"), (1, "this")]
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        script = (
            "import('/page/compare.js').then(own => VALUES.map(one => own.judged(MEASURED, one)))"
        )

        def judged(thresholds: list[dict[str, float]]) -> list[dict[str, str]]:
            filled = script.replace("VALUES", json.dumps([value for value, _ in cases]))
            return visit.ask(filled.replace("MEASURED", json.dumps(thresholds)))

        said = judged(measured)
        assert [one["kind"] for one in said] == [kind for _, kind in cases]
        assert ("10 of 100" in said[1]["why"], "1 of 100" in said[1]["why"]) == (True, True)
        assert [one["kind"] for one in judged(measured[:1])][2:] == ["doubtful"] * 3
        assert {one["kind"] for one in judged([])} == {"undecided"}


def test_a_second_look_in_words(browser, shop):
    """What was compared with the threshold is said, and that the gallery has changed since."""
    with open_gallery(shop.gallery) as store:
        plain = search_threshold(0.05, ENROLLED, 0.999)
        second = [search_threshold(0.1, ENROLLED, -1.0), search_threshold(0.05, ENROLLED, -0.5)]
        look = SecondLook(2, tuple(second))
        measured = ENROLLED, ENROLLED, (plain,), "strangers", store.size().newest, look
        store.keep_calibration(GalleryCalibration(*measured))
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        visit.choose(".drop input", shop.known)
        visit.until(ANSWER)
        with Recogniser(shop.model, shop.gallery) as one:
            decision = one.search([shop.known]).answers[0].decision
        said = visit.ask("document.querySelector('.result').textContent").replace("\u2212", "-")
        lead = f"{decision.similarity:.3f}, which is {decision.above_next:.3f} above the mean"
        assert f"{lead} of the next 2, threshold -0.500" in said
        go(visit, "rates")
        visit.until("document.querySelector('.lead')?.textContent.includes('mean of the next 2')")
        assert "mean of the next 2" in visit.ask("document.querySelector('.curve').textContent")
        with open_gallery(shop.gallery) as store:
            store.remove("product 5")
        go(visit, "recognise")
        visit.choose(".drop input", shop.known)
        visit.until("document.querySelector('.result').textContent.includes('second look')")
        assert "mean of the next" not in visit.ask("document.querySelector('.result').textContent")
        fine(browser, visit)
