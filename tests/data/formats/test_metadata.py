"""Hugging Face's imagefolder: a table beside the images, which may lie flat in their splits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError

AFolder = Callable[..., Path]
FLAT = ("train/1.png", "train/2.png", "test/1.png")
ROWS = {
    "train/1.png": ("Al", "train"),
    "train/2.png": ("Bo", "train"),
    "test/1.png": ("Al", "test"),
}


def rows(path: Path, inside: str = "") -> dict[str, tuple[str, str]]:
    manifest = open_manifest(path)
    splits = manifest.column("split") or [""] * len(manifest)
    found = zip(manifest.images, manifest.identities, splits, strict=True)
    assert all(manifest.read(row) for row in range(len(manifest)))
    return {image.removeprefix(inside): (identity, split) for image, identity, split in found}


def packed(root: Path) -> Path:
    path = root.with_suffix(".zip")
    with ZipFile(path, "w") as file:
        for one in sorted(root.rglob("*.*")):
            file.write(one, one.relative_to(root.parent))
    return path


def test_one_table_on_top(a_folder: AFolder) -> None:
    root = a_folder(*FLAT)
    lines = [f"{image},{identity}" for image, (identity, _) in ROWS.items()]
    (root / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    assert rows(root) == ROWS
    assert open_manifest(root).understood == "the table metadata.csv"
    assert rows(packed(root), "photos/") == ROWS


@pytest.mark.parametrize("name", ["Metadata.csv", "METADATA.CSV", "metadata.CSV"])
def test_a_table_in_capitals(a_folder: AFolder, name: str) -> None:
    root = a_folder(*FLAT)
    lines = [f"{image},{identity}" for image, (identity, _) in ROWS.items()]
    (root / name).write_text("\n".join(["file_name,label", *lines]))
    assert rows(root) == ROWS
    assert rows(packed(root), "photos/") == ROWS


def test_a_table_in_each_split(a_folder: AFolder) -> None:
    root = a_folder(*(path.replace("train", "Train") for path in FLAT))
    (root / "Train/metadata.csv").write_text("file_name,person,age\n1.png,Al,3\n2.png,Bo,4\n")
    (root / "test/metadata.jsonl").write_text('{"file_name": "1.png", "person": "Al"}\n\n')
    expected = {image.replace("train", "Train"): row for image, row in ROWS.items()}
    assert rows(root) == expected
    assert rows(packed(root), "photos/") == expected


def test_inside_a_single_folder(a_folder: AFolder) -> None:
    root = a_folder(*(f"data/{path}" for path in FLAT))
    lines = {"file_name": list(ROWS), "identity": [identity for identity, _ in ROWS.values()]}
    pq.write_table(pa.table(lines), root / "data/metadata.parquet")
    assert rows(root, "data/") == ROWS


def test_a_split_of_its_own_is_believed(a_folder: AFolder) -> None:
    root = a_folder("images/1.png", "images/2.png")
    (root / "metadata.csv").write_text(
        "file_name;label;split\nimages\\1.png;Al;TEST\nimages/2.png;Bo;train\n"
    )
    assert rows(root) == {"images/1.png": ("Al", "test"), "images/2.png": ("Bo", "train")}


def test_folders_name_identities_that_no_column_does(a_folder: AFolder) -> None:
    root = a_folder("train/Al/1.png", "test/Bo/1.png")
    (root / "metadata.csv").write_text("file_name,text\ntrain/Al/1.png,x\ntest/Bo/1.png,y\n")
    assert rows(root) == {"train/Al/1.png": ("Al", "train"), "test/Bo/1.png": ("Bo", "test")}


def test_what_it_does_not_list_is_said(a_folder: AFolder) -> None:
    root = a_folder(*FLAT)
    (root / "notes.txt").write_text("x")
    (root / "metadata.csv").write_text("file_name,label\ntrain/1.png,Al\n")
    manifest = open_manifest(root)
    assert manifest.images == ["train/1.png"]
    assert manifest.notes == (
        "2 images are left out: metadata.csv does not list them (test/1.png …)",
    )
    assert manifest.ignored == ("notes.txt", "test/1.png", "train/2.png")


def test_columns_of_other_names(a_folder: AFolder) -> None:
    root = a_folder(*FLAT)
    (root / "metadata.csv").write_text("shot,who\ntrain/1.png,Al\ntrain/2.png,-1\n")
    manifest = open_manifest(root, image_column="shot", identity_column="who", identities=False)
    assert manifest.column("identity") == ["Al", ""]
    (root / "metadata.csv").write_text("file_name,who\ntrain/1.png,Al\n")
    with pytest.raises(ArcwiseError, match=r"metadata\.csv: no column 'identity' among"):
        open_manifest(root)


def test_a_table_without_file_names_is_none_of_it(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    (root / "metadata.csv").write_text("licence\nCC0\n")
    manifest = open_manifest(root)
    assert (manifest.identities, manifest.ignored) == (["Al"], ("metadata.csv",))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("metadata.jsonl", b'{"file_name": "1.png"}\n[1]\n', "line 2 is no JSON object"),
        ("metadata.jsonl", b"{", "line 1 is no JSON object"),
        ("metadata.parquet", b"PAR1", "not a whole Parquet"),
        ("metadata.csv", b"file_name,label\nnone.png,a\n", "row 1: image 'none.png' is not in"),
    ],
)
def test_damage_is_named(a_folder: AFolder, name: str, data: bytes, said: str) -> None:
    root = a_folder("1.png")
    (root / name).write_bytes(data)
    with pytest.raises(ArcwiseError, match=said) as caught:
        open_manifest(root)
    assert name in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_of_that_name_is_no_table(a_folder: AFolder) -> None:
    root = a_folder("Al/1.png")
    os.mkfifo(root / "metadata.csv")
    assert open_manifest(root).identities == ["Al"]
