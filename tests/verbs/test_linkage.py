"""Labelled embeddings become a linkage model folder; wrong data and wrong models are one line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.bundle import read_linkage
from arcwise.cli import main
from arcwise.clustering.linkage import model as linkage
from arcwise.data.digests import identity_digest
from arcwise.errors import ArcwiseError
from arcwise.verbs.cluster import cluster
from arcwise.verbs.linkage import train_linkage
from tests.clustering.linkage.test_training import people

FINGERPRINT = "c0ffee" * 10


def written(path: Path, *, identities: bool = True) -> Path:
    """A file of embeddings without their images, of a model that it names."""
    vectors, identity = people(30, 0)
    flat = pa.array(vectors.reshape(-1), pa.float32())
    columns = {
        "identity": [f"person {one}" for one in identity],
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    if not identities:
        del columns["identity"]
    table = pa.table(columns).replace_schema_metadata({"arcwise.fingerprint": FINGERPRINT})
    pq.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("embedded") / "people.parquet")


def test_the_model_folder(embedded: Path, tmp_path: Path) -> None:
    report = train_linkage(embedded, tmp_path / "linkage", epochs=2, learning_rate=0.01)
    bundle = read_linkage(report.path)
    assert bundle.embeddings_of == FINGERPRINT
    assert (bundle.dim, bundle.threshold) == (16, report.threshold)
    assert (len(bundle.digests["train"]), len(bundle.digests["choose"])) == (24, 6)
    everybody = {identity_digest(f"person {one}") for one in range(30)}
    assert {*bundle.digests["train"], *bundle.digests["choose"]} == everybody
    assert (report.identities, report.held_out) == (24, 6)
    assert bundle.training["embeddings"] == report.embeddings
    assert len(report.losses) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["linkage"]
    vectors, _ = people(5, 1)
    assert linkage.load(report.path).cluster(vectors).shape == (len(vectors),)


def test_clusters_other_identities(
    embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_linkage(embedded, tmp_path / "linkage", epochs=2, learning_rate=0.01)
    vectors, _ = people(5, 1)
    others = pa.table({"vector": pa.array(vectors.tolist(), pa.list_(pa.float32(), 16))})
    pq.write_table(others, tmp_path / "others.parquet")
    asked = ["cluster", str(tmp_path / "others.parquet"), "--out", str(tmp_path / "found.parquet")]
    asked += ["--linkage", str(tmp_path / "linkage")]
    assert main(asked) == 0
    found = pq.read_table(tmp_path / "found.parquet").column("cluster").to_numpy()
    expected = linkage.load(tmp_path / "linkage").cluster(vectors)
    same, same_expected = found[:, None] == found, expected[:, None] == expected
    assert (same == same_expected).all()
    assert "L-GCN" in capsys.readouterr().out

    (tmp_path / "found.parquet").unlink()
    of_another = others.replace_schema_metadata({"arcwise.fingerprint": "beef" * 16})
    pq.write_table(of_another, tmp_path / "others.parquet")
    assert main(asked) == 2
    assert "c0ffeec0ffee" in capsys.readouterr().err
    assert main([*asked, "--method", "dbscan"]) == 2
    assert "linkage" in capsys.readouterr().err
    assert not (tmp_path / "found.parquet").exists()


class Cut(Exception):
    """The process ends here."""


def test_a_stopped_training_goes_on(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arcwise.clustering.linkage.training._SAVE_EVERY", 2)
    whole = train_linkage(embedded, tmp_path / "whole", epochs=2)

    def stop(done: int, count: int) -> None:
        if done > count // 2:
            raise Cut

    with pytest.raises(Cut):
        train_linkage(embedded, tmp_path / "part", epochs=2, progress=stop)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["part.training", "whole"]
    train_linkage(embedded, tmp_path / "part", epochs=2)
    fingerprints = {read_linkage(tmp_path / one).fingerprint for one in ("part", "whole")}
    assert fingerprints == {read_linkage(whole.path).fingerprint}


def test_the_command(embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train-linkage", str(embedded), "--out", str(tmp_path / "linkage"), "--epochs", "1"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["identities"] == 24
    assert Path(document["path"]) == tmp_path / "linkage"
    assert main(words) == 0
    said = capsys.readouterr()
    assert "before" in said.out
    assert "24 identities" in said.out
    assert "24 identities" in said.err  # few
    assert main([*words[:-1], "2"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["embed", str(tmp_path / "linkage"), str(embedded)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'linkage'" in error
    assert "'encoder'" in error


def test_what_cannot_be_trained_on(embedded: Path, tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="identity"):
        train_linkage(written(tmp_path / "e.parquet", identities=False), tmp_path / "out")
    (tmp_path / "a.jpg").touch()
    (tmp_path / "names.csv").write_text("image,identity\na.jpg,ann\n")
    with pytest.raises(ArcwiseError, match="no vectors"):
        train_linkage(tmp_path / "names.csv", tmp_path / "out")
    with pytest.raises(ArcwiseError, match="aggregation"):
        train_linkage(embedded, tmp_path / "out", aggregation="sum")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.training").exists()


def test_what_is_there_stays(embedded: Path, tmp_path: Path) -> None:
    """A finished model of other data, another kind of folder, and a file."""
    train_linkage(embedded, tmp_path / "linkage", epochs=1)
    fingerprint = read_linkage(tmp_path / "linkage").fingerprint
    finished = train_linkage(embedded, tmp_path / "linkage", epochs=1)
    assert finished.earlier
    assert (finished.identities, finished.held_out, len(finished.losses)) == (24, 6, 1)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(ArcwiseError, match="exists"):
        train_linkage(embedded, tmp_path / "linkage", epochs=1, seed=1)
    for place in ("folder", "file"):
        with pytest.raises(ArcwiseError, match="exists"):
            train_linkage(embedded, tmp_path / place, epochs=1)
    assert read_linkage(tmp_path / "linkage").fingerprint == fingerprint
    assert not (tmp_path / "folder.training").exists()


def test_embeddings_of_nobody_knows_what(embedded: Path, tmp_path: Path) -> None:
    train_linkage(embedded, tmp_path / "linkage", epochs=1)
    vectors, _ = people(5, 1)
    others = pa.table({"vector": pa.array(vectors.tolist(), pa.list_(pa.float32(), 16))})
    pq.write_table(others, tmp_path / "others.parquet")
    found = cluster(tmp_path / "others.parquet", linkage=tmp_path / "linkage")
    assert any("others.parquet" in note for note in found.notes)
