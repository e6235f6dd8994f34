"""Lists of pairs: LFW's, paths, CSV; each line that is wrong is named."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import make_archive
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pairs import (
    read_lfw_pairs,
    read_pairs_table,
    write_lfw_pairs,
    write_pairs_table,
)
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

AFolder = Callable[..., Path]

IMAGES = ["Ann/Ann_0001.jpg", "Ann/Ann_0012.png", "Bo/Bo_0001.jpg", "Bo/Bo_0002.jpg", "Cy/Cy.jpg"]


def manifest(images: list[str] | None = None, **more: list) -> Manifest:
    images = IMAGES if images is None else images
    identities = [image.split("/")[-2] for image in images]
    return Manifest(pa.table({"image": images, "identity": identities, **more}), Path(), "faces")


def a_list(folder: Path, text: str | bytes, name: str = "pairs.txt") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def rows(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.to_pylist()]


A1, A12, B1, B2, C = IMAGES


@pytest.mark.parametrize(
    "text",
    [
        "2\t1\nAnn\t1\t12\nAnn\t1\tBo\t2\nBo\t1\t2\nBo\t1\tAnn\t12\n",
        "2 1\r\nAnn 1 12\r\nAnn 01 Bo 0002\r\n\r\nBo  1 2\r\n\tBo 1 Ann 12",
    ],
)
def test_lfw_s_list(tmp_path: Path, text: str) -> None:
    table = read_lfw_pairs(a_list(tmp_path, text), manifest())
    assert table.schema == pa.schema(
        {"a": pa.string(), "b": pa.string(), "same": pa.bool_(), "fold": pa.int64()}
    )
    assert rows(table) == [
        (A1, A12, True, 1),
        (A1, B2, False, 1),
        (B1, B2, True, 2),
        (B1, A12, False, 2),
    ]


@pytest.mark.parametrize("header", ["1\n", ""])
def test_a_list_without_folds(tmp_path: Path, header: str) -> None:
    table = read_lfw_pairs(a_list(tmp_path, f"{header}Ann 1 12\nAnn 1 Bo 2\n"), manifest())
    assert table.column_names == ["a", "b", "same"]
    assert rows(table) == [(A1, A12, True), (A1, B2, False)]


def test_names_with_blanks_need_tabs(tmp_path: Path) -> None:
    table = read_lfw_pairs(
        a_list(tmp_path, "Ann Lee\t1\t2\n"), manifest(["Ann Lee/a1.jpg", "Ann Lee/a2.jpg"])
    )
    assert rows(table) == [("Ann Lee/a1.jpg", "Ann Lee/a2.jpg", True)]


@pytest.mark.parametrize(
    "image",
    ["Ann/Ann_0012", "x/Ann/Ann_0012.JPEG", "set.parquet/7/Ann_12.png", "a.zip/Ann/0012.jp2"],
)
def test_the_number_is_the_last_of_the_file_s_name(tmp_path: Path, image: str) -> None:
    table = pa.table({"image": [image, "Ann/Ann_0001.jpg"], "identity": ["Ann", "Ann"]})
    one = Manifest(table, tmp_path, "faces")
    assert rows(read_lfw_pairs(a_list(tmp_path, "Ann 1 12\n"), one)) == [
        ("Ann/Ann_0001.jpg", image, True)
    ]


def test_pairs_are_called_what_the_rows_are_called(tmp_path: Path) -> None:
    path = a_list(tmp_path, "Ann 1 12\n")
    named = manifest(template=["1", "2", "3", "4", "5"])
    assert rows(read_lfw_pairs(path, named)) == [("1", "2", True)]
    table = pa.table({"name": ["ann 1", "ann 12"], "identity": ["Ann", "Ann"]})
    assert rows(read_lfw_pairs(path, Manifest(table, tmp_path, "vectors"))) == [
        ("ann 1", "ann 12", True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ann/Ann_0001.jpg Bo/Bo_0002.jpg 0\n./Cy/Cy.jpg Ann/Ann_0001.jpg 1\n",
        "0 Ann/Ann_0001.jpg Bo/Bo_0002.jpg\n1\tCy/Cy.jpg\tAnn/Ann_0001.jpg\n".replace("\t", " "),
        "# a comment\nAnn/Ann_0001.jpg\tBo/Bo_0002.jpg\t0\nCy/Cy.jpg\tAnn/Ann_0001.jpg\t1",
    ],
)
@pytest.mark.parametrize("inside", ["", "faces.zip/", "more/Faces.ZIP/"])
def test_a_list_of_paths(tmp_path: Path, text: str, inside: str) -> None:
    packed = manifest([inside + image for image in IMAGES])
    expected = [(inside + A1, inside + B2, False), (inside + C, inside + A1, True)]
    assert rows(read_lfw_pairs(a_list(tmp_path, text), packed)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no pair in it; expected 'name 1 2'"),
        ("10\n", r"line 1 \(10\) states 20 pairs, half of them same, and 0 follow"),
        (
            "2 1\nAnn 1 12\nAnn 1 Bo 2\n",
            r"line 1 \(2 1\) states 4 pairs.* and 2 follow; correct it",
        ),
        ("0 300\nAnn 1 12\n", "line 1 is '0 300'"),
        ("Ann 1\n", "line 1 is 'Ann 1'"),
        ("Ann 1 12\nAnn 1 Bo\nAnn x 1\n", "line 2 has 'Ann/Bo', which is no image"),
        ("Ann 1 12\n\nAnn 1 2 Bo 2\n", "line 3 is 'Ann 1 2 Bo 2'; expected 'name 1 2' or"),
        (
            "Ann 1 12\nAnn 1 2\nDee 1 2\n",
            r"line 2 has 'Ann/2', which is no image of faces \(2 such lines\)",
        ),
        ("Ann 1 12\nAnn 1 Dee 2\n", "line 2 has 'Dee/2', which is no image"),
        ("Ann/Ann_0001.jpg Bo/Bo_0002.jpg 0\nx y 1\n", "line 2 has 'x', which is no image"),
        (
            "Cy/Cy.jpg Cy/Cy.jpg 1\nCy/Cy.jpg Cy/Cy.jpg yes\n",
            r"line 2 has 'yes'; expected 1 \(same",
        ),
        ("Cy/Cy.jpg Cy/Cy.jpg 1\nCy/Cy.jpg Cy/Cy.jpg\n", "line 2 has 2 words; expected two paths"),
        (b"Ann 1 12\n\xff 1 2\n", "line 2 is not UTF-8"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = a_list(tmp_path, text)
    with pytest.raises(ArcwiseError, match=message) as caught:
        read_lfw_pairs(path, manifest())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_name_of_two_images_is_refused_where_it_is_used(tmp_path: Path) -> None:
    double = manifest([*IMAGES, "Ann/again_1.jpg", "Bo/Bo_0009.jpg", "Bo/x/Bo/9.jpg"])
    with pytest.raises(ArcwiseError, match="line 2 has 'Ann/1', which is more than one image"):
        read_lfw_pairs(a_list(tmp_path, "Bo 1 2\nBo 1 Ann 1\n"), double)
    assert rows(read_lfw_pairs(a_list(tmp_path, "Bo 1 2\n"), double)) == [(B1, B2, True)]


def test_people_are_needed_and_paths_are_not(tmp_path: Path) -> None:
    nobody = replace(manifest(), table=manifest().table.drop_columns(["identity"]))
    with pytest.raises(ArcwiseError, match="faces: has no identities"):
        read_lfw_pairs(a_list(tmp_path, "Ann 1 12\n"), nobody)
    assert rows(read_lfw_pairs(a_list(tmp_path, f"{A1} {B2} 0\n"), nobody)) == [(A1, B2, False)]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match=r"none\.txt: cannot be read"):
        read_lfw_pairs(tmp_path / "none.txt", manifest())
    with pytest.raises(ArcwiseError, match=r"none\.csv: cannot be read"):
        read_pairs_table(tmp_path / "none.csv")


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1), st.integers(1, 4))
def test_lfw_s_list_is_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, images: list[tuple[int, int]], folds: int
) -> None:
    """Each fold: as many pairs within a person as between two."""
    everyone = manifest(
        [f"{one}/{one}_{number}.jpg" for one in ("A b", "é") for number in range(6)]
    )
    names = everyone.images
    pairs = [
        (names[first], names[6 * other + second], other == 0, fold)
        for fold in range(1, folds + 1)
        for other in (0, 1)
        for first, second in images
    ]
    table = pa.table(dict(zip(("a", "b", "same", "fold"), zip(*pairs, strict=True), strict=True)))
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    mixed = table.take(np.random.default_rng(0).permutation(len(pairs)))
    write_lfw_pairs(mixed, everyone, path)
    found = read_lfw_pairs(path, everyone)
    assert sorted(row[:3] for row in rows(found)) == sorted(row[:3] for row in pairs)
    counts = {
        fold: [row[2] for row in rows(found) if row[3] == fold] for fold in range(1, folds + 1)
    }
    assert list(counts.values()) == [[True] * len(images) + [False] * len(images)] * folds
    write_lfw_pairs(table.drop_columns(["fold"]), everyone, path)
    assert rows(read_lfw_pairs(path, everyone)) == sorted(
        (row[:3] for row in pairs), key=lambda row: not row[2]
    )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(A1, A12, True)], "as many pairs of the same identity as of others"),
        ([(A1, B1, False)], "as many pairs of the same identity as of others"),
        ([(A1, A12, False), (A1, B1, False)], "pair 1: same is False, and the identities say"),
        ([(A1, "x", True)], "pair 1: 'x' is not in faces"),
        (
            [(A1, A12, True), (A1, C, False)],
            r"pair 2: 'Cy/Cy\.jpg' is not identified by its identity and",
        ),
    ],
)
def test_what_lfw_s_list_cannot_say(tmp_path: Path, pairs: list[tuple], message: str) -> None:
    table = pa.table(dict(zip(("a", "b", "same"), zip(*pairs, strict=True), strict=True)))
    with pytest.raises(ArcwiseError, match=message) as caught:
        write_lfw_pairs(table, manifest(), tmp_path / "pairs.txt")
    assert "as .csv" in str(caught.value)
    assert not (tmp_path / "pairs.txt").exists()


def test_lfw_s_list_cannot_hold_a_tab(tmp_path: Path) -> None:
    odd = manifest(["A\tb/1.jpg", "A\tb/2.jpg", "Bo/1.jpg"])
    table = pa.table({"a": ["A\tb/1.jpg"] * 2, "b": odd.images[1:], "same": [True, False]})
    with pytest.raises(ArcwiseError, match=r"pair 1: .* has blanks or a # around it"):
        write_lfw_pairs(table, odd, tmp_path / "pairs.txt")


def test_a_csv(tmp_path: Path) -> None:
    text = 'same;b;age gap;a;fold\n1;"x;y.jpg";3;é.jpg;2\n0;007;;b;1\n'
    table = read_pairs_table(a_list(tmp_path, text, "pairs.csv"))
    assert table.to_pylist() == [
        {"same": True, "b": "x;y.jpg", "age gap": "3", "a": "é.jpg", "fold": 2},
        {"same": False, "b": "007", "age gap": "", "a": "b", "fold": 1},
    ]
    table = read_pairs_table(a_list(tmp_path, "a,b,same,fold\nx,y,1,left\n", "pairs.csv"))
    assert table["fold"].to_pylist() == ["left"]
    table = read_pairs_table(a_list(tmp_path, "a,b,same\nx,y,True\nx,y,false\n", "pairs.csv"))
    assert table["same"].to_pylist() == [True, False]


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1)] * 2,
            st.booleans(),
            st.integers(0, 9),
        ),
        min_size=1,
    )
)
def test_a_csv_is_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str, bool, int]]
) -> None:
    table = pa.table(dict(zip(("a", "b", "same", "fold"), zip(*pairs, strict=True), strict=True)))
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    write_pairs_table(table, path)
    assert read_pairs_table(path) == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,same\nx,1\n", "no column b; expected a, b and same"),
        ("name_a,name_b,same\nx,y,1\n", "no column a, b; expected"),
        ("a,b,same\n", "no pair in it"),
        ("a,b,same\nx,y,1\nx,y,yes\n", "row 2: same is 'yes'; expected 1 or 0"),
        ("a,b,same\nx,,1\n", "row 1: b is empty"),
        ("a,b,same\nx,y,1\nx,y\n", "row 2 has 2 columns"),
        ("", "empty"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = a_list(tmp_path, text, "pairs.csv")
    with pytest.raises(ArcwiseError, match=message) as caught:
        read_pairs_table(path)
    assert str(caught.value).startswith(str(path))


def test_millions_of_pairs_take_seconds(tmp_path: Path) -> None:
    """A tenth of what IJB-C has, in less than a tenth of the seconds allowed for all."""
    numbers = np.random.default_rng(0).integers(0, 23124, (2, 1_500_000))
    a, b = (pa.array(one).cast(pa.string()) for one in numbers)
    table = pa.table({"a": a, "b": b, "same": pa.array(numbers[0] == numbers[1])})
    write_pairs_table(table, tmp_path / "pairs.csv")
    start = time.process_time()
    assert read_pairs_table(tmp_path / "pairs.csv") == table
    assert time.process_time() - start < 3.0


def test_a_folder_s_own_list(a_folder: AFolder) -> None:
    root = a_folder("Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bo/Bo_0001.png")
    assert open_manifest(root).pairs is None
    a_list(root, "1 1\nAnn 1 2\nAnn 1 Bo 1\n")
    found = open_manifest(root)
    assert found.pairs is not None
    assert rows(found.pairs) == [
        ("Ann/Ann_0001.png", "Ann/Ann_0002.png", True, 1),
        ("Ann/Ann_0001.png", "Bo/Bo_0001.png", False, 1),
    ]
    assert found.understood == "a folder per identity; 2 pairs in pairs.txt"
    assert (found.ignored, found.notes) == ((), ())
    a_list(root, "a,b,same\nAnn/Ann_0001.png,Bo/Bo_0001.png,0\n", "pairs.csv")
    found = open_manifest(root)
    assert found.pairs is not None
    assert rows(found.pairs) == [("Ann/Ann_0001.png", "Bo/Bo_0001.png", False)]
    assert found.ignored == ("pairs.txt",)


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("pairs.txt", "Ann 1 3\n", "its pairs are not used: pairs.txt: line 1 has 'Ann/3', which"),
        ("pairs.csv", "name_a,name_b,same\n", "its pairs are not used: pairs.csv: no column a, b"),
        (
            "pairs.csv",
            "a,b,same\nAnn/Ann_0001.png,Dee/1.png,0\n",
            "its pairs are not used: pairs.csv: row 1: 'Dee/1.png' is no image of photos",
        ),
    ],
)
def test_a_folder_s_list_that_does_not_fit_is_noted(
    a_folder: AFolder, name: str, text: str, note: str
) -> None:
    root = a_folder("Ann/Ann_0001.png", "Ann/Ann_0002.png")
    a_list(root, text, name)
    found = open_manifest(root)
    assert found.pairs is None
    assert found.ignored == (name,)
    assert [one[: len(note)] for one in found.notes] == [note]


def test_a_zip_s_own_list(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Ann/Ann_0001.png", "Ann/Ann_0002.png")
    with ZipFile(tmp_path / "faces.zip", "w") as file:
        for path in root.rglob("*.png"):
            file.write(path, path.relative_to(root))
        file.writestr("pairs.txt", "Ann 1 2\n")
    found = open_manifest(tmp_path / "faces.zip")
    assert found.pairs is not None
    assert rows(found.pairs) == [("faces.zip/Ann/Ann_0001.png", "faces.zip/Ann/Ann_0002.png", True)]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.txt"])
@pytest.mark.parametrize("as_zip", [False, True])
def test_a_list_in_a_folder_around_all(
    a_folder: AFolder, tmp_path: Path, name: str, as_zip: bool
) -> None:
    """It starts from where it lies, and may be in another Unicode form."""
    root = a_folder("in/all/Jose\u0301/1.png", "in/all/Jose\u0301/2.png", "in/all/Bo/1.png")
    lines = ["Jos\u00e9/1.png,Jos\u00e9/2.png,1", "Bo/1.png,./Jos\u00e9\\1.png,0"]
    text = "\n".join(["a,b,same", *lines] if name.endswith(".csv") else lines)
    (root / "in" / "all" / name).write_text(
        text if name.endswith(".csv") else text.replace(",", " "), encoding="utf-8"
    )
    if as_zip:
        make_archive(str(tmp_path / "faces"), "zip", root)
        root = tmp_path / "faces.zip"
    found = open_manifest(root)
    assert found.notes == ()
    assert found.pairs is not None
    assert {*found.pairs["a"].to_pylist(), *found.pairs["b"].to_pylist()} == set(found.images)
    assert found.ignored == ()


def test_the_real_pairs_of_lfw(data_dir: Path, tmp_path: Path) -> None:
    """Eight of its ten folds, from a CSV to LFW's list and back."""
    table = read_pairs_table_of_lfw(data_dir, tmp_path)
    images = sorted({*table["a"].to_pylist(), *table["b"].to_pylist()})
    everyone = manifest(images)
    write_lfw_pairs(table, everyone, tmp_path / "pairs.txt")
    assert (tmp_path / "pairs.txt").read_text().startswith("8\t300\n")
    found = read_lfw_pairs(tmp_path / "pairs.txt", everyone)
    order = np.lexsort((~table["same"].to_numpy(), table["fold"].to_numpy()))
    assert found == table.select(found.column_names).take(order)


def read_pairs_table_of_lfw(data_dir: Path, tmp_path: Path) -> pa.Table:
    text = (data_dir / "lfw112" / "pairs.csv").read_text()
    renamed = text.replace("path_a", "a", 1).replace("path_b", "b", 1)
    return read_pairs_table(a_list(tmp_path, renamed, "pairs.csv"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_names_in_another_unicode_form(a_folder, tmp_path: Path, form: str, other: str) -> None:
    name = unicodedata.normalize(form, "Jos\u00e9")
    a_folder(f"{name}/{name}_0001.png", f"{name}/{name}_0002.png", "Bo/Bo_0001.png")
    listed = unicodedata.normalize(other, "Jos\u00e9 1 2\nJos\u00e9 1 Bo 1\n")
    (tmp_path / "photos" / "pairs.txt").write_text(listed, encoding="utf-8")
    found = open_manifest(tmp_path / "photos")
    assert found.notes == ()
    assert found.pairs is not None
    assert found.pairs["same"].to_pylist() == [True, False]
