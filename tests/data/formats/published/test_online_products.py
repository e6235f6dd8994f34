"""Stanford Online Products: two lists beside the folders of twelve kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.published import online_products as products
from arcwise.errors import ArcwiseError

HEADER = "image_id class_id super_class_id path\n"
TRAIN = [
    "1 1 1 bicycle_final/111085122871_0.JPG",
    "2 1 1 bicycle_final/111085122871_1.JPG",
    "3 2 4 coffee_maker_final/1_0.JPG",
]
TEST = ["4 11319 4 coffee_maker_final/2_0.JPG", "5 11319 4 coffee_maker_final/2 1.JPG"]


def lists(root: Path, train: list[str] = TRAIN, test: list[str] = TEST) -> Path:
    root.mkdir(exist_ok=True)
    (root / "Ebay_train.txt").write_text(HEADER + "\n".join(train) + "\n")
    (root / "Ebay_test.txt").write_text(HEADER + "\r\n".join(test) + "\r\n")
    return root


@pytest.fixture
def sop(a_folder: Callable[..., Path]) -> Path:
    return lists(a_folder(*(line.split(maxsplit=3)[3] for line in [*TRAIN, *TEST]), name="sop"))


def test_a_class_of_minus_one_is_no_identity(a_folder: Callable[..., Path]) -> None:
    root = lists(a_folder("x/1.JPG", "x/2.JPG", name="sop"), ["1 7 1 x/1.JPG"], ["2 -1 1 x/2.JPG"])
    manifest = open_manifest(root)
    assert manifest.column("identity") == ["7", ""]
    with pytest.raises(ArcwiseError, match="1 rows have no identity"):
        manifest.identities  # noqa: B018


def test_the_lists_say_whose_and_which_split(sop: Path) -> None:
    manifest = open_manifest(sop)
    assert manifest.table.to_pydict() == {
        "image": [line.split(maxsplit=3)[3] for line in [*TRAIN, *TEST]],
        "identity": ["1", "1", "2", "11319", "11319"],
        "split": ["train"] * 3 + ["test"] * 2,
        "superclass": ["bicycle"] * 2 + ["coffee_maker"] * 3,
    }
    assert manifest.read(4) == (sop / "coffee_maker_final/2 1.JPG").read_bytes()
    assert "Stanford Online Products" in manifest.understood
    assert (manifest.ignored, manifest.notes) == ((), ())


def test_the_folder_around_it_is_it_as_well(sop: Path) -> None:
    around = sop.parent / "download"
    around.mkdir()
    sop.rename(around / "Stanford_Online_Products")
    manifest = open_manifest(around)
    assert len(manifest) == 5
    assert manifest.read(0)


def test_a_missing_image_is_left_out_and_counted(sop: Path) -> None:
    (sop / "bicycle_final/111085122871_1.JPG").unlink()
    manifest = open_manifest(sop)
    assert len(manifest) == 4
    assert manifest.ignored == ("bicycle_final/111085122871_1.JPG",)
    assert manifest.notes[0].startswith("1 of the 5 images that Ebay_train.txt and Ebay_test")
    for path in sop.rglob("*.JPG"):
        path.unlink()
    with pytest.raises(ArcwiseError, match=r"none of its 5 images .*bicycle_final.*unpack"):
        open_manifest(sop)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (["1 1 1"], r"Ebay_train\.txt: line 2 is '1 1 1'; expected image_id class_id .*1 such"),
        ([*TRAIN, "x", "y"], r"line 5 is 'x'.*2 such lines"),
        (["a 1 1 b.JPG"], "line 2"),
        (["nan 1 1 b.JPG"], "line 2"),
        (["1 1 1 ../outside.JPG"], "'../outside.JPG' lies outside"),
        (["1 1 1 /etc/passwd"], "'/etc/passwd' lies outside"),
        (["1 1 1 a\0.JPG"], "lies outside"),
        ([TRAIN[0], TRAIN[0]], "lists 'bicycle_final/111085122871_0.JPG' more than once"),
        (["1 11319 1 bicycle_final/111085122871_0.JPG"], "1 products are in Ebay_train.txt"),
        ([], "holds no line"),
    ],
)
def test_bad_lists_are_named(sop: Path, train: list[str], message: str) -> None:
    lists(sop, train)
    with pytest.raises(ArcwiseError, match=message):
        open_manifest(sop)


def test_a_list_that_is_missing_or_no_text(sop: Path) -> None:
    (sop / "Ebay_train.txt").write_bytes(HEADER.encode() + b"1 1 1 caf\xe9.JPG\n")
    with pytest.raises(ArcwiseError, match="line 2 is not UTF-8"):
        open_manifest(sop)
    lists(sop)
    (sop / "Ebay_test.txt").unlink()
    with pytest.raises(ArcwiseError, match=r"Ebay_test\.txt: No such file"):
        open_manifest(sop)


def test_a_table_of_our_own_is_believed(sop: Path) -> None:
    (sop / "manifest.csv").write_text("image,identity\nbicycle_final/111085122871_0.JPG,a\n")
    assert open_manifest(sop).identities == ["a"]
    assert not products.recognises(sop)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_damage_is_an_error_or_fewer_images(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("sop")
    for line in [*TRAIN, *TEST]:
        place = root / line.split(maxsplit=3)[3]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"x")
    lists(root)
    whole = (root / "Ebay_train.txt").read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    cut = data.draw(st.booleans())
    damaged = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    (root / "Ebay_train.txt").write_bytes(damaged)
    try:
        manifest = open_manifest(root)
    except ArcwiseError as error:
        assert "Ebay_" in str(error)  # noqa: PT017 - an error is one of two right answers
    else:
        assert 2 <= len(manifest) <= 5
        assert all((root / image).is_file() for image in manifest.images)
