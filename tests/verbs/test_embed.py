"""The file of embeddings is a data set again, and says which model made it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.cluster import cluster
from arcwise.verbs.embed import embed


@pytest.mark.parametrize("where", ["elsewhere/deep/new.parquet", "beside"])
def test_read_back(served: Path, products: Path, tmp_path: Path, where: str) -> None:
    out = products / "vectors.parquet" if where == "beside" else tmp_path / where
    try:
        result = embed(served, products, out)
        manifest, found = open_manifest(products), open_manifest(out)
        assert (result.path, result.vectors, result.dim) == (out, 216, 32)
        assert found.identities == manifest.identities
        assert found.column("domain") == manifest.column("domain")
        assert found.read(7) == manifest.read(7)  # its images are found from where it lies
        assert os.path.isabs(found.images[0]) is (where != "beside")
        direct = runtime.embed_manifest(runtime.load(served), manifest).vectors
        np.testing.assert_array_equal(found.vectors, direct)
        about = pq.read_schema(out).metadata
        assert about[b"arcwise.fingerprint"].decode() == runtime.load(served).fingerprint
    finally:
        out.unlink(missing_ok=True)


def test_a_second_model_replaces_the_vectors(served: Path, products: Path, tmp_path: Path) -> None:
    embed(served, products, tmp_path / "one.parquet")
    embed(served, tmp_path / "one.parquet", tmp_path / "two.parquet")
    one, two = (open_manifest(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert two.table.column_names == one.table.column_names
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_unreadable_images_have_no_row(served: Path, new: Manifest, tmp_path: Path) -> None:
    for row in range(3):
        (tmp_path / "flat").mkdir(exist_ok=True)
        (tmp_path / "flat" / f"{row}.jpg").write_bytes(new.read(row) if row else b"no image")
    (tmp_path / "flat" / "notes.txt").write_text("")
    result = embed(served, tmp_path / "flat", tmp_path / "v.parquet")  # without identities
    assert [error.name for error in result.failures] == ["0.jpg"]
    assert result.ignored == ("notes.txt",)
    found = open_manifest(tmp_path / "v.parquet", identities=False)
    assert found.images == ["flat/1.jpg", "flat/2.jpg"]
    assert found.vectors.shape == (2, 32)


def test_refused_before_the_work(served: Path, products: Path, tmp_path: Path) -> None:
    (tmp_path / "there.parquet").write_text("precious")
    with pytest.raises(ArcwiseError, match="exists; name another place"):
        embed(tmp_path / "no model", tmp_path / "no data", tmp_path / "there.parquet")
    assert (tmp_path / "there.parquet").read_text() == "precious"
    with pytest.raises(ArcwiseError, match=r"end the name in \.parquet"):
        embed(served, products, tmp_path / "vectors.csv")
    with pytest.raises(ArcwiseError, match="no such file"):
        embed(served, tmp_path / "none", tmp_path / "new.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.parquet"]


def test_finds_what_was_embedded_before(
    served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `arcwise cluster MODEL DATA` kept, and every other command."""
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path / "cache"))
    cluster(new, model=served)
    result = embed(served, new, tmp_path / "e.parquet")
    assert result.reused == result.vectors == len(new)
    again = embed(served, new, tmp_path / "f.parquet", cached=False)
    assert again.reused == 0
    np.testing.assert_allclose(
        open_manifest(tmp_path / "e.parquet").vectors,
        open_manifest(tmp_path / "f.parquet").vectors,
        atol=1e-6,
    )
