"""A shop of a few products as the page has it, and what a visitor of the page does."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds
from arcwise.recognition import Recogniser
from arcwise.recognition.images import ImageList
from arcwise.serving.settings import Settings
from arcwise.synthetic import Renderer
from tests.report import chromium
from tests.verbs.conftest import threshold

if TYPE_CHECKING:
    from tests.serving.conftest import Running

ENROLLED, STRANGERS = 6, 3
ANSWER = "document.querySelector('.answer:not(.waiting)')?.textContent.trim()"


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
