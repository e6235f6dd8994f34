"""The page in a real browser, on a real server, with rendered photos and with groceries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arcwise.recognition import Recogniser
from arcwise.recognition.images import ImageList
from tests.report import chromium
from tests.serving import accessible
from tests.serving.conftest import keyed, running
from tests.serving.page_shop import ANSWER, answer, click, fine, go, opened

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason="no Chromium: apt-get install chromium"
)

HOSTILE = "<img src=x onerror=window.hostile=1>"
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(one => one.value)))
  .observe({ type: "layout-shift", buffered: true });
"""
PROBLEM = "document.getElementById('problem').textContent"


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
