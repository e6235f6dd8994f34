"""What a gallery holds, also where its model is missing, another, or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, open_gallery
from arcwise.verbs.gallery_info import gallery_info
from tests.verbs.conftest import Shop, search_threshold


def test_counts(shop: Shop) -> None:
    vectors = np.eye(32, dtype=np.float32)
    with open_gallery(shop.gallery) as gallery:
        gallery.enrol([("new", vectors[row]) for row in range(4)] + [("newer", vectors[4])])
        assert gallery.counts()["new"] == 4
        gallery.remove("newer")
    info = gallery_info(shop.gallery, check=True)
    assert (info.identities, info.templates, info.dim) == (7, 10, 32)
    assert info.templates_an_identity == (1, 1, 4)
    assert (info.model.path, info.model.state) == (str(shop.model), "sound")
    resolved = [one for one in read_bundle(shop.model).thresholds if one.resolved]
    assert [point.basis for point in info.points] == resolved
    assert info.usual in info.points
    assert info.bytes >= shop.gallery.stat().st_size
    assert info.checked


def test_empty(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with open_gallery(shop.gallery) as gallery:
        for identity in gallery.identities():
            gallery.remove(identity)
    info = gallery_info(shop.gallery)
    assert (info.identities, info.templates, info.templates_an_identity) == (0, 0, None)
    assert main(["gallery", "info", str(shop.gallery)]) == 0
    assert "empty" in capsys.readouterr().out.splitlines()[0]


class TestModel:
    def state(self, shop: Shop, model: Path | None = None) -> str:
        info = gallery_info(shop.gallery, model=model)
        assert info.identities == 6
        assert info.model.state == "sound" or info.points == ()
        return info.model.state

    def test_moved(self, shop: Shop) -> None:
        moved = shop.model.with_name("elsewhere")
        shutil.move(shop.model, moved)
        assert self.state(shop) == "missing"
        assert self.state(shop, moved) == "sound"

    def test_another(self, shop: Shop, retrained: Path) -> None:
        assert self.state(shop, retrained) == "another"

    def test_damaged(self, shop: Shop) -> None:
        (shop.model / "model.json").write_text("[1, 2")
        assert self.state(shop) == "damaged"

    def test_a_file(self, shop: Shop) -> None:
        assert self.state(shop, shop.gallery) == "damaged"
        assert self.state(shop, shop.model / "encoder.onnx") == "unchecked"

    def test_none(self, shop: Shop, tmp_path: Path) -> None:
        path = tmp_path / "bare.gallery"
        open_gallery(path, create=True, dim=32).close()
        assert gallery_info(path).model.state == "none"
        assert gallery_info(path, model=shop.model).model.state == "sound"
        other = tmp_path / "other.gallery"
        open_gallery(other, create=True, dim=7).close()
        assert gallery_info(other, model=shop.model).model.state == "another"


def test_not_a_gallery(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing")
    for path in (tmp_path / "none", tmp_path / "text", tmp_path):
        with pytest.raises(GalleryError):
            gallery_info(path)


def test_damage_is_found(shop: Shop) -> None:
    data = bytearray(shop.gallery.read_bytes())
    place = data.index(shop.catalogue.identities[0].encode())
    data[place] ^= 1
    shop.gallery.write_bytes(data)
    with pytest.raises(DamagedGallery):
        gallery_info(shop.gallery, check=True)


def test_printed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "info", str(shop.gallery), "--check"]) == 0
    out = capsys.readouterr().out
    assert "6 templates of 6 identities" in out
    assert "1 to 1, median 1" in out
    assert "sound" in out
    assert "similarity >= 0.9999, 0.006 (at most)" in out
    add_thresholds(shop.model, [], measured_on="", digests=())
    assert main(["gallery", "info", str(shop.gallery)]) == 0
    assert f"arcwise calibrate {shop.model} DATA" in capsys.readouterr().out


def test_json(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "info", str(shop.gallery), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["templates_an_identity"] == {"min": 1, "median": 1, "max": 1}
    assert found["model"]["state"] == "sound"
    assert [one["basis"]["far"] for one in found["points"]] == [0.1, 0.001]


def test_what_decides_is_among_the_rates(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where its rate is none of the usual ones."""
    add_thresholds(
        shop.model,
        [],
        search_thresholds=[search_threshold(0.05, 6, 0.7), search_threshold(0.03, 6, 0.8)],
        measured_on="",
        digests=(),
    )
    assert main(["gallery", "info", str(shop.gallery)]) == 0
    listed = capsys.readouterr().out.split("thresholds that hold")[1]
    rates = [line.split() for line in listed.splitlines()[1:]]
    assert ["0.03", "similarity", ">=", "0.8000,"] in [one[:4] for one in rates]
