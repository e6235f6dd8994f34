"""A model and its gallery, opened once: what is answered is what a serial reader would answer."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import arcwise
from arcwise import encoders, runtime
from arcwise.bundle import add_thresholds
from arcwise.cli.search import explained
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.gallery import GalleryCalibration, SecondLook, connection, open_gallery, sql
from arcwise.images import Preparation
from arcwise.recognition import Recogniser, recogniser
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import TOGETHER
from arcwise.verbs.cluster_identities import accepted
from arcwise.verbs.search import search
from tests.verbs.conftest import search_threshold, threshold

SIDE, DIM = 16, 8
LINE = 0.99
"""Similarity from which on a search answers, at a false-accept rate of 0.1."""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "model"
    encoder = encoders.create("small", dim=DIM, size=(SIDE, SIDE)).eval()
    runtime.save(folder, encoder, Preparation(height=SIDE, width=SIDE))
    add_thresholds(folder, [threshold(0.1, LINE)], measured_on="", digests=())
    return folder


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Forty images that look different to a network that has learnt nothing."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 2, 2, 3), dtype=np.uint8)
    return [np.repeat(np.repeat(one, 8, 0), 8, 1) for one in coarse]


@pytest.fixture
def files(images: list[np.ndarray], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{row}.png" for row in range(6)]
    for path, image in zip(paths, images, strict=False):
        cv2.imwrite(str(path), image[..., ::-1])
    return paths


@pytest.fixture
def filled(model: Path, images: list[np.ndarray], tmp_path: Path) -> Path:
    """A gallery of ten identities with one template each."""
    with Recogniser(model, tmp_path / "g", create=True) as one:
        for row, image in enumerate(images[:10]):
            one.enrol(f"p{row}", [image])
    return tmp_path / "g"


def test_embeds_what_the_model_embeds(filled, files, images):
    with arcwise.Recogniser(None, filled) as one:
        sources = [str(files[0]), files[1], files[2].read_bytes(), images[3]]
        expected = one.model.embed(sources)
        np.testing.assert_array_equal(one.embed(sources).vectors, expected)
        with_bad = one.embed([files[0], b"nothing", "none.png", images[3]])
        np.testing.assert_array_equal(with_bad.rows, [0, 3])
        assert [problem.name for problem in with_bad.failures] == ["image 1", "none.png"]
        with pytest.raises(ImageError, match=r"none\.png"):
            one.embed(["none.png"])
        with pytest.raises(ArcwiseError, match="expected a list"):
            one.embed("none.png")
        with pytest.raises(ArcwiseError, match="no image is named"):
            one.embed([])


def test_opened_and_read_once(filled, files, monkeypatch):
    """By a recogniser however often it is asked, and by the command that stands on it."""
    opened, read, loaded = [], [], []
    connect, rows, load = connection.connect, sql.read_rows, runtime.load
    for name in ("arcwise.gallery.connection.connect", "arcwise.gallery.following.connect"):
        monkeypatch.setattr(name, lambda *a, **o: opened.append(a) or connect(*a, **o))
    monkeypatch.setattr(sql, "read_rows", lambda *a, **o: read.append(a) or rows(*a, **o))
    monkeypatch.setattr(runtime, "load", lambda *a, **o: loaded.append(a) or load(*a, **o))
    with Recogniser(None, filled) as one:
        for _ in range(3):
            one.search(files)
            one.verify("p1", files[:1])
    assert (len(opened), len(read), len(loaded)) == (1, 1, 1)
    search(filled, files)
    assert (len(opened), len(read), len(loaded)) == (2, 2, 2)


def test_threshold_chosen_once(filled, images, monkeypatch):
    """And again where the gallery has changed, whoever changed it."""
    chosen = []
    choose = recogniser.search_operating_point
    monkeypatch.setattr(
        recogniser, "search_operating_point", lambda *a, **o: chosen.append(a) or choose(*a, **o)
    )
    with Recogniser(None, filled) as one, open_gallery(filled) as other:
        sizes = [one.search(images[:1], far=0.1).size.templates for _ in range(3)]
        assert (sizes, len(chosen)) == ([10] * 3, 1)
        one.enrol("p10", images[10:11])
        assert one.search(images[:1], far=0.1).size.templates == 11
        other.remove("p10")
        assert one.search(images[:1], far=0.1).size.templates == 10
        assert len(chosen) == 3
        calibration = GalleryCalibration(10, 10, (search_threshold(0.05, 10, 0.7),), "strangers")
        other.keep_calibration(calibration)
        found = one.search(images[:1])
        assert (found.calibration, found.point.threshold) == (calibration, 0.7)
        assert found.point.in_this_gallery
        assert len(chosen) == 4


def test_a_second_look_decides(filled, images):
    """By how far the closest is above the mean of the next two, as computed in float64."""
    with Recogniser(None, filled) as one, open_gallery(filled) as store:
        vectors = one.model.embed(images[:30]).astype(np.float64)
        found = -np.sort(-(vectors @ vectors[:10].T), axis=1)
        above = found[:, 0] - found[:, 1:3].mean(axis=1)
        line = float(np.median(above[10:]))  # of the images that are not enrolled
        size = store.size()
        calibration = GalleryCalibration(
            10,
            10,
            (search_threshold(0.05, 10, 0.0),),
            "strangers",
            size.newest,
            SecondLook(2, (search_threshold(0.05, 10, line),)),
        )
        store.keep_calibration(calibration)
        answers = one.search(images[:30], k=1)
        assert answers.point.neighbours == 2
        assert all(len(answer.hits) == 1 for answer in answers.answers)
        decisions = [answer.decision for answer in answers.answers]
        np.testing.assert_allclose([it.above_next for it in decisions], above, atol=1e-5)
        clear = np.abs(above - line) > 1e-5
        given = np.array([it.identity is not None for it in decisions])
        assert (given == (above >= line))[clear].all()
        assert 0 < given[10:].sum() < 20
        clustered = accepted(one, vectors.astype(np.float32), None, None)
        assert clustered.identities == [it.identity for it in decisions]
        one.enrol("another", [images[31]])  # the similarity decides again, from 0
        answers = one.search(images[10:30])
        assert answers.point.neighbours == 0
        assert answers.outgrown


def test_a_rate_is_refused_before_any_work(filled, images, monkeypatch):
    monkeypatch.setattr(runtime, "embed_manifest", None)
    with Recogniser(None, filled, mode="r") as one, pytest.raises(ArcwiseError, match=r"FAR 0\.2"):
        one.search(images, far=0.2)


def oracle(
    vectors: np.ndarray, enrolled: int, query: int, k: int
) -> tuple[list[tuple[str, float]], str | None]:
    """The K closest of so many identities, one template each, and the decision, in float64."""
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    scored = sorted((-float(exact[row] @ exact[query]), f"p{row}") for row in range(enrolled))
    hits = [(name, -negative) for negative, name in scored[:k]]
    return hits, hits[0][0] if hits[0][1] >= LINE else None


def test_threads_search_while_one_enrols(filled, images):
    """Each answer is that of a serial reader, of a gallery that was there during the search."""
    problems: list[BaseException] = []
    enrolled = [10]  # acknowledged
    seen: list[tuple[int, int, int, arcwise.recognition.SearchResult]] = []
    with Recogniser(None, filled) as one:
        vectors = np.concatenate([one.model.embed([image]) for image in images])

        def enrols() -> None:
            for row in range(10, 40):
                one.enrol(f"p{row}", [images[row]])
                enrolled[0] = row + 1

        def searches(seed: int) -> None:
            rng = np.random.default_rng(seed)
            while True:
                last = enrolled[0] == 40
                query, before = int(rng.integers(40)), enrolled[0]
                found = one.search([images[query]], k=4, far=0.1)
                seen.append((query, before, enrolled[0], found))
                if last:
                    return

        def guarded(work, *args) -> None:
            try:
                work(*args)
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=guarded, args=(searches, seed)) for seed in range(4)]
        threads.append(threading.Thread(target=guarded, args=(enrols,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not problems
    assert len({before for _, before, _, _ in seen}) > 3  # they did meet
    verdicts = {found.answers[0].decision.identity is None for *_, found in seen}
    assert verdicts == {True, False}
    for query, before, after, found in seen:
        (answer,) = found.answers
        given = [(hit.identity, pytest.approx(hit.similarity, abs=1e-5)) for hit in answer.hits]
        states = range(before, min(after + 1, 40) + 1)  # one more may be there, not yet noted
        assert (given, answer.decision.identity) in [
            oracle(vectors, state, query, 4) for state in states
        ]
        assert found.size.templates in states


def test_verify(filled, images):
    with Recogniser(None, filled, mode="r") as one:
        assert one.verify("p3", images[3:4]).accepted
        other = one.verify("p3", images[4:5])
        first, second = one.model.embed(images[3:5])
        expected = float(first @ second)
        assert other.similarity == pytest.approx(expected, abs=1e-5)
        assert other.accepted == (expected >= LINE)
        several = one.verify("p3", [images[3], images[3], b"nothing"])
        assert (several.together, several.accepted, len(several.failures)) == (2, True, 1)
        assert "2 together" in several.unmeasured
        with pytest.raises(GalleryError, match="is not enrolled"):
            one.verify("nobody", images[:1])


class TestEnrol:
    """All images of one identity, or none, with what is known of each."""

    def test_what_is_recorded(self, filled, files, images, monkeypatch):
        monkeypatch.chdir(files[0].parent)
        with Recogniser(None, filled) as one:
            receipt = one.enrol(
                "new", ["0.png", files[1].read_bytes(), images[2]], metadata={"shelf": 3}
            )
            path, encoded, pixels = one.gallery.metadata("new")
        assert len(receipt) == 3
        assert (path["image"], path["root"]) == ("0.png", str(files[0].parent))
        assert path["shelf"] == encoded["shelf"] == 3
        assert CONTENT in path
        assert encoded.keys() == {CONTENT, "shelf"}
        assert pixels == {"shelf": 3}

    def test_all_or_none(self, filled, images):
        with Recogniser(None, filled) as one:
            with pytest.raises(ImageError, match="image 1"):
                one.enrol("new", [images[0], b"nothing"])
            assert "new" not in one.gallery.identities()

    def test_together_and_replace(self, filled, images):
        with Recogniser(None, filled) as one:
            receipt = one.enrol("p1", images[20:23], together=True, replace=True)
            assert (len(receipt), receipt.replaced) == (1, 1)
            assert len(one.gallery.metadata("p1")[0][TOGETHER]) == 3
            assert "calibrate" in one.search(images[20:21], far=0.1).unmeasured

    def test_the_first_one_makes_the_gallery(self, model, images, tmp_path):
        with pytest.raises(GalleryError, match="no such gallery"):
            Recogniser(model, tmp_path / "new")
        loaded = runtime.load(model)
        with Recogniser(loaded, tmp_path / "new", create=True) as one:
            assert one.model is loaded
            with pytest.raises(ImageError):
                one.enrol("somebody", [b"nothing"])
            assert not one.exists
            assert not (tmp_path / "new").exists()
            one.enrol("somebody", images[:1])
            assert one.exists
        with open_gallery(tmp_path / "new", mode="r") as gallery:
            assert gallery.identities() == ["somebody"]


def test_a_closed_one_answers_nothing(filled, images):
    one = Recogniser(None, filled)
    one.close()
    with pytest.raises(GalleryError, match="closed"):
        one.search(images[:1])


class TestSearchOfAPart:
    """Conditions on metadata, and everyone from the threshold on."""

    @pytest.fixture
    def shops(self, model, images, tmp_path) -> Path:
        """Twenty identities with one template each, every second in Berlin, two of one image."""
        with Recogniser(model, tmp_path / "g", create=True) as one:
            for row, image in enumerate(images[:20]):
                shop = "Berlin" if row % 2 else "Paris"
                one.enrol(f"p{row}", [image], metadata={"shop": shop})
            one.enrol("twin", [images[0]], metadata={"shop": "Berlin"})
        return tmp_path / "g"

    def test_only_what_meets_the_condition(self, shops, images):
        with Recogniser(None, shops, mode="r") as one:
            found = one.search(images[:20], k=30, where='shop == "Berlin"')
            assert (found.size.identities, found.size.templates) == (11, 11)
            for row, answer in enumerate(found.answers):
                assert len(answer.hits) == 11
                assert {hit.metadata["shop"] for hit in answer.hits} == {"Berlin"}
                assert answer.decision is not None
                if row % 2:
                    assert answer.decision.identity == f"p{row}"
            assert found.answers[0].decision.identity == "twin"
            none = one.search(images[:1], where='shop == "Rome"')
            assert (none.answers[0].hits, none.answers[0].decision) == ((), None)
            assert one.search(images[:1]).size.templates == 21
            with pytest.raises(GalleryError, match="where"):
                one.search(images[:1], where="shop =")

    def test_a_part_has_a_bound_of_its_own(self, shops, images):
        """Fewer templates give fewer chances to be wrong."""
        with Recogniser(None, shops, mode="r") as one:
            whole, part = one.search(images[:1]), one.search(images[:1], where='shop == "Berlin"')
            assert whole.point.threshold == part.point.threshold
            assert part.point.fpir < whole.point.fpir

    def test_everyone_from_the_threshold_on(self, shops, images):
        with Recogniser(None, shops, mode="r") as one:
            vectors = one.embed(images).vectors
            found = one.search(images, k=1, everyone=True)
            for vector, answer in zip(vectors, found.answers, strict=True):
                assert list(answer.hits) == one.gallery.above(vector, found.point.threshold)[0]
            first = [hit.identity for hit in found.answers[0].hits]
            assert {"p0", "twin"} <= set(first)
            assert found.answers[0].decision.identity == "p0"
            unknown = next(answer for answer in found.answers if not answer.hits)
            assert unknown.decision.identity is None
            assert unknown.decision.similarity is not None

    def test_everyone_needs_a_threshold(self, shops, images, model, tmp_path):
        bare = tmp_path / "bare"
        encoder = encoders.create("small", dim=DIM, size=(SIDE, SIDE)).eval()
        runtime.save(bare, encoder, Preparation(height=SIDE, width=SIDE))
        with Recogniser(bare, tmp_path / "b", create=True) as one:
            assert one.search(images[:1], everyone=True).answers[0].hits == ()  # nobody is there
            one.enrol("p", images[:1])
            with pytest.raises(ArcwiseError, match="calibrate"):
                one.search(images[:1], everyone=True)


def test_quarantine_changes_what_decides(filled, images):
    """The size of the gallery is that of what takes part, however the others were enrolled."""
    with Recogniser(None, filled) as one:
        before = one.search(images[:1])
        one.gallery.quarantine([2, 3], "blurred")
        after = one.search(images[:1])
    assert (before.size.templates, after.size.templates) == (10, 8)
    assert after.point.fpir < before.point.fpir


class TestEnrolment:
    def test_thumbnails(self, model, images, tmp_path):
        with Recogniser(model, tmp_path / "g", create=True) as one:
            (first,) = one.enrol("a", images[:1]).templates
            (second,) = one.enrol("b", images[:1], thumbnails=False).templates
            shown = one.gallery.thumbnail(first)
            assert cv2.imdecode(np.frombuffer(shown, np.uint8), 1).shape == (SIDE, SIDE, 3)
            assert one.gallery.thumbnail(second) is None
            photo = np.zeros((300, 400, 3), np.uint8)  # of the whole, not of what the model takes
            (third,) = one.enrol("c", [photo]).templates
            shown = one.gallery.thumbnail(third)
            assert cv2.imdecode(np.frombuffer(shown, np.uint8), 1).shape == (120, 160, 3)

    def test_the_least_quality(self, model, images, tmp_path):
        with Recogniser(model, tmp_path / "g", create=True) as one:
            with pytest.raises(ArcwiseError, match="estimates no quality"):
                one.enrol("a", images[:1], least_quality=0.5)

            def embed(_, pixels, **__):
                vectors = np.eye(DIM, dtype=np.float32)[: len(pixels)]
                quality = np.linspace(0.2, 0.8, len(pixels), dtype=np.float32)
                return runtime.QualifiedEmbeddings(vectors, quality)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(one.model), "estimates_quality", True)
                patch.setattr(type(one.model), "embed_pixels_with_quality", embed)
                with pytest.raises(ImageError, match=r"0\.2"):
                    one.enrol("a", images[:3], least_quality=0.5)
                assert len(one.gallery) == 0
                (best,) = one.enrol("a", images[:3], least_quality=0.2, together=True).templates
                alone = one.enrol("b", images[2:3]).templates[0]
                assert one.gallery.thumbnail(best) == one.gallery.thumbnail(alone)


def test_everyone_of_a_second_look(filled, images):
    """Who is that far above the mean of the next ones; not in a part of the gallery."""
    with Recogniser(None, filled) as one, open_gallery(filled) as store:
        for template in store.templates():
            store.annotate(template.template, {"side": "left", "odd": template.template % 2 == 1})
        plain, second = search_threshold(0.05, 10, 0.9), search_threshold(0.05, 10, 0.001)
        store.keep_calibration(
            GalleryCalibration(
                10, 10, (plain,), "strangers", store.size().newest, SecondLook(9, (second,))
            )
        )
        vectors = one.model.embed(images[:30]).astype(np.float64)
        found = vectors @ vectors[:10].T
        falling = -np.sort(-found, axis=1)
        line = 0.001 + falling[:, 1:].mean(axis=1)
        for where in (None, 'side == "left"'):
            result = one.search(images[:30], everyone=True, where=where)
            assert result.point.neighbours == 9
            for row, answer in enumerate(result.answers):
                given = {hit.identity for hit in answer.hits}
                clear = np.abs(found[row] - line[row]) > 1e-5
                above = {f"p{at}" for at in range(10) if clear[at] and found[row, at] >= line[row]}
                below = {f"p{at}" for at in range(10) if clear[at] and found[row, at] < line[row]}
                assert above <= given
                assert not below & given
                assert (answer.decision.identity is not None) == bool(given)
        part = one.search(images[:1], where="odd == true")
        assert (part.point.neighbours, part.point.threshold) == (0, 0.9)
        assert not any("second look" in said for said in explained(part, "odd == true"))
