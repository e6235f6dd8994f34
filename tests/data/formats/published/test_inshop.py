"""In-Shop Clothes Retrieval: the partition, and the boxes where they are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from tests.damage import damaged

WOMEN = "img/WOMEN/Blouses_Shirts/id_00000001/02_1_front.jpg"
BACK = "img/WOMEN/Blouses_Shirts/id_00000001/02_2_back.jpg"
MEN = "img/MEN/Denim/id_00000080/01_1_front.jpg"
LINES = [
    f"{WOMEN}                             id_00000001 train ",
    f"{BACK} id_00000001 query",
    f"{MEN} id_00000080 gallery",
]
BOX_HEADER = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
BOXES = [f"{MEN} 2 1 050 060 150 256", f"{WOMEN} 1 3 48 73 208 247"]


def write(path: Path, header: str, lines: list[str], count: int | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    count = len(lines) if count is None else count
    path.write_text("\n".join([str(count), header, *lines]) + "\n")


@pytest.fixture
def inshop(a_folder: Callable[..., Path]) -> Path:
    root = a_folder(WOMEN, BACK, MEN, name="inshop")
    header = "image_name item_id evaluation_status"
    write(root / "Eval" / "list_eval_partition.txt", header, LINES)
    return root


def test_train_query_and_gallery(inshop: Path) -> None:
    manifest = open_manifest(inshop)
    assert manifest.table.to_pydict() == {
        "image": [WOMEN, BACK, MEN],
        "identity": ["id_00000001", "id_00000001", "id_00000080"],
        "split": ["train", "query", "gallery"],
        "superclass": ["WOMEN/Blouses_Shirts"] * 2 + ["MEN/Denim"],
    }
    assert manifest.read(2) == (inshop / MEN).read_bytes()


def test_images_inside_the_folder_img_of_the_download(inshop: Path) -> None:
    (inshop / "Img").mkdir()
    (inshop / "img").rename(inshop / "Img" / "img")
    (inshop / "Eval").rename(inshop / "Anno")
    manifest = open_manifest(inshop)
    assert len(manifest) == 3
    assert manifest.read(0)


@pytest.fixture
def boxed(inshop: Path) -> Path:
    write(inshop / "Anno" / "list_bbox_inshop.txt", BOX_HEADER, BOXES)
    return inshop


def test_boxes_are_joined_by_name(boxed: Path) -> None:
    manifest = open_manifest(boxed)
    assert manifest.column("box") == [[48, 73, 160, 174], None, [50, 60, 100, 196]]
    assert manifest.column("pose") == ["back", None, "front"]
    assert manifest.column("clothes") == ["upper-body", None, "lower-body"]
    wrong = f"{WOMEN} 1 3 48 73 x 247"
    write(boxed / "Anno" / "list_bbox_inshop.txt", BOX_HEADER, [BOXES[0], wrong])
    with pytest.raises(ArcwiseError, match=r"list_bbox_inshop\.txt: line 4"):
        open_manifest(boxed)


@pytest.mark.parametrize(
    ("lines", "count", "message"),
    [
        (LINES[:2], 3, r"line 1 states 3 images, below it are 2; .*cut off"),
        ([*LINES[:2], f"{MEN} id_00000080 probe"], 3, r"line 5: evaluation_status is 'probe'"),
        ([*LINES[:2], f"{MEN} id_00000080"], 3, r"line 5 is"),
        ([LINES[0], LINES[0]], 2, "more than once"),
        ([], 0, "holds no line"),
    ],
)
def test_bad_lists_are_named(inshop: Path, lines: list[str], count: int, message: str) -> None:
    header = "image_name item_id evaluation_status"
    write(inshop / "Eval" / "list_eval_partition.txt", header, lines, count)
    with pytest.raises(ArcwiseError, match=message):
        open_manifest(inshop)


def test_a_list_of_this_name_from_another_data_set_is_not_this_one(inshop: Path) -> None:
    (inshop / "Eval" / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n")
    manifest = open_manifest(inshop)  # as CelebA has it: a folder like any other
    assert manifest.column("split") is None
    assert "folder per identity" in manifest.understood


def test_missing_images_are_counted(inshop: Path) -> None:
    (inshop / BACK).unlink()
    manifest = open_manifest(inshop)
    assert manifest.images == [WOMEN, MEN]
    assert manifest.ignored == (BACK,)
    assert "1 of the 3 images" in manifest.notes[0]


@pytest.mark.parametrize("name", ["Eval/list_eval_partition.txt", "Anno/list_bbox_inshop.txt"])
def test_damage_is_an_error_that_names_the_file_or_fewer_rows(boxed: Path, name: str) -> None:
    path = boxed / name
    images = set(open_manifest(boxed).images)
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            manifest = open_manifest(boxed)
        except ArcwiseError as error:
            assert str(boxed) in str(error)  # noqa: PT017 - one of two right answers
        else:
            assert set(manifest.images) <= images
