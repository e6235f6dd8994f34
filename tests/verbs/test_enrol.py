"""Every readable image is enrolled, the others are counted and listed, mistakes come first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import read_bundle
from arcwise.cli import main
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import open_gallery
from arcwise.images import decode
from arcwise.recognition import Recogniser
from arcwise.verbs.enrol import enrol
from arcwise.verbs.enrol_metadata import typed_pairs
from arcwise.verbs.remove import remove
from arcwise.verbs.train import TrainResult
from tests.verbs.conftest import Shop


@pytest.fixture
def folder(stock: Shop, tmp_path: Path) -> Path:
    """Two products with two images each, a broken one, and a file that is no image."""
    for name, row in (("a b", 0), ("图", 5)):
        place = tmp_path / "photos" / name
        place.mkdir(parents=True)
        for shot in range(2):
            (place / f"{shot}.jpg").write_bytes(stock.photos.read(row + shot))
    (tmp_path / "photos" / "a b" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "photos" / "图" / "notes.txt").write_text("")
    return tmp_path / "photos"


def test_a_broken_image_is_listed_and_the_rest_enrolled(
    stock: Shop, folder: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    result = enrol(
        tmp_path / "g", folder, model=stock.model, progress=lambda *told: seen.append(told)
    )
    assert (result.templates, result.identities, result.replaced, result.total) == (4, 2, 0, 4)
    assert [error.name for error in result.failures] == ["a b/broken.jpg"]
    assert result.ignored == ("图/notes.txt",)
    assert seen[-1] == (5, 5)
    with open_gallery(tmp_path / "g", mode="r") as gallery:
        assert gallery.identities() == ["a b", "图"]
        assert gallery.fingerprint == runtime.load(stock.model).fingerprint
        assert gallery.model_path == str(stock.model)


@pytest.mark.parametrize(
    ("call", "said"), [("embed", "nothing was enrolled"), ("gallery", "all images are")]
)
def test_what_a_stop_leaves(
    call: str,
    said: str,
    stock: Shop,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recogniser, call, property(stop) if call == "gallery" else stop)
    words = ["enrol", str(tmp_path / "g"), str(folder), "--model", str(stock.model)]
    assert main(words) == 130
    assert f"stopped; {said}" in capsys.readouterr().err


def test_adding_and_replacing(stock: Shop, folder: Path, tmp_path: Path) -> None:
    enrol(tmp_path / "g", folder, model=stock.model)
    again = enrol(tmp_path / "g", folder, again=True)  # the gallery knows its model
    assert (again.templates, again.replaced, again.total) == (4, 0, 8)
    assert (again.had_templates, again.repeated) == (2, 4)  # the same files
    for shot in (folder / "a b").iterdir():
        shot.unlink()
    new = enrol(tmp_path / "g", folder, replace=True)
    assert (new.templates, new.identities, new.replaced, new.total) == (2, 1, 4, 6)


def test_the_second_time_asks(
    stock: Shop, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is embedded; and not where every identity is new."""
    enrol(tmp_path / "g", folder, model=stock.model)
    (folder / "a b" / "new.jpg").write_bytes(stock.photos.read(9))
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "embed_manifest", None)
        with pytest.raises(
            GalleryError, match=r"2 of these .* \(a b: 2, 图: 2\); 4 of these .*again"
        ):
            enrol(tmp_path / "g", folder)
        with pytest.raises(ArcwiseError, match="both replace and again"):
            enrol(tmp_path / "g", folder, replace=True, again=True)
    with open_gallery(tmp_path / "g", mode="r") as gallery:
        assert len(gallery) == 4
    (folder / "a b").rename(folder / "c")
    (folder / "图").rename(folder / "d")
    result = enrol(tmp_path / "g", folder)
    assert (result.had_templates, result.templates, result.total) == (0, 5, 9)


def test_another_written_form_is_asked_about(stock: Shop, folder: Path, tmp_path: Path) -> None:
    (folder / "a b").rename(folder / "007")
    (folder / "图").rename(folder / "Jose\u0301")
    enrol(tmp_path / "g", folder, model=stock.model)
    (folder / "007").rename(folder / "7")
    (folder / "Jose\u0301").rename(folder / "Jos\u00e9")
    with pytest.raises(GalleryError, match=r"7 \(there 007\): 2, Jos\u00e9: 2\); 4 of these"):
        enrol(tmp_path / "g", folder)
    result = enrol(tmp_path / "g", folder, replace=True)
    assert (result.replaced, result.total) == (4, 4)
    assert remove(tmp_path / "g", "7.0").forms == ("007",)  # as it was called there
    assert remove(tmp_path / "g", "Jose\u0301").templates == 2


def test_numbers_may_be_others(stock: Shop, folder: Path, tmp_path: Path) -> None:
    (folder / "a b").rename(folder / "0")
    (folder / "图").rename(folder / "1")
    enrol(tmp_path / "g", folder, model=stock.model)
    with pytest.raises(GalleryError, match="if these numbers stand for others"):
        enrol(tmp_path / "g", folder)


def test_images_that_were_trained_on_are_counted(
    stock: Shop, trained: TrainResult, tmp_path: Path
) -> None:
    parts = trained.parts
    enrolled = enrol(tmp_path / "g", parts.train, model=stock.model)
    seen = read_bundle(stock.model).trained_images()
    assert seen is not None
    assert 0 < enrolled.trained_images == len(seen) <= len(parts.train)
    assert enrol(tmp_path / "h", stock.catalogue, model=stock.model).trained_images == 0


def test_nothing_readable_enrols_nothing(stock: Shop, tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "0.jpg").write_text("text")
    (tmp_path / "photos" / "a" / "1.jpg").write_text("text")
    with pytest.raises(ArcwiseError, match=r"none of the 2 images .* could be read \(a/0.jpg"):
        enrol(tmp_path / "g", tmp_path / "photos", model=stock.model)
    assert not (tmp_path / "g").exists()


def test_mistakes_are_found_before_anything_is_embedded(
    shop: Shop, folder: Path, retrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embeds(*args: object, **kwargs: object) -> None:
        raise AssertionError("an image was embedded")

    monkeypatch.setattr(runtime, "embed_manifest", embeds)
    with pytest.raises(GalleryError, match="no such gallery; to make one, say --model"):
        enrol(tmp_path / "new", folder)
    with pytest.raises(GalleryError, match=r"no folder .*; make it first"):
        enrol(tmp_path / "none" / "new", folder, model=shop.model)
    with pytest.raises(GalleryError, match="belongs to the model"):
        enrol(shop.gallery, folder, model=retrained)
    with pytest.raises(ArcwiseError, match="lie in no folder"):
        enrol(shop.gallery, folder / "图")
    (tmp_path / "text").write_text("x" * 4096)
    with pytest.raises(GalleryError, match="not a gallery"):
        enrol(tmp_path / "text", folder, model=shop.model)


def test_remove(shop: Shop) -> None:
    name = shop.catalogue.identities[0]
    assert remove(shop.gallery, name) == (1, (name,))
    with open_gallery(shop.gallery, mode="r") as gallery:
        assert name not in gallery.identities()
        assert len(gallery) == 5
    with pytest.raises(GalleryError, match="is not enrolled; did you mean"):
        remove(shop.gallery, name)
    with pytest.raises(GalleryError, match="no such gallery"):
        remove(shop.gallery.with_name("none"), name)


class TestThumbnails:
    def test_of_the_whole_image(self, stock: Shop, folder: Path, tmp_path: Path) -> None:
        enrol(tmp_path / "g", folder, model=stock.model)
        with open_gallery(tmp_path / "g", mode="r") as store:
            for one in store.templates():
                image = store.thumbnail(one.template)
                assert image is not None
                place = Path(one.metadata["root"]) / one.metadata["image"]
                whole = decode(place.read_bytes(), "")  # 48 pixels; the model takes 32
                shown = decode(image, "")
                assert shown.shape == whole.shape
                assert np.abs(shown.astype(int) - whole.astype(int)).mean() < 12

    def test_none_where_none_is_wanted(self, stock: Shop, folder: Path, tmp_path: Path) -> None:
        enrol(tmp_path / "g", folder, model=stock.model, thumbnails=False)
        with open_gallery(tmp_path / "g", mode="r") as store:
            assert {store.thumbnail(one.template) for one in store.templates()} == {None}

    def test_one_of_images_together(self, stock: Shop, folder: Path, tmp_path: Path) -> None:
        enrol(tmp_path / "each", folder, model=stock.model)
        enrol(tmp_path / "g", folder, model=stock.model, together=True)
        with open_gallery(tmp_path / "g") as store, open_gallery(tmp_path / "each") as each:
            first = [each.templates(name)[0].template for name in each.identities()]
            assert [store.thumbnail(one.template) for one in store.templates()] == [
                each.thumbnail(one) for one in first
            ]


class TestMetadata:
    @pytest.fixture
    def table(self, stock: Shop, tmp_path: Path) -> Path:
        rows = ["image,identity,shop,price,sold,code"]
        for row in range(3):
            (tmp_path / f"{row}.jpg").write_bytes(stock.photos.read(row))
            price = ["1.5", "3", ""][row]
            sold = ["true", "false", "true"][row]
            rows.append(f"{row}.jpg,p{row},Berlin,{price},{sold},0{row}")
        (tmp_path / "table.csv").write_text("\n".join(rows))
        return tmp_path / "table.csv"

    def test_from_columns_and_for_all(self, stock: Shop, table: Path, tmp_path: Path) -> None:
        enrol(
            tmp_path / "g",
            table,
            model=stock.model,
            metadata={"year": 2024},
            columns=["shop", "price", "sold", "code"],
        )
        with open_gallery(tmp_path / "g", mode="r") as store:
            said = [
                {key: one.metadata.get(key) for key in ("year", "shop", "price", "sold", "code")}
                for one in store.templates()
            ]
            assert said == [
                {"year": 2024, "shop": "Berlin", "price": 1.5, "sold": True, "code": "00"},
                {"year": 2024, "shop": "Berlin", "price": 3, "sold": False, "code": "01"},
                {"year": 2024, "shop": "Berlin", "price": None, "sold": True, "code": "02"},
            ]
            where = "price < 2 and sold == true and year == 2024"
            assert len(store.templates(where=where)) == 1

    def test_a_column_that_is_not_there(self, stock: Shop, table: Path, tmp_path: Path) -> None:
        with pytest.raises(ArcwiseError, match="'shop'"):
            enrol(tmp_path / "g", table, model=stock.model, columns=["shops"])
        for mistake in ({"columns": ["image"]}, {"metadata": {"root": "x"}}):
            with pytest.raises(ArcwiseError, match="itself writes"):
                enrol(tmp_path / "g", table, model=stock.model, **mistake)
        assert not (tmp_path / "g").exists()

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("3", 3), ("-0.5", -0.5), ("1e3", 1000.0), ("007", "007"), ("1e999", "1e999"),
            ("true", True), ("True", "True"), ('"3"', "3"), ("a=b", "a=b"), ("", ""),
        ],
    )  # fmt: skip
    def test_values_are_typed(self, text: str, value: object) -> None:
        assert typed_pairs([f"key={text}"]) == {"key": value}
        assert type(typed_pairs([f"key={text}"])["key"]) is type(value)

    @pytest.mark.parametrize("words", [["shop"], ["=x"], ["a=1", "a=2"]])
    def test_pairs_that_are_none(self, words: list[str]) -> None:
        with pytest.raises(ArcwiseError, match="--metadata"):
            typed_pairs(words)
