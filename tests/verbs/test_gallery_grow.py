"""A gallery that grows with images, and what a person says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import NewTemplate, open_gallery
from arcwise.recognition import Recogniser
from arcwise.recognition.growing import GROWN, SEEN, TAKEN_APART, UNKNOWN
from arcwise.verbs.enrol import enrol
from arcwise.verbs.gallery_confirm import CONFIRMED, confirm, take_apart
from tests.verbs.conftest import Shop, search_threshold, threshold

DIM = 8


@pytest.fixture
def shop_with_line(stock: Shop, tmp_path: Path) -> tuple[Path, Path]:
    """A gallery of half of the products, and a folder of three views of a stranger and one known.

    The model is strict: only another view of the same photo is the same.
    """
    model, path = tmp_path / "model", tmp_path / "shop.gallery"
    shutil.copytree(stock.model, model)
    add_thresholds(
        model,
        [threshold(0.01, 0.9)],
        search_thresholds=[search_threshold(0.01, 1000, 0.995)],
        measured_on="nothing",
        digests=read_bundle(stock.model).digests["calibrate"],
    )
    enrol(path, stock.catalogue, model=model)
    folder = tmp_path / "camera"
    folder.mkdir()
    content = np.frombuffer(stock.photos.read(7), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR)
    for number, quality in enumerate((95, 90, 98)):
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        (folder / f"{number}.jpg").write_bytes(data.tobytes())
    (folder / "3.jpg").write_bytes(stock.catalogue.read(0))
    (folder / "4.jpg").write_bytes(b"broken")
    return path, folder


def test_images(shop_with_line: tuple[Path, Path], stock: Shop) -> None:
    path, folder = shop_with_line
    files = sorted(folder.iterdir())
    with Recogniser(None, path) as one:
        first = one.grow(files[:1])
        assert [(sighting.identity, sighting.kept) for sighting in first.images] == [(None, True)]
        same = one.grow(files[:1])  # the same file is no second sighting
        assert [(sighting.identity, sighting.kept) for sighting in same.images] == [(None, False)]
        rest = one.grow(files)
        assert (rest.earlier, rest.sightings) == (1, 0)
        assert [sighting.identity for sighting in rest.images] == [
            None, None, "unknown-0001", stock.catalogue.identities[0],
        ]  # fmt: skip
        assert rest.discovered == ("unknown-0001",)
        assert [Path(one.name).name for one in rest.failures] == ["4.jpg"]
        assert one.search(files[:1]).answers[0].decision.identity == "unknown-0001"
        for template in one.gallery.templates("unknown-0001"):
            assert one.gallery.thumbnail(template.template) is not None
            assert template.metadata["image"].endswith(".jpg")
        with pytest.raises(ArcwiseError, match="estimates no quality"):
            one.grow(files, least_quality=0.5)


def test_the_commands(
    shop_with_line: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, folder = map(str, shop_with_line)
    assert main(["gallery", "grow", gallery, folder, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["discovered"] == ["unknown-0001"]
    assert (len(document["images"]), len(document["failures"])) == (4, 1)
    assert main(["gallery", "confirm", gallery, "unknown-0001"]) == 2
    assert main(["gallery", "confirm", gallery, "unknown-0001", "Eve"]) == 0
    assert "unknown-0001 is Eve now (3 templates)" in capsys.readouterr().out
    assert main(["gallery", "confirm", gallery, "Eve", "--undo"]) == 2
    assert "did not grow" in capsys.readouterr().err
    assert main(["gallery", "grow", gallery, folder]) == 0
    assert "4 of enrolled identities" in capsys.readouterr().out


class TestJudged:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        rows = np.eye(DIM, dtype=np.float32)
        with open_gallery(tmp_path / "j", create=True, dim=DIM) as store:
            grown = {GROWN: True, "seen": 2}
            store.enrol([NewTemplate("unknown-0001", row, grown) for row in rows[:2]])
            store.enrol([("Ann", rows[2])])
        return tmp_path / "j"

    def test_confirmed(self, path: Path) -> None:
        with pytest.raises(GalleryError, match="--merge"):
            confirm(path, "unknown-0001", "Ann")
        assert confirm(path, "unknown-0001", "Eve") == 2
        with open_gallery(path) as store:
            assert store.counts() == {"Ann": 1, "Eve": 2}
            assert store.metadata("Eve")[0] == {"seen": 2, CONFIRMED: "unknown-0001"}
        for mistake in ("Ann", "Eve", "nobody"):
            with pytest.raises(GalleryError):
                confirm(path, mistake, "Bob")

    def test_merged(self, path: Path) -> None:
        assert confirm(path, "unknown-0001", "Ann", merge=True) == 2
        with open_gallery(path) as store:
            assert store.counts() == {"Ann": 3}

    def test_taken_apart(self, path: Path) -> None:
        assert take_apart(path, "unknown-0001") == 2
        with open_gallery(path) as store:
            assert store.counts() == {"Ann": 1}
            held = [(one.identity, why) for one, why in store.quarantined()]
            assert held == [(UNKNOWN, TAKEN_APART)] * 2
            assert not TAKEN_APART.startswith(SEEN)
