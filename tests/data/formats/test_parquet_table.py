"""Parquet tables that hold their images: read without loading them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError


def write(path: Path, columns: dict[str, object], features: object = None) -> Path:
    table = pa.table(columns)
    if features is not None:
        text = features if isinstance(features, bytes) else json.dumps(features).encode()
        table = table.replace_schema_metadata({b"huggingface": text})
    pq.write_table(table, path)
    return path


def images(*paths: str | None) -> pa.Array:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.array([{"bytes": b"%d" % row, "path": one} for row, one in enumerate(paths)], kind)


def test_rows_and_base_names_are_the_images(tmp_path):
    path = write(
        tmp_path / "set.parquet",
        {
            "age": [1.0, 2.0, None, 4.0],
            "image": images("a/b.jpg", "c:\\d.png", None, ""),
            "identity": [1, 1, 2, 2],
        },
    )
    manifest = open_manifest(path)
    assert manifest.images == [
        "set.parquet/0/b.jpg", "set.parquet/1/d.png", "set.parquet/2", "set.parquet/3"
    ]  # fmt: skip
    assert [manifest.read(row) for row in range(4)] == [b"0", b"1", b"2", b"3"]
    assert manifest.identities == ["1", "1", "2", "2"]
    assert manifest.column("age") == [1.0, 2.0, None, 4.0]
    assert manifest.understood == "the table set.parquet, which holds its images"


def test_plain_bytes_and_a_label(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [b"one", b"two"], "label": [7, 8]})
    manifest = open_manifest(path)
    assert manifest.images == ["x.parquet/0", "x.parquet/1"]
    assert manifest.identities == ["7", "8"]
    assert open_manifest(path, identity_column="label").identities == ["7", "8"]


def test_class_labels_have_names(tmp_path):
    features = {"info": {"features": {
        "img": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}
    }}}  # fmt: skip
    columns = {"img": images("1", "2", "3"), "label": [1, 0, 1]}
    path = write(tmp_path / "x.parquet", columns, features)
    assert open_manifest(path).identities == ["dog", "cat", "dog"]
    assert open_manifest(path, image_column="img").read(2) == b"2"
    path = write(path, columns | {"label": [1, -1, 2]}, features)
    assert open_manifest(path, identities=False).column("identity") == ["dog", None, None]
    with pytest.raises(ArcwiseError, match=r"row 2: identity is empty \(2 such rows\)"):
        open_manifest(path)


@pytest.mark.parametrize(
    "features", [b"{", b"[]", {"info": 3}, {"info": {"features": {"label": 1}}}]
)
def test_metadata_that_says_nothing_is_no_matter(tmp_path, features):
    path = write(tmp_path / "x.parquet", {"image": [b"one"], "label": [7]}, features)
    assert open_manifest(path).identities == ["7"]


def test_images_inside_start_from_nowhere_else(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [b"one"], "label": [7]})
    with pytest.raises(ArcwiseError, match="its images are inside; leave out --images"):
        open_manifest(path, images=tmp_path)


def test_the_bytes_stay_in_the_file(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [bytes(2**20)] * 8, "label": [7] * 8})
    before = pa.total_allocated_bytes()
    manifest = open_manifest(path)
    assert pa.total_allocated_bytes() - before < 2**20
    assert len(manifest.read(3)) == 2**20


def test_pairs_lie_beside(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [b"one", b"two"], "label": [7, 8]})
    (tmp_path / "x.pairs.csv").write_text("a,b,same\nx.parquet/0,x.parquet/1,0\n")
    pairs = open_manifest(path).pairs
    assert pairs is not None
    assert pairs.to_pylist() == [{"a": "x.parquet/0", "b": "x.parquet/1", "same": False}]
