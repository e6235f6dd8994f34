"""CSV and Parquet: what is wrong is named with its row, its column and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

HEADER = b"image,identity\n"


@pytest.fixture
def table(a_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A function: CSV bytes or Parquet columns → the file, with photos/1.png and 2.png beside."""
    a_folder("1.png", "2.png")

    def make(content: bytes | dict[str, object]) -> Path:
        if isinstance(content, bytes):
            (tmp_path / "set.csv").write_bytes(content)
            return tmp_path / "set.csv"
        pq.write_table(pa.table(content), tmp_path / "set.parquet")
        return tmp_path / "set.parquet"

    return make


Table = Callable[..., Path]


@pytest.mark.parametrize(
    "content",
    [
        b"image,identity\nphotos/1.png,007\nphotos/2.png,Coca Cola\n",
        b"\xef\xbb\xbfimage,identity\r\nphotos/1.png,007\r\nphotos/2.png,Coca Cola\r\n",
        b"image;identity\nphotos/1.png;007\nphotos/2.png;Coca Cola",
        b"image\tidentity\nphotos/1.png\t007\nphotos/2.png\tCoca Cola\n",
        b'image , identity\n"photos/1.png","007"\n\n"photos/2.png",Coca Cola\n\n',
        b"identity,image\n007,photos\\1.png\nCoca Cola,photos\\2.png\n",
        {"image": ["photos/1.png", "photos/2.png"], "identity": ["007", "Coca Cola"]},
        b"image,identity\rphotos/1.png,007\rphotos/2.png,Coca Cola\r",
        b"\xef\xbb\xbfimage,identity\rphotos/1.png,007\r\nphotos/2.png,Coca Cola\n",
        b",image,identity\n0,photos/1.png,007\n1,photos/2.png,Coca Cola\n",
        b'"","image","identity"\n"1","photos/1.png","007"\n"2","photos/2.png","Coca Cola"\n',
        b"image,identity\n1,photos/1.png,007\n2,photos/2.png,Coca Cola\n",
        b"sep=;\r\nimage;identity\r\nphotos/1.png;007\r\nphotos/2.png;Coca Cola\r\n",
        b"\xef\xbb\xbfSEP=|\nimage|identity\nphotos/1.png|007\nphotos/2.png|Coca Cola\n",
        b'"sep=\t"\rimage\tidentity\rphotos/1.png\t007\rphotos/2.png\tCoca Cola\r',
        b"image,identity\nphotos\\1.png,007\nphotos/2.png,Coca Cola\n",
        b"image,identity\nphotos/1.png,007\n photos\\2.png,Coca Cola\n",
        b"image,identity,,\nphotos/1.png,007,,\nphotos/2.png,Coca Cola, ,\n",
        b"image,identity\nphotos/1.png,007,\nphotos/2.png,Coca Cola,\n",
        b"\n \nimage,identity\nphotos/1.png,007\n,\nphotos/2.png,Coca Cola\n,\n\x1a",
    ],
)
def test_all_ways_to_write_the_same_table(table: Table, content: bytes) -> None:
    manifest = open_manifest(table(content))
    assert manifest.images == ["photos/1.png", "photos/2.png"]
    assert manifest.identities == ["007", "Coca Cola"]
    assert manifest.table.column_names in (["image", "identity"], ["identity", "image"])
    assert manifest.read(0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected a header"),
        (b"  \n \n", "empty; expected a header"),
        (HEADER, "a header and no rows"),
        (
            b"path,identity\na,b\n",
            r"no column 'image' .*among path, identity; .*--image-column path",
        ),
        (b"image,label\na,b\n", r"no column 'identity'.*--identity-column label"),
        (b"Image,identity\na,b\n", r"--image-column Image"),
        (b"image,identity,image\na,b,c\n", "'image' more than once"),
        (b"image,,identity\na,b,c\n", "a column without a name"),
        (b"image,identity,,\na,b,,\na,b,,9\n", "a column without a name .* row 2 has '9' in it"),
        (b",identity\nphotos/1.png,a\n", "no column 'image'.*--image-column 'Unnamed: 0'"),
        (b"sep=;\n", "empty; expected a header"),
        (HEADER + b'photos/1.png,"a\nphotos/2.png,b\n', "row 1: the double quote before 'a'"),
        ("image,identity\n".encode("utf-16-le"), "UTF-16"),
        (
            HEADER + b"photos/1.png,a\nphotos/2.png, \nphotos/2.png,\n",
            r"row 2: identity is empty \(2 ",
        ),
        (HEADER + b",a\n", "row 1: image is empty"),
        (
            HEADER + b"photos/1.png,a\nphotos/2.png,a,b\n",
            "row 2 has 3 columns where the header has 2",
        ),
        (HEADER + b"photos/1.png,a\nphotos/2.png\n", "row 2 has 1 columns"),
        (
            HEADER + "photos/1.png,a\nphotos/2.png,Müller\n".encode("latin-1"),
            "line 3 is not UTF-8 .*0xfc",
        ),
        ("image,größe\n".encode("latin-1"), "line 1 is not UTF-8"),
        ("image,identity\n".encode("utf-16"), "UTF-16"),
        (
            HEADER + b"none/1.png,a\nnone/2.png,a\n",
            r"row 1: image 'none/1.png' is not in .*--images",
        ),
        (b"image,identity,age\nphotos/1.png,a,9\nphotos/2.png,b,old\n", "row 2: age is 'old'"),
        (
            b"image,identity,landmarks\nphotos/1.png,a,1 2 3\n",
            "row 1: landmarks has 3 numbers; expected 10",
        ),
        (b"image,identity,box\nphotos/1.png,a,1 2 x 4\n", "row 1: box is '1 2 x 4'"),
        (b"image,identity,box\nphotos/1.png,a,1 2 nan 4\n", "row 1: box holds a NaN"),
        ({"image": ["photos/1.png"], "identity": [1.5]}, "holds double; expected text or whole"),
        ({"image": ["photos/1.png", None], "identity": [1, 2]}, "row 2: image is empty"),
        ({"image": [{"size": 1}], "identity": [1]}, "holds struct.*; expected text"),
        (
            {"vector": [[1.0, 2.0], [1.0]], "identity": [1, 2]},
            "row 2: vector has 1 numbers; expected 2",
        ),
        ({"vector": [[1.0], None], "identity": [1, 2]}, "row 2: vector has no numbers"),
        (
            {"vector": [[1.0, 2.0], [1.0, float("nan")], [1.0, None]], "identity": [1, 2, 3]},
            "row 2 and 1 others: vector holds a NaN",
        ),
        ({"name": ["a"], "identity": [1]}, "nor 'vector'"),
        ({"vector": [["0.1", "0.2"]], "identity": [1]}, "lists of text"),
        ({"vector": [[1.0, None]], "identity": [1]}, "a gap"),
        ({"vector": [["a"]], "identity": [1]}, "expected numbers"),
        ({"vector": [1.0], "identity": [1]}, "expected a list of numbers"),
    ],
)
def test_what_is_wrong_is_named(table: Table, content: bytes, message: str) -> None:
    path = table(content)
    with pytest.raises(ArcwiseError, match=message) as caught:
        open_manifest(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_unnamed_column_of_names_is_kept(table: Table) -> None:
    lines = b",image,identity\nfirst,photos/1.png,a\nsecond,photos/2.png,b\n"
    assert open_manifest(table(lines)).column("Unnamed: 0") == ["first", "second"]


@pytest.mark.parametrize(
    "word",
    ["-1", "-1.0", "-01", " -1 ", "nan", "NaN", "None", "none", "null", "NULL", "NA", "N/A", "<NA>",
     "", "  ", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_who_is_nobody_is_no_identity(table: Table, word: str, form: str) -> None:
    content: bytes | dict[str, object] = {
        "image": ["photos/1.png", "photos/2.png"],
        "identity": ["a", word],
    }
    if form == "csv":
        content = HEADER + f"photos/1.png,a\nphotos/2.png,{word}\n".encode()
    path = table(content)
    with pytest.raises(ArcwiseError, match=r"row 2: identity is .* \(1 such rows\)"):
        open_manifest(path)
    assert open_manifest(path, identities=False).column("identity") == ["a", ""]


@pytest.mark.parametrize("word", ["-2", "-10", "0", "Nan", "Na", "Null", "nano", "-1a", "1-1"])
def test_who_is_called_nearly_so_is_somebody(table: Table, word: str) -> None:
    manifest = open_manifest(table(HEADER + f"photos/1.png,a\nphotos/2.png,{word}\n".encode()))
    assert manifest.identities == ["a", word]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, -1, 2], ["1", "", "2"]),
        ([1.0, float("nan"), 2.0], ["1", None, "2"]),
        ([1.0, None, -1.0], ["1", None, ""]),
        ([None, None, None], [None, None, None]),
        (pa.array(["a", "None", "a"]).dictionary_encode(), ["a", "", "a"]),
    ],
)
def test_columns_of_numbers_as_pandas_writes_them(
    table: Table, values: object, expected: list[str | None]
) -> None:
    path = table({"image": ["photos/1.png", "photos/2.png", "photos/1.png"], "identity": values})
    assert open_manifest(path, identities=False).column("identity") == expected
    with pytest.raises(ArcwiseError, match=r"identity is .* such rows\)"):
        open_manifest(path)


def test_a_damaged_parquet_file_is_refused(table: Table) -> None:
    path = table({"image": ["photos/1.png"], "identity": ["a"]})
    whole = path.read_bytes()
    for cut in (0, 3, 50, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArcwiseError, match="not a whole Parquet file"):
            open_manifest(path)


def test_columns_of_other_names_and_pictures_elsewhere(
    a_folder: Callable[..., Path],
    a_zip: Callable[..., Path],
    a_picture: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    a_zip({"x/1.png": a_picture(1)}, name="images.zip")
    path = tmp_path / "list.csv"
    path.write_text("path,class_id,fold\nx/1.png,7,1\n")
    names = {"image_column": "path", "identity_column": "class_id"}
    with pytest.raises(ArcwiseError, match=r"--images .* \(beside it lies images\.zip\)"):
        open_manifest(path, **names)
    manifest = open_manifest(path, images=tmp_path / "images.zip", **names)
    assert manifest.read(0) == a_picture(1)
    assert manifest.column("fold") == ["1"]
    with pytest.raises(ArcwiseError, match=r"no column 'clas_id'.*did you mean 'class_id'"):
        open_manifest(path, image_column="path", identity_column="clas_id")
    path.write_text("path,image,identity\nx/1.png,7,1\n")
    with pytest.raises(ArcwiseError, match="rename one"):
        open_manifest(path, image_column="path")


def test_absolute_paths_and_paths_upwards(table: Table, tmp_path: Path) -> None:
    absolute = tmp_path / "photos" / "1.png"
    path = table(HEADER + f"{absolute},a\nphotos/../photos/2.png,b\n".encode())
    manifest = open_manifest(path)
    assert manifest.read(0) == absolute.read_bytes()
    assert manifest.read(1) == (tmp_path / "photos" / "2.png").read_bytes()


def test_typed_columns(table: Table) -> None:
    lines = (
        b"image,identity,age,landmarks,note\n"
        b'photos/1.png,a,12.5,1 2 3 4 5 6 7 8 9 10,"a,b"\n'
        b'photos/2.png,b,,,"two\nlines"\n'
    )
    manifest = open_manifest(table(lines))
    assert manifest.column("age") == [12.5, None]
    assert manifest.column("landmarks") == [[float(n) for n in range(1, 11)], None]
    assert manifest.column("note") == ["a,b", "two\nlines"]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.list_(pa.float16(), 3)]
)
def test_vectors(table: Table, kind: pa.DataType) -> None:
    vectors = np.arange(12, dtype=np.float64).reshape(4, 3)
    column = pa.array(vectors.tolist(), kind)
    manifest = open_manifest(table({"vector": column, "identity": [1, 1, 2, 2]}))
    assert manifest.vectors.dtype == np.float32
    assert (manifest.vectors == vectors).all()
    assert (manifest.select([3, 1]).vectors == vectors[[3, 1]]).all()
    assert manifest.where("identity", "3").vectors.shape[0] == 0
    assert manifest.classes == ["1", "2"]
    assert not manifest.has_images
    for ask in (lambda: manifest.images, lambda: manifest.read(0)):
        with pytest.raises(ArcwiseError, match="vectors"):
            ask()


def test_vectors_without_the_images_that_they_are_of(table: Table) -> None:
    content = {"image": ["gone/a.png"], "vector": [[1.0, 2.0]], "identity": ["a"]}
    manifest = open_manifest(table(content))
    assert manifest.images == ["gone/a.png"]
    assert manifest.vectors.shape == (1, 2)
    assert manifest.title.endswith(".parquet")


def test_a_table_without_identities_where_none_are_needed(table: Table) -> None:
    manifest = open_manifest(table(b"image\nphotos/1.png\n"), identities=False)
    assert isinstance(manifest, Manifest)
    assert manifest.column("identity") is None
    manifest = open_manifest(table(HEADER + b"photos/1.png,\nphotos/2.png,b\n"), identities=False)
    assert manifest.column("identity") == ["", "b"]
    with pytest.raises(ArcwiseError, match="no vectors; embed it first"):
        manifest.vectors  # noqa: B018


def test_landmarks_may_be_points(tmp_path: Path) -> None:
    points = [[2.0 * number, 2.0 * number + 1] for number in range(5)]
    table = pa.table({"vector": [[1.0]] * 2, "identity": ["a", "b"], "landmarks": [points, None]})
    pq.write_table(table, tmp_path / "x.parquet")
    found = open_manifest(tmp_path / "x.parquet").column("landmarks")
    assert found == [[float(number) for number in range(10)], None]
