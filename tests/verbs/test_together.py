"""Several images are one template or one query, by their quality, and promise no rate."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from arcwise import encoders, runtime, sets
from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery
from arcwise.images import Preparation
from arcwise.recognition.together import TOGETHER
from arcwise.verbs.data_check import check
from arcwise.verbs.enrol import enrol
from arcwise.verbs.gallery_info import gallery_info
from arcwise.verbs.gallery_upgrade import upgrade_gallery
from arcwise.verbs.search import search
from arcwise.verbs.verify import verify
from tests import pictures
from tests.verbs.conftest import Shop, threshold

SIDE = 32


def quality_model(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    encoder = encoders.create("small", dim=16, size=(SIDE, SIDE), arguments={"quality": True})
    torch.nn.init.normal_(encoder.quality.score.weight, std=2.0)
    runtime.save(folder, encoder.eval(), Preparation(height=SIDE, width=SIDE))
    add_thresholds(folder, [threshold(0.1, 0.2)], measured_on="", digests=())
    return folder


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Path:
    return quality_model(tmp_path_factory.mktemp("model") / "model", 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Manifest:
    return pictures.write(tmp_path_factory.mktemp("pictures"), identities=4, each=3, side=SIDE)


@pytest.fixture
def together(judge: Path, images: Manifest, tmp_path: Path) -> Path:
    enrol(tmp_path / "g", images, model=judge, together=True)
    return tmp_path / "g"


def files(images: Manifest, identity: int) -> list[str]:
    rows = np.flatnonzero(images.labels == identity)
    return [str(images.root / images.image(row)) for row in rows]


def test_each_template_has_its_quality(judge, images, tmp_path):
    result = enrol(tmp_path / "g", images, model=judge)
    expected = runtime.embed_manifest(runtime.load(judge), images).quality
    with open_gallery(tmp_path / "g", mode="r") as gallery:
        np.testing.assert_allclose([one.quality for one in gallery.templates()], expected)
    assert (result.templates, result.images, result.weighting) == (12, 12, "")


def test_one_template_of_all_images(judge, images, together):
    embedded = runtime.embed_manifest(runtime.load(judge), images)
    expected = sets.quality_weighted(embedded.vectors, embedded.quality, images.identities)
    with open_gallery(together, mode="r") as gallery:
        templates = gallery.templates()
        assert [one.identity for one in templates] == list(expected.ids)
        for name, vector in zip(expected.ids, expected.vectors, strict=True):
            assert gallery.verify(name, vector).similarity == pytest.approx(1, abs=1e-6)
    for number, one in enumerate(templates):
        own = images.labels == number
        assert one.quality == pytest.approx(embedded.quality[own].mean())
        assert [image["image"] for image in one.metadata[TOGETHER]] == [
            images.image(row) for row in np.flatnonzero(own)
        ]
        best = np.flatnonzero(own)[embedded.quality[own].argmax()]
        assert one.metadata["image"] == images.image(best)


def test_enrolled_images_are_known_again(judge, images, together):
    again = enrol(together, images, again=True)
    assert (again.repeated, again.total) == (12, 4 + 12)


def test_low_quality_is_refused(judge, images, tmp_path):
    quality = runtime.embed_manifest(runtime.load(judge), images).quality
    least = float(np.sort(quality)[5])
    result = enrol(tmp_path / "g", images, model=judge, least_quality=least)
    assert result.templates == 7
    assert [one.quality for one in result.refused] == sorted(quality[quality < least].tolist())
    with_images = {images.identities[row] for row in np.flatnonzero(quality >= least)}
    assert set(result.left_out) == set(images.classes) - with_images
    with pytest.raises(ArcwiseError, match="the best has"):
        enrol(tmp_path / "h", images, model=judge, least_quality=1.5)
    with pytest.raises(ArcwiseError, match="-1"):
        enrol(tmp_path / "h", images, model=judge, least_quality=-1)
    assert not (tmp_path / "h").exists()


def test_a_model_without_quality_refuses_nothing(stock: Shop, tmp_path):
    with pytest.raises(ArcwiseError, match="estimates no quality"):
        enrol(tmp_path / "g", stock.catalogue, model=stock.model, least_quality=0.1)
    result = enrol(tmp_path / "g", stock.catalogue, model=stock.model, together=True)
    assert "alike" in result.weighting
    with open_gallery(tmp_path / "g", mode="r") as gallery:
        assert {one.quality for one in gallery.templates()} == {None}


def test_verify_decides_once(judge, images, tmp_path):
    enrol(tmp_path / "g", images, model=judge)
    names = files(images, 0)
    with pytest.raises(ArcwiseError, match="--together"):
        verify(tmp_path / "g", "id00", names)
    result = verify(tmp_path / "g", "id00", [*names, str(tmp_path / "none.jpg")], together=True)
    embedded = runtime.load(judge).embed_with_quality(names)
    query = sets.quality_weighted(embedded.vectors, embedded.quality).vectors[0]
    with open_gallery(tmp_path / "g", mode="r") as gallery:
        assert result.similarity == pytest.approx(
            gallery.verify("id00", query).similarity, abs=1e-6
        )
    assert (result.together, result.accepted, len(result.failures)) == (3, True, 1)
    assert "3 together" in result.unmeasured
    alone = verify(tmp_path / "g", "id00", names[0], together=True)
    assert (alone.together, alone.unmeasured) == (1, "")  # the rate of single images holds


def test_search_decides_once(judge, images, tmp_path):
    enrol(tmp_path / "g", images, model=judge)
    result = search(tmp_path / "g", files(images, 1), together=True)
    (answer,) = result.queries
    assert result.together == 3
    assert "quality" in result.weighting
    assert answer.hits[0].identity == "id01"
    assert answer.decision.identity == "id01"
    assert (answer.decision.far, answer.decision.fpir) == (None, None)
    assert "3 together" in result.unmeasured
    separate = search(tmp_path / "g", files(images, 1))
    assert (len(separate.queries), separate.together, separate.unmeasured) == (3, 0, "")


def test_templates_of_several_images_promise_nothing_either(images, together):
    found = search(together, files(images, 2)[:1])
    assert "calibrate" in found.unmeasured
    assert found.answers[0].decision.fpir is None
    assert "calibrate" in verify(together, "id02", files(images, 2)[0]).unmeasured


def test_an_upgrade_pools_again(images, together, tmp_path):
    other = quality_model(tmp_path / "other", 1)
    result = upgrade_gallery(together, tmp_path / "new", model=other)
    assert (result.embedded, result.missing) == (4, ())
    embedded = runtime.embed_manifest(runtime.load(other), images)
    expected = sets.quality_weighted(embedded.vectors, embedded.quality, images.identities)
    with open_gallery(tmp_path / "new", mode="r") as gallery:
        for name, vector in zip(expected.ids, expected.vectors, strict=True):
            assert gallery.verify(name, vector).similarity == pytest.approx(1, abs=1e-5)
        assert all(len(one.metadata[TOGETHER]) == 3 for one in gallery.templates())


def test_the_command_line(judge, images, tmp_path, capsys):
    gallery, folder = str(tmp_path / "g"), str(images.root)
    assert main(["enrol", gallery, folder, "--model", str(judge), "--together"]) == 0
    assert "12 images became 4 templates, weighted" in capsys.readouterr().out
    assert main(["search", gallery, *files(images, 3), "--together"]) == 0
    out = capsys.readouterr().out
    assert "answered once for 3 images together" in out
    assert "none is promised" in out
    assert main(["verify", gallery, "id03", *files(images, 3), "--together"]) == 0
    assert "decided once for 3 images together" in capsys.readouterr().out
    assert main(["verify", gallery, "id03"]) == 2
    assert "no image is named" in capsys.readouterr().err


def test_data_check_lists_the_worst(judge, images, tmp_path, capsys):
    quality = runtime.embed_manifest(runtime.load(judge), images).quality
    report = check(images, model=judge).by_model.quality
    assert report.spread == sets.QualitySpread.of(quality)
    assert [one.quality for one in report.worst] == sorted(quality.tolist())  # all twelve
    assert report.worst[0].image == images.image(int(quality.argmin()))
    assert report.median == pytest.approx(float(np.median(quality)))
    assert (report.rejection is None) == bool(report.unmeasured)
    folder = str(images.root)
    main(["data", "check", folder, "--model", str(judge), "--out", str(tmp_path)])
    assert "of the lowest quality" in capsys.readouterr().out
    page = (tmp_path / "quality.html").read_text()
    assert "Images of lowest quality" in page
    assert ("at FAR 0.01" in page) is (report.rejection is not None)
    assert main(["data", "check", folder, "--out", str(tmp_path)]) == 2


def test_data_check_with_other_models(stock: Shop):
    found = check(stock.catalogue, model=stock.model).by_model
    assert found.quality is None
    assert "estimates none" in str(found)


def test_info_says_of_how_many_images_templates_are(together, judge, images, tmp_path, capsys):
    info = gallery_info(together)
    assert (info.templates, info.of_several, info.images) == (4, 4, 12)
    assert "templates of one image" in info.unmeasured
    assert main(["gallery", "info", str(together)]) == 0
    out = capsys.readouterr().out
    assert "4 templates, of 12 images together" in out
    assert "arcwise calibrate MODEL DATA --gallery" in out
    assert out.count("none") == 1
    enrol(tmp_path / "single", images, model=judge)
    single = gallery_info(tmp_path / "single")
    assert (single.of_several, single.images, single.unmeasured) == (0, 0, "")


def test_one_image_an_identity_is_a_template_of_one(judge, images, tmp_path, capsys):
    folder = tmp_path / "one"
    for identity in range(4):
        (folder / f"p{identity}").mkdir(parents=True)
        shutil.copy(files(images, identity)[0], folder / f"p{identity}")
    words = ["enrol", str(tmp_path / "g"), str(folder), "--model", str(judge), "--together"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "each is a template" in out
    assert "do not hold" not in out
    assert gallery_info(tmp_path / "g").of_several == 0
