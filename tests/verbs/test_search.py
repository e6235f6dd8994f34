"""An image's closest identities, and which of them it is at a stated error rate, or none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.data.formats.opening import FILES
from arcwise.data.formats.table import TABLES
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import open_gallery
from arcwise.verbs.query_images import HOLD_IMAGES, query_images
from arcwise.verbs.search import Answer, search
from tests.verbs.conftest import Shop, search_threshold, threshold


@pytest.fixture
def photo(stock: Shop, tmp_path: Path) -> Path:
    """A file of an enrolled image, with a name like people give."""
    path = tmp_path / "mit Ümlaut und Leerzeichen 图.jpg"
    path.write_bytes(stock.catalogue.read(0))
    return path


def test_the_same_image_is_found(stock: Shop, photo: Path) -> None:
    found = search(stock.gallery, [photo])
    (answer,) = found.answers
    assert answer.image == str(photo)
    assert answer.hits[0].identity == stock.catalogue.identities[0]
    assert answer.hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert answer.hits[0].metadata["image"] == stock.catalogue.images[0]
    assert answer.hits[0].metadata["root"] == str(stock.catalogue.root)  # a page finds it again
    assert len(answer.hits) == 5
    assert answer.decision is not None
    assert answer.decision.identity == stock.catalogue.identities[0]


def test_answers_are_the_galleries(stock: Shop) -> None:
    """Row by row what embedding and searching by hand give, for every photo of the shop."""
    found = search(stock.gallery, [stock.photos], k=3)
    vectors = runtime.embed_manifest(runtime.load(stock.model), stock.photos).vectors
    with open_gallery(stock.gallery, mode="r") as gallery:
        direct = gallery.search(vectors, k=3)
    assert [list(answer.hits) for answer in found.answers] == direct
    names = [str(stock.photos.root / image) for image in stock.photos.images]
    assert [answer.image for answer in found.answers] == names


def test_of_a_part_and_everyone(stock: Shop, photo: Path, capsys: pytest.CaptureFixture) -> None:
    image = stock.catalogue.images[2]
    words = ["search", str(stock.gallery), str(photo), "--where", f'image == "{image}"', "--json"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["enrolled"]["templates"] == 1
    assert [one["metadata"]["image"] for one in document["queries"][0]["hits"]] == [image]
    found = search(stock.gallery, [photo], k=1, everyone=True, far=0.1)  # accepts everything
    assert len(found.answers[0].hits) == found.size.identities
    assert main(["search", str(stock.gallery), str(photo), "--where", "image = 3"]) == 2
    assert "where" in capsys.readouterr().err
    assert main(["search", str(stock.gallery), str(photo), "--where", 'image == "none"']) == 0
    assert "meets the condition" in capsys.readouterr().out
    assert main(["search", str(stock.gallery), str(photo), "--where", 'imgae == "none"']) == 0
    assert "did you mean 'image'?" in capsys.readouterr().err
    assert main(["gallery", "list", str(stock.gallery), "--where", 'imgae == "none"']) == 0
    assert "did you mean 'image'?" in capsys.readouterr().err


def test_without_search_thresholds_a_comparison_decides(stock: Shop) -> None:
    found = search(stock.gallery, [stock.photos])
    assert found.point is not None
    assert isinstance(found.point.basis, Threshold)
    assert found.point.basis.far == 0.001  # 0.1 promises nothing, 1e-4 is there, not resolved
    assert found.point.fpir == pytest.approx(1 - 0.999**found.size.templates)
    assert not found.point.fits
    for answer in found.answers:
        assert answer.decision is not None
        assert answer.decision.identity is None  # nothing comes within 0.9999 of it
        assert answer.decision.margin is not None


def test_a_lax_rate_takes_everybody_for_somebody(stock: Shop) -> None:
    found = search(stock.gallery, [stock.photos], far=0.1)
    for answer in found.answers:
        assert answer.decision is not None
        assert answer.decision.identity == answer.hits[0].identity


@pytest.mark.parametrize("far", [0.05, 0, -1, float("nan")])
def test_a_rate_that_the_model_lacks(stock: Shop, far: float) -> None:
    with pytest.raises(ArcwiseError, match=r"no threshold for FAR .*; the model has 0.0001, 0.001"):
        search(stock.gallery, [stock.photos], far=far)


class TestWhatDecides:
    """A rate measured in galleries as large as this one, or a single comparison's."""

    @pytest.fixture
    def searchable(self, shop: Shop) -> Shop:
        """The six enrolled are covered by two of three thresholds for searches."""
        add_thresholds(
            shop.model,
            [threshold(0.1, -1.0)],
            search_thresholds=[
                search_threshold(0.1, 6, 0.4),
                search_threshold(0.1, 9, 0.5),
                search_threshold(0.01, 9, 0.9, resolved=False),
                search_threshold(0.01, 5, 0.6),
            ],
            measured_on="nothing",
            digests=(),
        )
        return shop

    def test_what_fits_and_still_finds(self, searchable: Shop) -> None:
        found = search(searchable.gallery, [searchable.photos])
        assert found.point is not None
        assert found.point.basis == search_threshold(0.1, 6, 0.4)
        assert (found.size.identities, found.point.exact) == (6, True)
        assert found.point.dir == (0.9, 0.45, 1.0)
        for answer in found.answers:
            assert answer.decision is not None
            assert answer.decision.fpir == 0.1
            assert answer.decision.far is None
            known = answer.decision.identity is not None
            assert known == (answer.hits[0].similarity >= 0.4)

    def test_what_is_asked_for(self, searchable: Shop, photo: Path) -> None:
        found = search(searchable.gallery, [photo], fpir=0.2)
        assert found.point is not None
        assert found.point.basis == search_threshold(0.1, 6, 0.4)  # the nearest stricter one
        found = search(searchable.gallery, [photo], fpir=0.05)
        assert found.point is not None
        assert found.point.basis == search_threshold(0.01, 5, 0.6)  # for one fewer: a bound
        assert found.point.fpir == pytest.approx(1 - 0.99 ** (6 / 5))
        found = search(searchable.gallery, [photo], far=0.1)
        assert found.point is not None
        assert found.point.basis == threshold(0.1, -1.0)
        with pytest.raises(ArcwiseError, match="expected one of the two"):
            search(searchable.gallery, [photo], far=0.1, fpir=0.1)
        with pytest.raises(ArcwiseError, match=r"no threshold keeps FPIR 0.01 among 6 identities"):
            search(searchable.gallery, [photo], fpir=0.01)
        for rate in (0.0, 1.0, -1.0, float("nan")):
            with pytest.raises(ArcwiseError, match="between 0 and 1"):
                search(searchable.gallery, [photo], fpir=rate)

    def test_more_templates_than_it_was_measured_for(self, searchable: Shop, photo: Path) -> None:
        """Another template of everybody makes a bound of what was measured for one each."""
        with open_gallery(searchable.gallery) as gallery:
            enrolled = gallery.identities()
            vectors = np.eye(32, dtype=np.float32)[: len(enrolled)]
            gallery.enrol(list(zip(enrolled, vectors, strict=True)))
        found = search(searchable.gallery, [photo])
        assert found.point is not None
        assert (found.size.identities, found.size.templates) == (6, 12)
        assert not found.point.fits
        assert found.point.dir is None

    def test_a_gallery_that_has_grown_larger(self, searchable: Shop, photo: Path) -> None:
        vectors = np.eye(32, dtype=np.float32)[:4]
        with open_gallery(searchable.gallery) as gallery:
            gallery.enrol([(f"new {row}", vector) for row, vector in enumerate(vectors)])
        found = search(searchable.gallery, [photo])
        assert found.point is not None
        assert found.point.basis == search_threshold(0.01, 5, 0.6)
        assert found.point.fpir == pytest.approx(1 - 0.99**2)
        with pytest.raises(ArcwiseError, match=r"--gallery-size 10 --templates 1"):
            search(searchable.gallery, [photo], fpir=0.01)


def test_k(stock: Shop, photo: Path) -> None:
    one = search(stock.gallery, [photo], k=1).answers[0]
    assert len(one.hits) == 1
    assert one.decision is not None
    assert one.decision.margin is not None  # the runner-up was looked at all the same
    assert len(search(stock.gallery, [photo], k=100).answers[0].hits) == 6
    for k in (0, -1):
        with pytest.raises(ArcwiseError, match="expected 1 or more"):
            search(stock.gallery, [photo], k=k)


def test_files_folders_and_tables_together(stock: Shop, photo: Path) -> None:
    folder = photo.parent / "more"
    folder.mkdir()
    for row in range(2):
        (folder / f"{row}.jpg").write_bytes(stock.catalogue.read(row + 1))
    found = search(stock.gallery, [photo, folder, stock.catalogue.select([4])])
    names = [str(photo), str(folder / "0.jpg"), str(folder / "1.jpg")]
    assert [answer.image for answer in found.answers[:3]] == names
    wanted = [stock.catalogue.identities[row] for row in (0, 1, 2, 4)]
    assert [answer.hits[0].identity for answer in found.answers] == wanted


def test_a_broken_image_among_others_is_listed(stock: Shop, photo: Path) -> None:
    broken = photo.with_name("broken.jpg")
    broken.write_bytes(photo.read_bytes()[:200])
    found = search(stock.gallery, [broken, photo])
    assert [answer.image for answer in found.answers] == [str(photo)]
    assert [error.name for error in found.failures] == [str(broken)]


def test_one_bad_query_fails_alone(stock: Shop, photo: Path, tmp_path: Path) -> None:
    """Whatever is wrong with it; the others are answered, and it is listed in its place."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "zero.jpg").write_bytes(b"")
    (tmp_path / "damaged.zip").write_bytes(b"PK")
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "loop").symlink_to("loop")
    bad = ["none.jpg", "pipe.jpg", "empty", "folder.jpg", "zero.jpg", "damaged.zip", "text", "loop",
           "x" * 300, "bytes\udcff.jpg"]  # fmt: skip
    for name in bad:
        found = search(stock.gallery, [photo, tmp_path / name, photo])
        first, failure, last = found.queries
        assert isinstance(first, Answer)
        assert isinstance(last, Answer)
        assert first.hits == last.hits
        assert isinstance(failure, ImageError)
        assert failure.reason
        assert found.failures == (failure,)
        with pytest.raises(ArcwiseError):
            search(stock.gallery, [tmp_path / name])
    everything = [tmp_path / name for name in bad]
    found = search(stock.gallery, [*everything, photo])
    places = [str(one).encode(errors="backslashreplace").decode() for one in everything]
    assert [error.name for error in found.failures] == places
    with pytest.raises(ArcwiseError, match=f"none of the {len(bad)} "):
        search(stock.gallery, everything)


def test_a_image_by_any_name(stock: Shop, photo: Path, tmp_path: Path) -> None:
    for name in ("upload", "upload.tmp", "upload.jfif"):
        shutil.copy(photo, tmp_path / name)
        assert search(stock.gallery, [tmp_path / name]).answers[0].hits[0].similarity > 0.99


def test_files_that_hold_images_are_opened() -> None:
    assert {*FILES, *TABLES} == HOLD_IMAGES


def test_what_a_folder_holds_besides_is_listed(stock: Shop, photo: Path) -> None:
    (photo.parent / "notes.txt").write_text("mine")
    found = search(stock.gallery, [photo.parent])
    assert found.ignored == (str(photo.parent / "notes.txt"),)


def test_the_only_image_is_broken(stock: Shop, tmp_path: Path) -> None:
    for name, content in (("text.jpg", b"hello"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=name):
            search(stock.gallery, [tmp_path / name])


def test_landmarks_of_a_query_are_kept(stock: Shop, tmp_path: Path) -> None:
    """One query or many, a table's landmarks reach the preparation."""
    points = [float(number) for number in range(10)]
    table = pa.table({"image": ["a.jpg"], "landmarks": pa.array([points], pa.list_(pa.float32()))})
    joined = query_images([stock.photos.select([0]), Manifest(table, tmp_path, "one")])
    assert joined.column("landmarks") == [None, points]


def test_no_images(stock: Shop, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="name one or more files or folders"):
        search(stock.gallery, [])
    with pytest.raises(ArcwiseError, match="in it; it is empty"):
        search(stock.gallery, [tmp_path])
    with pytest.raises(ArcwiseError, match="no such file"):
        search(stock.gallery, [tmp_path / "none.jpg"])


def test_an_empty_gallery_knows_nobody(shop: Shop, photo: Path) -> None:
    with open_gallery(shop.gallery) as gallery:
        for identity in gallery.identities():
            gallery.remove(identity)
    found = search(shop.gallery, [photo], far=0.1)
    assert found.answers[0].hits == ()
    assert found.answers[0].decision is None
    assert found.point is None
    assert found.size.identities == 0


class TestWhichModel:
    """The gallery knows its model; `model` says where that is now, never which."""

    def test_moved(self, shop: Shop, photo: Path) -> None:
        moved = shop.model.with_name("elsewhere")
        shutil.move(shop.model, moved)
        with pytest.raises(ArcwiseError, match=r"was at .*model and is not there; .* --model"):
            search(shop.gallery, [photo])
        answer = search(shop.gallery, [photo], model=moved).answers[0]
        assert answer.hits[0].similarity == pytest.approx(1, abs=1e-5)

    def test_retrained_in_its_place(self, shop: Shop, photo: Path, retrained: Path) -> None:
        shutil.rmtree(shop.model)
        shutil.move(retrained, shop.model)
        with pytest.raises(GalleryError, match=r"not the model that .* was enrolled with"):
            search(shop.gallery, [photo])
        with pytest.raises(GalleryError, match="belongs to the model"):
            search(shop.gallery, [photo], model=shop.model)

    def test_no_gallery(self, shop: Shop, photo: Path) -> None:
        for model in (None, shop.model):
            with pytest.raises(GalleryError, match="no such gallery; `arcwise enrol` makes one"):
                search(shop.gallery.with_name("other"), [photo], model=model)

    def test_a_gallery_made_without_a_model(self, shop: Shop, photo: Path, tmp_path: Path) -> None:
        path = tmp_path / "bare.gallery"
        vector = np.eye(32, dtype=np.float32)[0]
        with open_gallery(path, create=True, dim=32) as gallery:
            gallery.enrol([("somebody", vector)])
        with pytest.raises(ArcwiseError, match="made without a model, so say which embeds"):
            search(path, [photo])
        assert search(path, [photo], model=shop.model).answers[0].hits[0].identity == "somebody"

    def test_something_else(self, shop: Shop, photo: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "image.png"), np.zeros((8, 8, 3), np.uint8))
        for path in (tmp_path, tmp_path / "image.png"):
            with pytest.raises(GalleryError, match="gallery"):
                search(path, [photo])
