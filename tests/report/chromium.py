"""A page in a real browser: Debian's Chromium, spoken to over a pipe (DevTools protocol)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)
PATIENCE = 60.0  # seconds for one answer


def executable() -> str | None:
    """Return the path of a browser, if there is one, and what starts it."""
    if not shutil.which("bash"):
        return None
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Visit:
    """What happened while a page was open.

    Attributes:
        errors: what the console would show as errors, and exceptions.
        requests: requested addresses, but the page's own and those that hold their own data; of a
            page on a server, those of other servers.
    """

    browser: Browser
    session: str
    address: str = ""
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        """Return what a JavaScript expression says in the page, or what its promise brings."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the protocol."""
        return self.browser.call(method, self.session, **parameters)

    def until(self, script: str, seconds: float = 20.0) -> Any:
        """Return what an expression says as soon as that is true."""
        end = time.monotonic() + seconds
        while (said := self.ask(script)) in (None, False, "", 0):  # an element is {}
            assert time.monotonic() < end, f"not within {seconds:g} s: {script}"
            time.sleep(0.02)
        return said

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an input, as a person does."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(one) for one in files])

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, path: Path) -> None:
        """Write the page as it prints on A4."""
        pdf = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(pdf["data"]))


class Browser:
    """A running Chromium. Commands are numbered; what it tells unasked is kept."""

    def __init__(self, program: str, profile: str) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # The protocol speaks over descriptors 3 and 4, which bash puts in their places.
        line = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._number = 0
        self._pending = b""
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, AssertionError):
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self.next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def next(self) -> dict[str, Any]:
        """Return the next message."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE:.0f} s"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser ended"
            self._pending += data
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def visit(
        self,
        page: Path | str,
        width: int,
        *,
        dark: bool = False,
        media: str = "",
        height: int = 800,
        before: str = "",
    ) -> Visit:
        """Return a page that has loaded in a window so many pixels wide.

        Args:
            page: a file, or an address.
            width: of the window.
            dark: whether the reader likes it dark.
            media: "print", or nothing for a screen.
            height: of the window.
            before: JavaScript that runs before the page's own.
        """
        url = page.as_uri() if isinstance(page, Path) else page
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        visit = Visit(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            visit.call(f"{domain}.enable")
        visit.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        visit.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        if before:
            visit.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.events.clear()
        visit.call("Page.navigate", url=url)
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self.next())
        visit.ask("document.fonts.ready.then(() => 1) && 1")
        visit.address = url
        self.sort(visit)
        return visit

    def sort(self, visit: Visit) -> None:
        """Sort the events of the browser by their kind."""
        own = visit.address if visit.address.startswith("file:") else _origin(visit.address)
        events, self.events = self.events, []
        for one in events:
            about, method = one.get("params", {}), one.get("method")
            if method == "Runtime.exceptionThrown":
                visit.errors.append(about["exceptionDetails"]["text"])
            elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
                visit.errors.append(str(about["args"]))
            elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
                visit.errors.append(about["entry"]["text"])
            elif method == "Network.requestWillBeSent":
                url = about["request"]["url"]
                inside = url == own if own.startswith("file:") else _origin(url) == own
                if not inside and not url.startswith(("data:", "blob:")):
                    visit.requests.append(url)


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser for as long as the block lasts."""
    program = executable()
    assert program
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            yield browser
        finally:
            browser.close()
