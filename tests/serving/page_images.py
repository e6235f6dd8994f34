"""Take the images of the page for the documentation, in a real browser (Debian's chromium).

    python -m tests.serving.page_images MODEL SETS/grocery

MODEL is a model with its ONNX network, trained on tune_train.csv of SETS/grocery, which
`python studies/prepare.py grocery SETS/grocery` makes. Nine products of test.csv are enrolled, five
images each; others of theirs and those of tune.csv, which are not enrolled, calibrate the gallery.
Writes docs/images/page_phone.jpg and docs/images/page_wide.jpg.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.recognition import Recogniser
from arcwise.serving.running import Server
from arcwise.serving.settings import Settings
from arcwise.verbs.calibrate_gallery import calibrate_gallery
from arcwise.verbs.enrol import enrol
from tests.report import chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"
IDENTITIES, ENROLLED, TO_CALIBRATE = 9, 5, 30
ANSWER = "document.querySelector('h2.answer')?.textContent"
LOADED = """document.querySelectorAll('.evidence img').length === 6
    && [...document.images].every(one => one.complete && one.naturalWidth > 0)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("sets", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "groceries.gallery"
        photos = made_gallery(gallery, options.model, options.sets)
        shop = {"path": str(gallery), "model": options.model}
        server = Server(Settings.model_validate({"port": 0, "galleries": {"groceries": shop}}))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            take(server.url, photos, Path(folder))
        finally:
            server.stop()
            thread.join()


def made_gallery(gallery: Path, model: Path, sets: Path) -> dict[str, Path]:
    """Return a photo that is found, a doubtful one and an unknown one, of a calibrated gallery."""
    test, strangers = open_manifest(sets / "test.csv"), open_manifest(sets / "tune.csv")
    shop = test.select(np.flatnonzero(np.array(test.column("domain")) == "shop"))
    of_known = np.flatnonzero(shop.labels < IDENTITIES)
    labels = shop.labels[of_known]
    place = np.array([(labels[:row] == label).sum() for row, label in enumerate(labels)])
    enrol(gallery, shop.select(of_known[place < ENROLLED]), model=model)
    used = ENROLLED + TO_CALIBRATE
    mated = shop.select(of_known[(place >= ENROLLED) & (place < used)])
    with (gallery.parent / "labelled.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "identity"])
        for part in (mated, strangers):
            rows = zip(map(part.image, range(len(part))), part.identities, strict=True)
            table.writerows(rows)
    calibrate_gallery(
        gallery, gallery.parent / "labelled.csv", model=model, fpirs=(0.1, 0.05, 0.02, 0.01)
    )
    others = np.concatenate([of_known[place >= used], np.flatnonzero(shop.labels >= IDENTITIES)])
    queries = shop.select(others)
    with Recogniser(model, gallery, mode="r") as recogniser:
        found = recogniser.search(queries)
    assert found.point is not None
    basis, chosen = found.point.basis, {}
    for row, answer in enumerate(found.answers):
        decision = answer.decision
        assert decision is not None
        assert decision.similarity is not None
        near = basis.low <= decision.similarity <= basis.high
        right = decision.identity == queries.identities[row]
        stranger = queries.identities[row] not in set(mated.identities)
        kind = "near" if near and right else "known" if right else "unknown" if stranger else ""
        if kind and kind not in chosen and not (near and kind != "near"):
            path = gallery.with_name(f"{kind}.jpg")
            path.write_bytes(queries.read(row))
            chosen[kind] = path
    return chosen


def take(url: str, photos: dict[str, Path], folder: Path) -> None:
    phones = []
    with chromium.running() as browser:
        for kind in ("known", "near", "unknown"):
            visit = browser.visit(url, 360, dark=kind == "unknown", height=900)
            phones.append(asked(visit, photos[kind], folder))
        visit.ask("location.hash = '#rates'")
        visit.until("document.querySelector('table')")
        phones.append(shot(visit, folder))
        wide = browser.visit(url, 1200, height=900)
        asked(wide, photos["known"], folder)
        wide.ask("[...document.querySelectorAll('.result button')][0].click()")
        wide.until("document.querySelector('.map canvas')")
        cv2.imwrite(str(IMAGES / "page_wide.jpg"), shot(wide, folder))
    height = min(900, max(len(one) for one in phones))
    edge = np.full((height, 16, 3), 128, np.uint8)
    row = [part for one in phones for part in (padded(one, height), edge)][:-1]
    cv2.imwrite(str(IMAGES / "page_phone.jpg"), np.hstack(row))


def asked(visit: chromium.Visit, photo: Path, folder: Path) -> np.ndarray:
    visit.until("document.querySelector('.recognise select')")
    visit.choose(".drop input", photo)
    print(visit.until(ANSWER))
    visit.until(LOADED)
    return shot(visit, folder)


def shot(visit: chromium.Visit, folder: Path) -> np.ndarray:
    time.sleep(0.3)
    visit.screenshot(folder / "shot.png")
    image = cv2.imread(str(folder / "shot.png"))
    assert image is not None
    return image


def padded(image: np.ndarray, height: int) -> np.ndarray:
    image = image[:height]
    below = max(0, height - len(image))
    colour = image[-1, 0].tolist()
    return cv2.copyMakeBorder(image, 0, below, 0, 0, cv2.BORDER_CONSTANT, value=colour)


if __name__ == "__main__":
    main()
