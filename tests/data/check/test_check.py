"""The look at a data set finds what was hidden in it, and nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from arcwise.data.check import check
from arcwise.data.check.merged_rows import suspects
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_check import check as check_verb
from arcwise.verbs.data_convert import convert

AFolder = Callable[..., Path]
NAMES = ("Ba", "Ri", "Ca", "Ra", "Ch", "Su")


def test_a_clean_data_set_has_no_problems(a_folder: AFolder) -> None:
    report = check(
        open_manifest(a_folder(*[f"p{n}/{m}.png" for n in range(3) for m in range(n + 1)]))
    )
    assert report.problems == 0
    assert (report.images, report.identities) == (6, 3)
    assert report.per_identity == {"p0": 1, "p1": 2, "p2": 3}
    assert report.single == ["p0"]
    assert report.sizes == {(10, 12): 6}
    assert report.histogram == {"1": 1, "2": 1, "3-4": 1}
    assert "no problems" in str(report)
    assert "one image only     1 identities" in str(report)


def test_all_that_is_wrong_is_found(a_folder: AFolder, a_picture: Callable[..., bytes]) -> None:
    root = a_folder(
        "train/Al/1.png",
        "train/Al/2.png",
        "train/Bob/1.png",
        "test/Al/1.png",
        "test/coca-cola/1.png",
        "train/Coca Cola/1.png",
    )
    (root / "train/Al/cut.png").write_bytes(a_picture(9)[:-20])
    (root / "train/Al/page.jpg").write_text("<html>404</html>")
    (root / "train/Al/notes.txt").write_text("hello")
    pixels = cv2.imdecode(np.frombuffer(a_picture(0), np.uint8), cv2.IMREAD_COLOR_RGB)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    (root / "train/Al/same.webp").write_bytes(buffer.getvalue())  # other bytes, the same pixels
    (root / "train/Bob/2.png").write_bytes(a_picture(1))
    (root / "test/coca-cola/2.png").write_bytes(a_picture(2))
    report = check(open_manifest(root))
    assert [one.image for one in report.unreadable] == ["train/Al/cut.png", "train/Al/page.jpg"]
    assert {group.images for group in report.duplicates} == {
        ("train/Al/1.png", "train/Al/same.webp"),
        ("train/Al/2.png", "train/Bob/2.png"),
        ("test/coca-cola/2.png", "train/Bob/1.png"),
    }
    assert {group.identities for group in report.mislabelled} == {
        ("Al", "Bob"),
        ("Bob", "coca-cola"),
    }
    assert [group.images for group in report.leaked] == [
        ("test/coca-cola/2.png", "train/Bob/1.png")
    ]
    assert report.shared == ("Al",)
    assert report.suspects == (("Coca Cola", "coca-cola"),)
    assert report.ignored == ("train/Al/notes.txt",)
    assert report.splits == {"test": 3, "train": 8}
    assert report.problems == 2 + 3 + 1 + 1
    text = str(report)
    for expected in (
        "cut.png: cut short",
        "train/Al/2.png = train/Bob/2.png",
        "Coca Cola / coca-cola",
        "notes.txt",
        "7 problems",
    ):
        assert expected in text
    values = json.loads(json.dumps(report.as_dict()))
    assert values["problems"] == 7
    assert values["unreadable"][0]["image"] == "train/Al/cut.png"
    assert values["sizes"] == {"10x12": 9}


@pytest.mark.parametrize("form", ["zip", "rec", "tar", "parquet", "bin"])
def test_a_damaged_record_of_any_container_is_listed_and_stops_nothing(
    a_folder: AFolder, tmp_path: Path, form: str
) -> None:
    root = a_folder(*[f"p{n}/{m}.png" for n in range(3) for m in range(3)])
    source = open_manifest(root)
    a, b = source.images[:8:2], source.images[1:8:2]
    pairs = pa.table({"a": a, "b": b, "same": [x[:2] == y[:2] for x, y in zip(a, b, strict=True)]})
    convert(replace(source, pairs=pairs), tmp_path / f"set.{form}")
    (packed,) = tmp_path.glob(f"set*.{form}")  # shards are numbered
    whole = check(open_manifest(packed, identities=False))
    data = bytearray(packed.read_bytes())
    image = (root / "p1" / "1.png").read_bytes()
    place = bytes(data).index(image)
    data[place + 30 : place + len(image)] = bytes(len(image) - 30)
    packed.write_bytes(data)
    report = check(open_manifest(packed, identities=False))
    assert len(report.unreadable) == 1
    assert report.images == whole.images
    assert sum(report.sizes.values()) == whole.images - 1
    assert "cannot be decoded (1)" in str(report)


def test_notes_of_the_reader_are_shown(a_folder: AFolder) -> None:
    report = check(replace(open_manifest(a_folder("p/1.png")), notes=("labels are of 32 bits",)))
    assert "  warning            labels are of 32 bits" in str(report)
    assert report.as_dict()["notes"] == ["labels are of 32 bits"]


def test_another_data_set_must_share_nothing(a_folder: AFolder, tmp_path: Path) -> None:
    train = open_manifest(a_folder("Al/1.png", "Bob/1.png"))
    evaluation = open_manifest(a_folder("Cy/1.png", "Bob/2.png", name="evaluation"))
    report = check(train, against=[evaluation])
    assert report.images == 2
    assert report.shared == ("Bob",)
    assert {group.images for group in report.leaked} == {
        ("Al/1.png", "evaluation: Cy/1.png"),
        ("Bob/1.png", "evaluation: Bob/2.png"),
    }
    twice = check_verb(tmp_path / "photos", against=[tmp_path / "photos"])  # of one name
    assert len(twice.leaked) == 2


def test_progress_reaches_the_end_and_the_order_is_kept(a_folder: AFolder) -> None:
    manifest = open_manifest(a_folder(*[f"p/{n:03}.png" for n in range(150)]))
    calls: list[tuple[int, int]] = []
    for workers in (1, 5):
        report = check(manifest, workers=workers, progress=lambda *numbers: calls.append(numbers))
        assert report.problems == 0
    assert calls == [(64, 150), (128, 150), (150, 150)] * 2


def test_vectors_and_tables_without_identities_are_looked_at(
    tmp_path: Path, a_folder: AFolder
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]
    pq.write_table(
        pa.table({"vector": vectors, "identity": ["a", "b", "b"]}), tmp_path / "v.parquet"
    )
    report = check(open_manifest(tmp_path / "v.parquet"))
    assert [group.images for group in report.mislabelled] == [("row 1", "row 3")]
    report = check_verb(a_folder("1.png", "2.png"))
    assert (report.images, report.identities, report.problems) == (2, 0, 0)
    with pytest.raises(ArcwiseError):
        check_verb(tmp_path / "none")


def test_suspects_are_spellings_and_not_neighbours() -> None:
    names = ["Coca Cola", "coca-cola", "CocaCola", "Apple 8", "Apple 9", "Apple_8", "Pepsi"]
    names += [
        "M\u00fcller",
        "Mu\u0308ller",
        "Choi_Sung-hong",
        "Sung_Hong_Choi",
        "",
        "--",
        "..",
        "安",
        "案",
    ]
    assert suspects(names) == [
        ("Apple 8", "Apple_8"),
        ("Choi_Sung-hong", "Sung_Hong_Choi"),
        ("Coca Cola", "CocaCola", "coca-cola"),
        ("Mu\u0308ller", "M\u00fcller"),
    ]


def test_the_known_flaws_of_a_real_data_set_are_found(data_dir: Path) -> None:
    """LFW: the same photograph under two names, twice; people under two spellings."""
    parts = [open_manifest(data_dir / "lfw112" / f"images_{n}.zip") for n in (1, 2)]
    some = [
        part.select([row for row, name in enumerate(part.identities) if name[:2] in NAMES])
        for part in parts
    ]
    report = check(some[0], against=some[1:])
    assert report.unreadable == ()
    assert [group.identities for group in report.mislabelled] == [
        ("Bart_Hendricks", "Ricky_Ray"),
        ("Carlos_Beltran", "Raul_Ibanez"),
    ]
    assert ("Choi_Sung-hong", "Sung_Hong_Choi") in report.suspects


def test_who_has_no_identity_is_counted(a_folder: AFolder, tmp_path: Path) -> None:
    a_folder("1.png", "2.png", "3.png", "4.png")
    rows = ["photos/1.png,a", "photos/2.png,-1", "photos/3.png,nan", "photos/4.png,"]
    (tmp_path / "set.csv").write_text("\n".join(["image,identity", *rows]))
    report = check(open_manifest(tmp_path / "set.csv", identities=False))
    assert report.nobody == ("photos/2.png", "photos/3.png", "photos/4.png")
    assert report.per_identity == {"a": 1}
    assert report.problems == 1
    assert report.as_dict()["nobody"] == list(report.nobody)
    assert "not trained on (3)" in str(report)
    assert check(open_manifest(a_folder(), identities=False)).nobody == ()
