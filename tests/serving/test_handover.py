"""A model is changed behind a running server: requests wait for the swap, and none is lost."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from arcwise.bundle import add_thresholds
from arcwise.errors import GalleryError
from arcwise.gallery import GalleryAbout, open_gallery, swap
from arcwise.gallery.swapping import promise_to_let_go
from arcwise.recognition import Recogniser
from arcwise.serving import handover
from arcwise.serving.handover import Turnstile
from tests.serving.conftest import DIM, SIDE, running
from tests.verbs.conftest import threshold


class Upgrade(NamedTuple):
    """A gallery of the same images by another model, ready to take the place of the served one."""

    new: Path
    model: Path
    states: tuple[GalleryAbout, GalleryAbout]

    def swap(self, old: Path) -> None:
        swap(old, self.new, old.with_name("kept.gallery"), states=self.states)


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another network that has learnt nothing."""
    import torch

    from arcwise import encoders, runtime
    from arcwise.images import Preparation
    from arcwise.verbs.export import export

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("another") / "model"
    encoder = encoders.create("small", dim=DIM, size=(SIDE, SIDE)).eval()
    runtime.save(folder, encoder, Preparation(height=SIDE, width=SIDE))
    export(folder)
    add_thresholds(folder, [threshold(0.1, 0.9)], measured_on="", digests=())
    return folder


@pytest.fixture
def upgrade(gallery: Path, another: Path, images: list[bytes], tmp_path: Path) -> Upgrade:
    model = tmp_path / "another"
    shutil.copytree(another, model)
    new = tmp_path / "next.gallery"
    with Recogniser(model, new, create=True) as one:
        for row, image in enumerate(images[:10]):
            one.enrol(f"p{row}", [image])
    states = []
    for path in (gallery, new):
        with open_gallery(path, mode="r") as store:
            states.append(store.about())
    return Upgrade(new, model, (states[0], states[1]))


def fingerprint(served) -> str:
    return served.ask("GET", "/v1/galleries/shop").json["fingerprint"]


def test_under_load(served, gallery, upgrade, images):
    before, statuses, found = fingerprint(served), [], []
    end = threading.Event()

    def ask(row: int) -> None:
        while not end.is_set():
            reply = served.send("shop/search", [images[row]])
            statuses.append(reply.status)
            found.append(reply.json["queries"][0]["hits"][0]["identity"] == f"p{row}")

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(6)]
    for one in threads:
        one.start()
    try:
        until = time.monotonic() + 20
        while len(statuses) < 30 and time.monotonic() < until:
            time.sleep(0.01)
        upgrade.swap(gallery)
        swapped_at = len(statuses)
        while len(statuses) < swapped_at + 30 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        end.set()
        for one in threads:
            one.join()
    assert len(statuses) >= swapped_at + 30
    assert (set(statuses), all(found)) == ({200}, True)
    assert fingerprint(served) != before
    with open_gallery(gallery, mode="r") as store:
        assert store.fingerprint == fingerprint(served)
    assert served.send("shop/enrol?identity=new", images[20:21]).status == 200
    assert not list(gallery.parent.glob("*.swap"))


def test_refused_after_a_change(served, gallery, upgrade, images):
    before = fingerprint(served)
    (template,) = served.send("shop/enrol?identity=late", images[20:21]).json["templates"]
    with pytest.raises(GalleryError, match="changed meanwhile"):
        upgrade.swap(gallery)
    assert fingerprint(served) == before
    found = served.send("shop/search", images[20:21]).json["queries"][0]["hits"][0]
    assert (found["identity"], found["template"]) == ("late", template)


def test_both_are_served(gallery, model, upgrade, make, images):
    """Until the swap; then the address of the new one leads to nothing."""
    both = {
        "shop": {"path": str(gallery), "model": model},
        "next": {"path": str(upgrade.new)},
    }
    with running(make(galleries=both)) as served:
        assert served.send("next/search", images[:1]).status == 200
        upgrade.swap(gallery)
        assert served.send("shop/search", images[:1]).status == 200
        assert served.send("next/search", images[:1]).code == "not_ready"
        ready = served.ask("GET", "/ready")
        assert (ready.status, [one["ready"] for one in ready.json["galleries"]]) == (
            503,
            [True, False],
        )
        assert str(gallery.parent) not in ready.body.decode()


def test_opened_as_soon_as_it_can_be(served, gallery, upgrade, images, monkeypatch):
    monkeypatch.setattr(handover, "_AGAIN", 0.2)
    away = upgrade.model.with_name("away")
    upgrade.model.rename(away)
    upgrade.swap(gallery)
    assert served.send("shop/search", images[:1]).code == "not_ready"
    away.rename(upgrade.model)
    until = time.monotonic() + 20
    while served.send("shop/search", images[:1]).status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_killed_swap_stops_nothing(served, gallery, images):
    folder = gallery.with_name(f"{gallery.name}.swap")
    folder.mkdir()
    (folder / ".lock").write_text("1 elsewhere")
    promise_to_let_go(gallery)
    until = time.monotonic() + 20
    while folder.exists():
        assert served.send("shop/search", images[:1]).status == 200
        assert time.monotonic() < until


def test_turnstile():
    turnstile, order = Turnstile(), []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with turnstile.passing():
            inside.set()
            leave.wait(10)
            order.append("first")

    def closing() -> None:
        with turnstile.closed():
            order.append("closed")

    threads = [threading.Thread(target=one) for one in (first, closing)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    leave.set()
    for one in threads:
        one.join(10)
    with turnstile.passing():
        order.append("next")
    assert order == ["first", "closed", "next"]


def test_thresholds_of_a_calibration(make, gallery, another, images, monkeypatch, tmp_path, caplog):
    """Decide in a running server soon; a folder that cannot be read changes nothing."""
    monkeypatch.setattr(handover, "_AGAIN", 0.05)
    folder = tmp_path / "own"
    shutil.copytree(another, folder)
    path = str(gallery.with_name("own.gallery"))
    with running(make(galleries={"shop": {"path": path, "model": folder}})) as served:
        served.send("shop/enrol?identity=a", images[:1])

        def line() -> float:
            found = served.send("shop/search", images[:1]).json["point"]["threshold"]
            return round(found, 6)

        def changed(before: float) -> float:
            until = time.monotonic() + 10
            while line() == before and time.monotonic() < until:
                time.sleep(0.02)
            return line()

        assert line() == 0.9
        add_thresholds(folder, [threshold(0.1, 0.95)], measured_on="again", digests=())
        assert changed(0.9) == 0.95
        calibration = served.ask("GET", "/v1/galleries/shop/calibration").json
        assert calibration["measured_on"] == "again"
        (folder / "model.json").write_text("{}")
        until = time.monotonic() + 10
        while "stay as they were" not in caplog.text and time.monotonic() < until:
            time.sleep(0.02)
        assert line() == 0.95
    assert caplog.text.count("stay as they were") == 1
