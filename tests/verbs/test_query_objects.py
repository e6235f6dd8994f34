"""Several faces or objects of an image on the command line: each is a query of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch

from arcwise import encoders, runtime
from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.images import Preparation, decode
from arcwise.images.detect import FaceDetector
from arcwise.images.landmarks import align
from arcwise.images.thumbnails import LONGEST
from arcwise.recognition import Recogniser
from arcwise.recognition.images import ImageList
from arcwise.verbs.query_images import query_images
from arcwise.verbs.query_objects import object_finder
from arcwise.verbs.search import search
from tests.recognition.test_recogniser import filled, images, model  # noqa: F401
from tests.verbs.conftest import threshold

PEOPLE = 4


@pytest.fixture(scope="module")
def portraits(data_dir: Path) -> list[bytes]:
    """Photographs of four people, of one face each."""
    detector = FaceDetector(data_dir / "models" / "yunet_n_dynamic.onnx")
    chosen: list[bytes] = []
    with ZipFile(data_dir / "lfw112" / "raw_sample_250.zip") as photographs:
        for name in photographs.namelist():
            content = photographs.read(name)
            if len(detector.detect(decode(content, name))) == 1:
                chosen.append(content)
            if len(chosen) == PEOPLE:
                break
    return chosen


def test_each_face_of_a_photograph(
    portraits: list[bytes], data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two by two people in one photograph are found, turned by their landmarks, and answered."""
    yunet = data_dir / "models" / "yunet_n_dynamic.onnx"
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=32, size=(48, 48)).eval()
    runtime.save(tmp_path / "m", encoder, Preparation(height=48, width=48), alignment="five-point")
    add_thresholds(tmp_path / "m", [threshold(0.1, 0.9)], measured_on="", digests=())
    pixels = [decode(one, "") for one in portraits]
    points = [FaceDetector(yunet).detect(one)[0].landmarks.reshape(-1).tolist() for one in pixels]
    with Recogniser(tmp_path / "m", tmp_path / "g", create=True) as one:
        for row, content in enumerate(portraits):
            (kept,) = one.enrol(f"p{row}", ImageList([content], [points[row]])).templates
            small = decode(one.gallery.thumbnail(kept) or b"", "")
            turned = align(pixels[row], points[row], LONGEST)  # not the 48 pixels of the network
            assert np.abs(small.astype(int) - turned.astype(int)).mean() < 12
    group = np.concatenate([np.concatenate(pixels[:2], 1), np.concatenate(pixels[2:], 1)])
    path = tmp_path / "group.png"
    cv2.imwrite(str(path), group[..., ::-1])
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((200, 200, 3), 128, np.uint8))

    words = [str(tmp_path / "g"), str(path), str(blank), "--detector", str(yunet), "--json"]
    assert main(["search", *words, "--out", str(tmp_path / "page.html")]) == 1
    found = json.loads(capsys.readouterr().out)["queries"]
    assert len(found) == PEOPLE + 1
    for number, one in enumerate(found[:-1], 1):
        left, top, width, height = one["object"]["box"]
        row = 2 * (top + height / 2 > 250) + (left + width / 2 > 250)
        assert one["identity"] == one["hits"][0]["identity"] == f"p{row}"
        assert one["image"] == f"{path}, {number} of {PEOPLE} at {left:.0f},{top:.0f}"
        assert one["object"]["image"] == str(path)
    assert {one["identity"] for one in found[:-1]} == {f"p{row}" for row in range(PEOPLE)}
    assert found[-1]["object"] == {"image": str(blank), "box": None}
    assert "finds nothing" in found[-1]["error"]
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img ") == PEOPLE * (1 + PEOPLE)

    assert main(["watchlist", *words, "--page", str(tmp_path / "w.html"), "--no-cache"]) == 1
    screened = json.loads(capsys.readouterr().out)
    assert {one["identity"] for one in screened["hits"]} == {f"p{row}" for row in range(PEOPLE)}
    assert screened["images"] == PEOPLE
    assert (tmp_path / "w.html").read_text().count("<img ") >= 2 * PEOPLE


@pytest.fixture
def shelf(images: list[np.ndarray], tmp_path: Path) -> Path:  # noqa: F811
    """A table of the boxes of a shelf with three products, and of another image."""
    cv2.imwrite(str(tmp_path / "shelf.png"), np.concatenate(images[2:5], 1)[..., ::-1])
    cv2.imwrite(str(tmp_path / "other.png"), images[9][..., ::-1])
    table = tmp_path / "boxes.csv"
    rows = ["shelf.png,32 0 16 16", "other.png,0 0 9 9", "shelf.png,0 0 16 16"]
    table.write_text("\n".join(["image,box", *rows]))
    return table


def test_boxes_of_a_table(
    filled: Path,  # noqa: F811
    shelf: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = os.path.relpath(tmp_path / "shelf.png")
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.zeros((9, 9, 3), np.uint8))
    assert main(["search", str(filled), asked, str(blank), "--boxes", str(shelf)]) == 1
    assert "1 of 3 queries are not answered" in capsys.readouterr().out
    found = search(filled, [asked], boxes=shelf)
    assert [one.decision and one.decision.identity for one in found.answers] == ["p4", "p2"]
    assert [one.image for one in found.answers] == [f"{asked}, 1 of 2 at 32,0",
                                                    f"{asked}, 2 of 2 at 0,0"]  # fmt: skip
    assert [one.box for one in found.objects] == [(32, 0, 16, 16), (0, 0, 16, 16)]
    (note,) = found.notes
    assert "other.png" in note
    every = search(filled, [shelf], boxes=shelf)  # the table names what to search with, too
    assert (len(every.answers), every.notes) == (3, ())


def test_what_cannot_be_asked(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="one of the two"):
        object_finder("yunet.onnx", shelf)
    with pytest.raises(ArcwiseError, match="--together"):
        object_finder(None, shelf, together=True)
    with pytest.raises(ArcwiseError, match="no such detector"):
        object_finder(tmp_path / "yunet.onnx", None)
    none = tmp_path / "none.csv"
    none.write_text("image,box\nshelf.png,1 2 3 4\nshelf.png,\n")
    with pytest.raises(ArcwiseError, match="row 2 has no box"):
        object_finder(None, none)
    none.write_text("image,left\nshelf.png,1\n")
    with pytest.raises(ArcwiseError, match="column `box`"):
        object_finder(None, none)
    none.write_text("image,box\nother.png,1 2 3 4\n")
    find = object_finder(None, none)
    assert find is not None
    nowhere = tmp_path / "nowhere.csv"
    nowhere.write_text("image,box\nnowhere.png,1 2 3 4\n")
    with pytest.raises(ArcwiseError, match="whole ones") as problem:
        object_finder(None, nowhere)
    assert "0 others" not in str(problem.value)
    with pytest.raises(ArcwiseError, match=r"other\.png"):
        find(query_images([tmp_path / "shelf.png"]), False)
