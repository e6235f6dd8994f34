"""A gallery embedded again with another model: whole, resumable, and swapped only when told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds
from arcwise.data.manifest import Manifest
from arcwise.encoders import create
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import NewTemplate, open_gallery
from arcwise.images import Preparation
from arcwise.runtime import EmbeddingCache, Model
from arcwise.verbs import gallery_comparison
from arcwise.verbs import gallery_upgrade as module
from arcwise.verbs.enrol import enrol
from arcwise.verbs.gallery_copy import copy_gallery
from arcwise.verbs.gallery_upgrade import (
    UPGRADED_FROM,
    UpgradedGallery,
    swap_upgraded,
    upgrade_gallery,
)
from arcwise.verbs.remove import remove
from arcwise.verbs.search import search
from tests.verbs.conftest import Shop, search_threshold


@pytest.fixture
def photos(shop: Shop, tmp_path: Path) -> Path:
    """Three products with two photos each."""
    for row in range(6):
        place = tmp_path / "photos" / f"p{row // 2}" / f"{row}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(shop.photos.read(row * 2))
    return tmp_path / "photos"


@pytest.fixture
def old(shop: Shop, photos: Path, tmp_path: Path) -> Path:
    """A gallery of these."""
    enrol(tmp_path / "old.gallery", photos, model=shop.model)
    return tmp_path / "old.gallery"


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    return tmp_path / "new.gallery"


def contents(path: Path) -> list[tuple[str, str, int]]:
    """Return identity, digest and number before of every template."""
    with open_gallery(path, mode="r") as store:
        assert store.check().templates == len(store)
        return sorted(
            (one.identity, one.metadata["content"], one.metadata.get(UPGRADED_FROM, one.template))
            for one in store.templates()
        )


def test_every_template_is_embedded_again(old: Path, upgraded: Path, retrained: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    result = upgrade_gallery(old, upgraded, model=retrained, progress=lambda *now: seen.append(now))
    assert (result.embedded, result.missing, result.lost_identities) == (6, (), ())
    assert seen[-1] == (6, 6, "embedding")
    assert contents(upgraded) == contents(old)
    model = runtime.load(retrained)
    with open_gallery(upgraded, mode="r", model=model) as store:
        for one in store.templates():
            image = Path(one.metadata["root"]) / one.metadata["image"]
            score = store.verify(one.identity, model.embed([image])[0])
            assert score.similarity == pytest.approx(1, abs=1e-5)
    again = upgrade_gallery(old, upgraded, model=retrained)
    assert (again.embedded, again.removed) == (0, 0)
    assert again.sizes == result.sizes


def test_both_can_be_asked(old: Path, upgraded: Path, photos: Path, retrained: Path) -> None:
    upgrade_gallery(old, upgraded, model=retrained)
    for gallery in (old, upgraded):
        (answer,) = search(gallery, [photos / "p1" / "2.jpg"]).answers
        assert answer.hits[0].identity == "p1"


def test_changes_of_the_old_one_are_taken_in(
    old: Path, upgraded: Path, photos: Path, retrained: Path
) -> None:
    upgrade_gallery(old, upgraded, model=retrained)
    remove(old, "p0")
    shutil.copytree(photos / "p1", photos / "more" / "p3")
    (photos / "p1" / "2.jpg").unlink()
    enrol(old, photos / "more")
    shutil.rmtree(photos / "p0")
    shutil.rmtree(photos / "p2")
    shutil.rmtree(photos / "more")
    shutil.copytree(photos / "p1", photos / "moved" / "p1")
    enrol(old, photos / "moved", replace=True)
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert {one.identity for one in result.missing} == {"p3"}
    assert (result.embedded, result.removed) == (1, 4)
    with open_gallery(upgraded, mode="r") as store:
        assert store.counts() == {"p1": 1, "p2": 2}


def test_images_are_found_by_path_and_by_content(
    old: Path, upgraded: Path, photos: Path, retrained: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    photos.rename(moved)
    (moved / "p0").rename(moved / "renamed")
    (moved / "p1" / "2.jpg").write_bytes((moved / "p2" / "4.jpg").read_bytes())  # another image
    (moved / "p2" / "4.jpg").unlink()
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert (result.embedded, len(result.missing)) == (0, 6)
    assert result.lost_identities == ("p0", "p1", "p2")
    with pytest.raises(GalleryError, match="3 identities"):
        swap_upgraded(result)
    result = upgrade_gallery(old, upgraded, model=retrained, images=moved)
    assert (result.embedded, result.lost_identities) == (5, ())
    (missing,) = result.missing
    assert missing.image == "p1/2.jpg"
    with open_gallery(upgraded, mode="r") as store:
        places = {one.metadata["image"] for one in store.templates()}
        assert {one.metadata["root"] for one in store.templates()} == {str(moved)}
    assert {"renamed/0.jpg", "p1/2.jpg", "p1/3.jpg"} < places  # p1/2.jpg is what p2/4.jpg was


def test_vectors_without_an_image_are_missing(old: Path, upgraded: Path, retrained: Path) -> None:
    with open_gallery(old) as store:
        store.enrol([("bare", np.eye(store.dim)[0], {"shelf": 3})])
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert [(one.identity, one.image) for one in result.missing] == [("bare", None)]
    assert swap_upgraded(result, drop_missing=True) is not None


def test_landmarks_are_enrolled(shop: Shop, tmp_path: Path) -> None:
    points = [0.0, 0, 4, 0, 2, 2, 0, 4, 4, 4]
    table = shop.catalogue.select([0]).table
    table = table.append_column("landmarks", pa.array([points], pa.list_(pa.float32())))
    manifest = Manifest(table, shop.catalogue.root, "faces")
    enrol(tmp_path / "faces.gallery", manifest, model=shop.model)
    with open_gallery(tmp_path / "faces.gallery", mode="r") as store:
        assert store.templates()[0].metadata["landmarks"] == points


def test_photographs_for_a_model_of_turned_faces(old: Path, upgraded: Path, tmp_path: Path) -> None:
    prepared = Preparation(height=32, width=32)
    network = create("small", dim=8, size=(32, 32)).eval()
    faces = runtime.save(tmp_path / "faces", network, prepared, alignment="five-point").path
    result = upgrade_gallery(old, upgraded, model=faces)
    assert result.notes[0].startswith("6 of 6 faces are not turned")


def everything(path: Path) -> dict[int, tuple[object, ...]]:
    """Return what each template is, by its number in the old gallery."""
    with open_gallery(path, mode="r") as store:
        return {
            metadata.get(UPGRADED_FROM, template): (
                identity, metadata["content"], metadata.get("shelf"), image, reason,
            )
            for one in store.stored()
            for template, identity, metadata, image, reason in zip(
                one.templates.tolist(), one.identities, one.metadata, one.thumbnails,
                one.quarantined, strict=True,
            )
        }  # fmt: skip


def test_thumbnails_and_quarantine_are_carried(
    old: Path, upgraded: Path, photos: Path, retrained: Path
) -> None:
    with open_gallery(old) as store:
        vector, metadata = next(store.stored()).vectors[0], store.templates("p0")[0].metadata
        receipt = store.enrol([NewTemplate("p9", vector, metadata, None, b"small")])
        store.quarantine([*receipt.templates, 1], "blurred")
        store.annotate(2, {**store.templates("p0")[0].metadata, "shelf": 3})
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert result.sizes is not None
    assert (result.embedded, result.sizes[0].templates, result.sizes[1].templates) == (7, 5, 5)
    assert everything(upgraded) == everything(old)
    before = everything(old)
    assert swap_upgraded(result) is not None
    assert everything(old) == before
    assert {row[4] for row in before.values()} == {None, "blurred"}
    assert before[7][3] == b"small"


def test_amendments_made_meanwhile_are_followed(old: Path, upgraded: Path, retrained: Path) -> None:
    with open_gallery(old) as store:
        store.quarantine([1, 2], "blurred")
    upgrade_gallery(old, upgraded, model=retrained)
    with open_gallery(old) as store:
        store.release([1])
        store.quarantine([3], "twice")
        store.quarantine([2], "dark")
        store.assign([4, 5], "renamed")
        store.annotate(6, {**store.templates("p2")[-1].metadata, "shelf": 3})
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert (result.embedded, result.removed, result.missing) == (0, 0, ())
    assert everything(upgraded) == everything(old)
    assert swap_upgraded(result)


def test_an_amendment_after_the_upgrade_is_no_state_to_swap(
    old: Path, upgraded: Path, retrained: Path
) -> None:
    result = upgrade_gallery(old, upgraded, model=retrained)
    with open_gallery(old) as store:
        store.assign([1], "renamed")
    with pytest.raises(GalleryError, match="changed"):
        swap_upgraded(result)
    assert swap_upgraded(upgrade_gallery(old, upgraded, model=retrained))
    assert everything(old)[1][0] == "renamed"


def test_a_gallery_that_was_restored(
    old: Path, upgraded: Path, retrained: Path, tmp_path: Path
) -> None:
    """Its templates have other numbers; none is taken for another one."""
    with open_gallery(old) as store:
        store.remove_templates([2])
    upgrade_gallery(old, upgraded, model=retrained)
    copy_gallery(old, tmp_path / "restored.gallery")
    upgrade_gallery(tmp_path / "restored.gallery", upgraded, model=retrained)
    assert everything(upgraded) == everything(tmp_path / "restored.gallery")


class TestRefused:
    def test_one_file(self, old: Path, retrained: Path) -> None:
        with pytest.raises(GalleryError, match="one file"):
            upgrade_gallery(old, old, model=retrained)

    def test_a_gallery_without_a_model(self, upgraded: Path, retrained: Path) -> None:
        open_gallery(upgraded.with_name("bare"), create=True, dim=8).close()
        with pytest.raises(GalleryError, match="without a model"):
            upgrade_gallery(upgraded.with_name("bare"), upgraded, model=retrained)

    def test_a_gallery_of_another_model(
        self, old: Path, upgraded: Path, shop: Shop, retrained: Path
    ) -> None:
        shutil.copy(old, upgraded)
        with pytest.raises(GalleryError, match="another model"):
            upgrade_gallery(old, upgraded, model=retrained)
        upgraded.write_text("text")
        with pytest.raises(GalleryError, match="not a gallery"):
            upgrade_gallery(old, upgraded, model=retrained)

    def test_a_gallery_of_ones_own(
        self, old: Path, upgraded: Path, photos: Path, retrained: Path
    ) -> None:
        enrol(upgraded, photos, model=retrained)
        with pytest.raises(GalleryError, match="no upgrade"):
            upgrade_gallery(old, upgraded, model=retrained)

    def test_an_upgrade_with_others_enrolled(
        self, old: Path, upgraded: Path, photos: Path, retrained: Path
    ) -> None:
        upgrade_gallery(old, upgraded, model=retrained)
        shutil.copytree(photos / "p0", photos / "more" / "mine")
        enrol(upgraded, photos / "more")
        with pytest.raises(GalleryError, match="mine"):
            upgrade_gallery(old, upgraded, model=retrained)

    def test_an_upgrade_of_another_gallery(
        self, old: Path, upgraded: Path, photos: Path, shop: Shop, retrained: Path
    ) -> None:
        upgrade_gallery(old, upgraded, model=retrained)
        shutil.copytree(photos / "p0", photos / "more" / "q0")
        enrol(upgraded.with_name("other"), photos / "more", model=shop.model)
        with pytest.raises(GalleryError, match="of another gallery"):
            upgrade_gallery(upgraded.with_name("other"), upgraded, model=retrained)


class TestSwap:
    def test_the_new_one_takes_the_place(
        self, old: Path, upgraded: Path, photos: Path, retrained: Path
    ) -> None:
        before = contents(old)
        result = upgrade_gallery(old, upgraded, model=retrained)
        kept = swap_upgraded(result)
        assert kept is not None
        with open_gallery(kept, mode="r") as store:
            assert kept.name == f"old.gallery.before-{store.fingerprint[:8]}"  # type: ignore[index]
        assert contents(kept) == contents(old) == before
        assert not list(old.parent.glob("*-wal")) + list(old.parent.glob("new.gallery*"))
        assert upgrade_gallery(old, upgraded, model=retrained).upgraded_before
        assert not upgraded.exists()
        enrol(old, photos, again=True)
        assert len(contents(kept)) == 6

    def test_not_while_another_has_it_open(
        self, old: Path, upgraded: Path, retrained: Path
    ) -> None:
        result = upgrade_gallery(old, upgraded, model=retrained)
        with open_gallery(old, mode="r") as reader:
            with pytest.raises(GalleryError, match="has it open"):
                swap_upgraded(result)
            assert len(reader) == 6
        assert sorted(one.name for one in old.parent.glob("*gallery*")) == [
            "new.gallery",
            "old.gallery",
            "shop.gallery",
        ]
        assert swap_upgraded(result)

    def test_not_after_a_change(
        self, old: Path, upgraded: Path, photos: Path, retrained: Path
    ) -> None:
        result = upgrade_gallery(old, upgraded, model=retrained)
        shutil.copytree(photos / "p0", photos / "more" / "p3")
        enrol(old, photos / "more")
        with pytest.raises(GalleryError, match="changed"):
            swap_upgraded(result)
        assert swap_upgraded(upgrade_gallery(old, upgraded, model=retrained))

    def test_not_over_another_file(self, old: Path, upgraded: Path, retrained: Path) -> None:
        result = upgrade_gallery(old, upgraded, model=retrained)
        kept = module.kept_name(old)
        kept.write_text("mine")
        with pytest.raises(GalleryError, match="exists"):
            swap_upgraded(result)
        assert kept.read_text() == "mine"

    @pytest.mark.parametrize("step", ["link", "replace"])
    def test_killed_on_the_way(
        self, old: Path, upgraded: Path, retrained: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = contents(old)
        result = upgrade_gallery(old, upgraded, model=retrained)
        child = os.fork()
        if not child:  # dies right after the step
            done = getattr(os, step)

            def kill(*paths: object) -> None:
                done(*paths)
                os.kill(os.getpid(), signal.SIGKILL)

            monkeypatch.setattr(os, step, kill)
            swap_upgraded(result)
            os._exit(1)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        again = upgrade_gallery(old, upgraded, model=retrained)
        assert again.upgraded_before == (step == "replace")
        swap_upgraded(again)
        (kept,) = old.parent.glob("old.gallery.before-*")
        assert contents(kept) == contents(old) == before
        assert old.stat().st_nlink == kept.stat().st_nlink == 1


CHILD = """
import sys, time
from arcwise.verbs import gallery_upgrade as module, upgraded_templates
upgraded_templates._BATCH = 1
print("ready", flush=True)
module.upgrade_gallery(*sys.argv[1:3], model=sys.argv[3], progress=lambda *now: time.sleep(0.05))
print("done", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is needed to kill a process in mid-write")
def test_goes_on_after_kill_9(shop: Shop, old: Path, upgraded: Path, retrained: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(old), str(upgraded), str(retrained)],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        until = time.monotonic() + 30
        while not upgraded.exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.15)
        child.send_signal(signal.SIGKILL)
    done = len(contents(upgraded))
    assert done < 6
    result = upgrade_gallery(old, upgraded, model=retrained)
    assert result.embedded == 6 - done
    assert contents(upgraded) == contents(old)


class TestLabelled:
    @pytest.fixture
    def result(self, shop: Shop, upgraded: Path, new: Manifest, retrained: Path) -> UpgradedGallery:
        """Of a gallery of 6 products, with all images of these and of 6 others."""
        for model, similarity in ((shop.model, 0.9), (retrained, 0.99)):
            chosen = [search_threshold(0.1, 6, similarity)]
            add_thresholds(model, [], search_thresholds=chosen, measured_on="", digests=())
        return upgrade_gallery(shop.gallery, upgraded, model=retrained, calibrate=new)

    def test_rates_are_those_of_a_slow_search(
        self, result: UpgradedGallery, shop: Shop, new: Manifest, retrained: Path
    ) -> None:
        comparison = result.comparison
        assert comparison is not None
        enrolled = shop.catalogue.identities
        other = [row for row, one in enumerate(new.images) if one not in shop.catalogue.images]
        ids = np.array([new.identities[row] for row in other])
        known = np.isin(ids, enrolled)
        right = []
        for side, path in enumerate((shop.model, retrained)):
            model = runtime.load(path)
            gallery = runtime.embed_manifest(model, shop.catalogue).vectors
            scores = runtime.embed_manifest(model, new.select(other)).vectors @ gallery.T
            closest = np.array(enrolled)[scores.argmax(axis=1)]
            point = comparison.points[side]
            assert point is not None
            answers = scores.max(axis=1) >= point.threshold
            rates = [
                (one.first, one.second)[side]
                for one in (comparison.rank1, comparison.dir, comparison.fpir)
                if one is not None
            ]
            hits = closest == ids
            assert rates == pytest.approx(
                [hits[known].mean(), (hits & answers)[known].mean(), answers[~known].mean()]
            )
            right.append(np.where(known, hits & answers, ~answers))
        names = np.array([new.images[row] for row in other])
        assert [one.image for one in comparison.worse] == names[right[0] & ~right[1]].tolist()
        assert [one.image for one in comparison.better] == names[right[1] & ~right[0]].tolist()
        assert len(comparison.worse) + len(comparison.better) > 0
        assert comparison.enrolled == 6
        assert [one.threshold for one in comparison.points if one is not None] == [0.9, 0.99]

    def test_embeddings_are_kept_under_the_name_of_the_network(
        self, shop: Shop, new: Manifest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of an int8 network are others than those of fp32, under one fingerprint."""
        names = []

        class Cache(EmbeddingCache):
            def __init__(self, name: str, dim: int) -> None:
                names.append(name)
                super().__init__(name, dim)

        monkeypatch.setattr("arcwise.runtime.job.EmbeddingCache", Cache)
        monkeypatch.setattr(Model, "cache_name", property(lambda self: f"{self.fingerprint}-int8"))
        model = runtime.load(shop.model)
        gallery_comparison.compare_galleries((shop.gallery,) * 2, (model, model), new)
        assert names == [f"{model.fingerprint}-int8"] * 2

    def test_too_few_images_to_calibrate(self, result: UpgradedGallery) -> None:
        assert "too few" in result.uncalibrated
        assert result.calibration is None
        with pytest.raises(GalleryError, match="not calibrated"):
            swap_upgraded(result)

    def test_the_new_one_is_calibrated(
        self, shop: Shop, upgraded: Path, products: Path, retrained: Path
    ) -> None:
        result = upgrade_gallery(shop.gallery, upgraded, model=retrained, calibrate=products)
        assert not result.uncalibrated
        assert result.point is not None
        assert result.point.in_this_gallery
        with open_gallery(result.upgraded, mode="r") as store:
            assert store.calibration is not None
        with open_gallery(result.gallery, mode="r") as store:
            assert store.calibration is None

    def test_without_the_old_model(
        self, shop: Shop, upgraded: Path, new: Manifest, retrained: Path
    ) -> None:
        shop.model.rename(shop.model.with_name("gone"))
        result = upgrade_gallery(shop.gallery, upgraded, model=retrained, calibrate=new)
        assert result.comparison is None
        assert any(str(shop.model) in one for one in result.notes)


def test_without_labelled_images(old: Path, upgraded: Path, retrained: Path) -> None:
    assert upgrade_gallery(old, upgraded, model=retrained).point is None
    chosen = [search_threshold(0.1, 3, 0.7, templates=2)]
    add_thresholds(retrained, [], search_thresholds=chosen, measured_on="", digests=())
    point = upgrade_gallery(old, upgraded, model=retrained).point
    assert point is not None
    assert point.threshold == 0.7


def test_a_mistake_in_the_labelled_images_comes_first(
    old: Path, upgraded: Path, retrained: Path
) -> None:
    with pytest.raises(ArcwiseError, match="nowhere"):
        upgrade_gallery(old, upgraded, model=retrained, calibrate=upgraded.with_name("nowhere"))
    assert not upgraded.exists()
