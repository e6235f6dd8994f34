"""The page in a real browser, on a real server, with rendered photos and with groceries."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds
from arcwise.evaluation.intervals import FEW
from arcwise.gallery import GalleryCalibration, SecondLook, open_gallery
from arcwise.recognition import Recogniser
from arcwise.recognition.images import ImageList
from arcwise.serving.settings import Settings
from arcwise.synthetic import Renderer
from tests.report import chromium
from tests.serving import accessible
from tests.serving.conftest import Running, keyed, running
from tests.verbs.conftest import search_threshold, threshold

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason="no Chromium: apt-get install chromium"
)

ENROLLED, STRANGERS = 6, 3
HOSTILE = "<img src=x onerror=window.hostile=1>"
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(one => one.value)))
  .observe({ type: "layout-shift", buffered: true });
"""
ANSWER = "document.querySelector('.answer:not(.waiting)')?.textContent.trim()"
PROBLEM = "document.getElementById('problem').textContent"


class Products(NamedTuple):
    """Photos of products as files: those of a shop's, and of others."""

    known: list[Path]
    unknown: list[Path]


class Shop(NamedTuple):
    """A gallery of products, and photos to search with."""

    gallery: Path
    model: Path
    known: Path
    unknown: Path

    def settings(self, **others: object) -> Settings:
        shop = {"path": str(self.gallery), "model": self.model, "thumbnails": True}
        return Settings.model_validate({"port": 0, "galleries": {"shop": shop}, **others})


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.running() as browser:
        yield browser


def written(folder: Path, images: list[np.ndarray]) -> Products:
    paths = [folder / f"{row}.jpg" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    return Products(paths[:ENROLLED], paths[ENROLLED:])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Products:
    renderer = Renderer(seed=0, size=64)
    images = [
        renderer.photo(identity=one, shot=0, domain="shop").image
        for one in range(ENROLLED + STRANGERS)
    ]
    return written(tmp_path_factory.mktemp("rendered"), images)


@pytest.fixture(scope="module")
def groceries(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Products:
    archive = data_dir / "grocery" / "images.zip"
    if not archive.exists():
        pytest.skip("grocery is not in ARCWISE_DATA")
    with zipfile.ZipFile(archive) as images:
        first: dict[str, str] = {}
        for name in images.namelist():
            if name.startswith("train/") and name.endswith(".jpg"):
                first.setdefault(name.rsplit("/", 1)[0], name)
        chosen = list(first.values())[: ENROLLED + STRANGERS]
        read = [np.frombuffer(images.read(one), np.uint8) for one in chosen]
    return written(
        tmp_path_factory.mktemp("grocery"), [cv2.imdecode(one, 1)[..., ::-1] for one in read]
    )


@pytest.fixture(scope="module")
def shop_of(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Products], Shop]:
    def made(products: Products) -> Shop:
        """Enrol the known ones; the threshold lies between a smaller copy of one and strangers."""
        folder = tmp_path_factory.mktemp("shop")
        shutil.copytree(model, folder / "model")
        smaller = cv2.imread(str(products.known[0]))
        query = folder / "query.jpg"
        cv2.imwrite(str(query), cv2.resize(smaller, None, fx=0.9, fy=0.9))
        vectors = runtime.load(folder / "model").embed([*products.known, *products.unknown, query])
        known, unknown = vectors[: len(products.known)], vectors[len(products.known) : -1]
        same, other = float(known[0] @ vectors[-1]), float((unknown @ known.T).max(1).min())
        assert same > other
        line = (same + other) / 2
        add_thresholds(folder / "model", [threshold(0.1, line)], measured_on="x", digests=())
        gallery = folder / "shop.gallery"
        with Recogniser(folder / "model", gallery, create=True) as one:
            for row, path in enumerate(products.known):
                rows = ImageList([path.read_bytes()], names=[path.name])
                one.enrol(f"product {row}", rows)
        farthest = int((unknown @ known.T).max(1).argmin())
        return Shop(gallery, folder / "model", query, products.unknown[farthest])

    return made


@pytest.fixture
def shop(shop_of: Callable[[Products], Shop], rendered: Products) -> Shop:
    return shop_of(rendered)


def opened(
    browser: chromium.Browser, served: Running, view: str = "recognise", **others: object
) -> chromium.Visit:
    width = others.pop("width", 360)
    visit = browser.visit(f"{served.server.url}/#{view}", width, **others)  # type: ignore[arg-type]
    visit.until("document.querySelector('#view h1, #view a')")
    visit.until("!document.querySelector('[aria-busy=true]')")
    return visit


def go(visit: chromium.Visit, view: str) -> None:
    visit.ask(f"document.querySelector('#view').replaceChildren(); location.hash = '#{view}'")
    visit.until("document.querySelector('#view h1, #view a')")
    visit.until("!document.querySelector('[aria-busy=true]')")


def click(visit: chromium.Visit, text: str) -> None:
    every = "[...document.querySelectorAll('main button, main a, #forget')]"
    found = f"{every}.find(one => one.textContent === '{text}')"
    visit.until(f"{found} !== undefined")
    visit.ask(f"{found}.click()")


def answer(visit: chromium.Visit, text: str = "") -> None:
    """Answer the open dialog."""
    visit.until("document.getElementById('ask').open")
    if text:
        visit.ask(f"document.getElementById('ask-input').value = {json.dumps(text)}")
    visit.ask("document.getElementById('ask-yes').click()")
    visit.until("!document.getElementById('ask').open")


def fine(browser: chromium.Browser, visit: chromium.Visit) -> None:
    browser.sort(visit)
    assert (visit.errors, visit.requests) == ([], [])
    assert visit.ask("document.documentElement.scrollWidth") <= visit.ask("innerWidth")


@pytest.mark.parametrize("kind", ["rendered", "groceries"])
def test_known_and_unknown(browser, shop_of, kind, request):
    one = shop_of(request.getfixturevalue(kind))
    with running(one.settings()) as served:
        visit = opened(browser, served, before=SHIFTS)
        visit.choose(".drop input", one.known)
        assert "This one: product 0" in visit.until(ANSWER)
        assert "product 0" in visit.until("document.getElementById('status').textContent")
        images = "[...document.querySelectorAll('.evidence img')].filter(o => o.naturalWidth > 0)"
        visit.until(f"{images}.length === 6")
        asked, closest = visit.ask(f"{images}.slice(0, 2).map(o => o.getBoundingClientRect().top)")
        assert asked == closest
        click(visit, "Why product 0?")
        visit.until("document.querySelector('.map canvas')")
        assert "similarity" in visit.ask("document.querySelector('.map canvas').ariaLabel")
        visit.choose(".drop input", one.unknown)
        visit.until(f"({ANSWER})?.includes('Unknown')")
        fine(browser, visit)
        assert sum(visit.ask("window.shifts")) < 0.1
        log = Path(f"{one.gallery}.audit.jsonl").read_text()
        audit = [json.loads(line) for line in log.splitlines()]
        assert [line["action"] for line in audit] == ["search", "explain", "search"]


def test_enrol_find_correct_remove(browser, shop):
    with running(shop.settings()) as served:
        visit = opened(browser, served, "enrol")
        visit.ask("document.querySelector('.enrol input').value = 'new one'")
        visit.choose(".drop label:nth-child(2) input", shop.unknown, shop.known)
        assert visit.until("document.querySelectorAll('.chosen li').length") == 2
        click(visit, "Leave out")
        visit.choose(".drop label:nth-child(2) input", shop.unknown)
        visit.ask("document.querySelector('.chosen li button').click()")
        visit.until("document.querySelectorAll('.chosen li').length === 1")
        click(visit, "Enrol")
        assert "Enrolled 1 image of new one" in visit.until(ANSWER)
        assert visit.ask("document.querySelector('.enrol input').value") == ""
        go(visit, "recognise")
        visit.choose(".drop input", shop.unknown)
        assert "This one: new one" in visit.until(ANSWER)
        click(visit, "Enrol this image")
        visit.until("document.querySelector('.enrol input')?.value === 'new one'")

        go(visit, "enrolled/new%20one")
        visit.until("document.querySelector('.templates img')?.naturalWidth")
        click(visit, "Rename")
        answer(visit, "newer/one")
        visit.until("document.querySelector('#view h1')?.textContent === 'newer/one'")
        click(visit, "Rename")
        visit.ask("document.getElementById('ask-input').value = 'product 5'")
        visit.ask("document.getElementById('ask-yes').click()")
        visit.until("document.getElementById('ask-text').textContent.includes('one?')")
        visit.until("document.getElementById('ask').open")
        question = visit.ask("document.getElementById('ask-text').textContent")
        assert question == "newer/one (1 image) and product 5 (1 image) become one?"
        visit.ask("document.getElementById('ask-no').click()")
        visit.until("!document.querySelector('#ask[open], [aria-busy=true]')")
        click(visit, "Quarantine")
        answer(visit, "blurred")
        visit.until("document.querySelector('.templates')?.textContent.includes('blurred')")
        click(visit, "Release")
        visit.until("!document.querySelector('.templates li')")
        go(visit, "enrolled/newer%2Fone")
        click(visit, "Move")
        answer(visit, "product 5")
        visit.until("location.hash === '#enrolled'")
        go(visit, "enrolled/product%205")
        visit.until("document.querySelectorAll('.templates li').length === 2")
        visit.ask("[...document.querySelectorAll('.templates .danger')].at(-1).click()")
        answer(visit)
        visit.until("document.querySelectorAll('.templates li').length === 1")
        click(visit, "Remove")
        answer(visit)
        visit.until("location.hash === '#enrolled' && document.querySelector('.identities li')")
        names = visit.ask("[...document.querySelectorAll('.identities a')].map(o => o.textContent)")
        assert names == [f"product {row}" for row in range(5)]


def test_keys_and_roles(browser, shop):
    keys, settings = keyed(reader=("read", ["shop"]), boss=("admin", ["*"]))
    with running(shop.settings(keys=settings)) as served:
        visit = browser.visit(f"{served.server.url}/#enrol", 360)
        visit.until("document.getElementById('key-form').checkVisibility()")
        assert accessible.faults(visit) == []

        def give(key: str) -> None:
            visit.ask(f"document.getElementById('key').value = '{key}'")
            click(visit, "Open")

        give("wrong")
        visit.until(f"{PROBLEM}.includes('does not know this key')")
        assert visit.ask("sessionStorage.length + localStorage.length") == 0
        give(keys["reader"])
        visit.until("document.querySelector('.enrol')?.textContent.includes('role enrol')")
        tab = "document.querySelector('nav a[href=\"#enrol\"]').checkVisibility()"
        assert not visit.ask(tab)
        go(visit, "enrolled/product%201")
        visit.until("document.querySelector('.templates img')?.naturalWidth")
        assert not visit.ask("document.querySelectorAll('#view button').length")
        assert visit.ask("localStorage.length") == 0
        click(visit, "Forget the key")
        visit.until("document.getElementById('key-form').checkVisibility()")
        assert not visit.ask("sessionStorage.length")
        give(keys["boss"])
        visit.until("document.querySelector('.templates .danger')")
        assert visit.ask(tab)


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


def test_what_goes_wrong(browser, shop, tmp_path):
    """A file that is no image, one that is gone, an address of nothing, and a server that ended."""
    text = tmp_path / "<b>notes.txt"
    text.write_text("no image")
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        visit.choose(".drop input", text)
        visit.until(f"{PROBLEM}.includes('notes')")
        assert visit.ask("document.querySelector('.result').childElementCount") == 0
        go(visit, "enrolled/nobody")
        visit.until(f"{PROBLEM}.includes('not enrolled')")
        go(visit, "enrolled/%E0%A4%A")
        visit.until(f"{PROBLEM}.includes('not enrolled')")
        go(visit, "recognise")
    visit.choose(".drop input", shop.known)
    visit.until(f"{PROBLEM}.includes('does not answer')")
    assert not visit.ask("document.querySelector('[aria-busy=true]')")


def test_names_and_metadata_are_text(browser, shop):
    with Recogniser(shop.model, shop.gallery) as one:
        rows = ImageList([shop.unknown.read_bytes()], names=[HOSTILE])
        one.enrol(HOSTILE, rows, metadata={HOSTILE: HOSTILE, "page": "javascript:alert(1)"})
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        visit.choose(".drop input", shop.unknown)
        assert HOSTILE in visit.until(ANSWER)
        go(visit, "enrolled")
        visit.until(f"document.querySelector('.identities')?.textContent.includes('{HOSTILE}')")
        visit.ask(f"[...document.querySelectorAll('a')].find(o => o.text === '{HOSTILE}').click()")
        visit.until(f"document.querySelector('#view h1')?.textContent === '{HOSTILE}'")
        assert visit.ask("document.querySelector('dl').textContent").count(HOSTILE) == 3
        assert not visit.ask("window.hostile || document.querySelectorAll('[onerror]').length")
        assert visit.ask("document.querySelectorAll('a[href^=javascript]').length") == 0
        refused = "try { document.body.innerHTML = '<b>x</b>'; 0 } catch { 1 }"
        assert visit.ask(refused) == 1  # the policy would not have it either


@pytest.mark.parametrize("dark", [False, True])
def test_for_everybody(browser, shop, dark):
    with running(shop.settings()) as served:
        visit = opened(browser, served, dark=dark)
        visit.choose(".drop input", shop.known)
        visit.until(ANSWER)
        problems = {"recognise": accessible.faults(visit)}
        reached, unseen = accessible.tabbed(visit)
        assert (len(reached) >= 12, unseen) == (True, [])
        for view in ("enrol", "enrolled", "enrolled/product%201", "compare", "rates"):
            go(visit, view)
            problems[view] = accessible.faults(visit)
        assert {view: found for view, found in problems.items() if found} == {}
        for width in (360, 768, 1200):
            visit.call("Emulation.setDeviceMetricsOverride", width=width, height=800,
                       deviceScaleFactor=1, mobile=False)  # fmt: skip
            assert visit.ask("document.documentElement.scrollWidth") <= width


def test_the_keyboard_alone(browser, shop):
    with running(shop.settings()) as served:
        visit = opened(browser, served)
        for _ in range(10):
            visit.press("Tab", 9)
            if visit.ask("document.activeElement.textContent") == "Enrolled":
                break
        visit.press("Enter", 13, "\r")
        visit.until("document.querySelector('.identities li')")
        visit.until("document.activeElement.id === 'main'")


def test_keys_in_dialogs(browser, shop):
    """Enter in a text does what the dialog is for; it removes nothing, and Escape does nothing."""
    enter, escape = ("Enter", 13, "\r"), ("Escape", 27)
    steps = [
        ("Rename", "x", escape, "product 1"),
        ("Remove", "", enter, "product 1"),
        ("Rename", "x", enter, "product 1x"),
        ("Quarantine", "why", enter, None),
    ]
    with running(shop.settings()) as served:
        visit = opened(browser, served, "enrolled/product%201")
        for action, letters, key, left in steps:
            click(visit, action)
            visit.until("document.getElementById('ask').open")
            visit.press("End", 35)
            for one in letters:
                visit.press(one, ord(one.upper()), one)
            visit.press(*key)
            visit.until("!document.getElementById('ask').open")
            visit.until("!document.querySelector('[aria-busy=true]')")
            if left:
                visit.until(f"document.querySelector('#view h1')?.textContent === '{left}'")
        visit.until("location.hash === '#enrolled'")
        every = served.ask("GET", "/v1/galleries/shop/quarantine").json["templates"]
        assert [one["reason"] for one in every] == ["why"]


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


def test_files_and_policy(shop):
    with running(shop.settings()) as served:
        reply = served.ask("GET", "/")
        assert "script-src 'self'" in (policy := reply.headers["content-security-policy"])
        assert "unsafe" not in policy
        text = reply.body.decode()
        assert "<script>" not in text
        assert " style=" not in text
        assert "//" not in text.replace("<!DOCTYPE", "")
        for name in ("page.js", "page.css", "icon.svg"):
            assert served.ask("GET", f"/page/{name}").status == 200
        for name in ("index.html", "..%2Fapp.py", "../app.py", "none.js"):
            assert served.ask("GET", f"/page/{name}").status == 404


def test_a_page_with_faults_is_found_out(browser, tmp_path):
    page = tmp_path / "faulty.html"
    page.write_text(
        "<!DOCTYPE html><body style='background: #fff'><h1>a</h1><h1>b</h1>"
        "<p style='color: #aaa'>faint</p><button style='width: 9px; outline: none'></button>"
    )
    visit = browser.visit(page, 360)
    found = " ".join(accessible.faults(visit))
    for one in ("no name: button", "no main", "faint, 2.32: faint", "small: <button", "h1", "lang"):
        assert one in found
    assert len(accessible.tabbed(visit)[1]) == 1
