"""A look with a model: exchanged labels come first, and what cannot be asked is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.cli import main
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_check import check


@pytest.fixture
def mislabelled(tmp_path: Path) -> Path:
    """Vectors of 8 identities with 5 rows each; row 1 is of the second identity."""
    rng = np.random.default_rng(0)
    means = np.linalg.qr(rng.normal(size=(16, 16)))[0][:8]
    vectors = np.repeat(means, 5, 0) + rng.normal(size=(40, 16)) * 0.1
    vectors[0] = means[1] + rng.normal(size=16) * 0.1
    rows = {"vector": vectors.tolist(), "identity": [f"p{row // 5}" for row in range(40)]}
    pq.write_table(pa.table(rows), tmp_path / "set.parquet")
    return tmp_path / "set.parquet"


def test_vectors_are_asked_without_a_model(
    mislabelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = check(mislabelled, model="-").by_model
    assert found is not None
    assert [one.identities for one in found.close] == [("p0", "p1")]
    assert found.close[0].images[0] == "row 1"
    assert [(one.image, one.identity, one.other) for one in found.outliers] == [
        ("row 1", "p0", "p1")
    ]
    assert found.least is not None
    assert found.close[0].similarity > found.least > found.outliers[0].own
    assert (found.copies_least, found.copies) == (None, ())
    assert main(["data", "check", str(mislabelled), "--model", "-"]) == 0
    text = capsys.readouterr().out
    assert "by the embeddings of vectors: candidates, to be looked at" in text
    assert "row 1: 0.9" in text
    assert "no problems" in text  # candidates are none


def test_a_data_set_to_check_against_is_asked_with_it(mislabelled: Path, tmp_path: Path) -> None:
    table = pq.read_table(mislabelled)
    pq.write_table(
        pa.table({"vector": table["vector"].slice(10, 5), "identity": ["new"] * 5}),
        tmp_path / "other.parquet",
    )
    found = check(mislabelled, against=[tmp_path / "other.parquet"], model="-").by_model
    assert found is not None
    assert ("p2", "new") in [one.identities for one in found.close]


def test_vectors_of_two_models_are_not_compared(mislabelled: Path, tmp_path: Path) -> None:
    rows = {"vector": np.eye(3).tolist(), "identity": ["a", "b", "c"]}
    pq.write_table(pa.table(rows), tmp_path / "other.parquet")
    with pytest.raises(ArcwiseError, match="3 dimensions and those of set 16"):
        check(mislabelled, against=[tmp_path / "other.parquet"], model="-")


def test_vectors_alone_cannot_be_embedded(mislabelled: Path, products: Path) -> None:
    with pytest.raises(ArcwiseError, match="holds no vectors"):
        check(products, model="-")


def test_a_model_finds_a_image_put_under_another_name(served: Path, known: Manifest) -> None:
    labels = known.identities
    wrong = [40]
    for row in wrong:
        labels[row] = labels[(row + 20) % len(labels)]
    column = known.table.column_names.index("identity")
    table = known.table.set_column(column, "identity", pa.array(labels))
    report = check(Manifest(table, known.root, "exchanged"), model=served)
    found = report.by_model
    assert found is not None
    assert {known.image(row) for row in wrong} <= {one.image for one in found.outliers}
    assert found.copies_least is not None
    assert 0.5 < found.copies_least < 1
    values = json.loads(json.dumps(report.as_dict()))["by_model"]
    assert values["outliers"][0]["image"] == found.outliers[0].image
    assert report.problems == check(Manifest(table, known.root, "exchanged")).problems


def test_copies_that_pixels_show_are_listed_once(served: Path, known: Manifest) -> None:
    twice = Manifest(pa.concat_tables([known.table, known.table.slice(3, 1)]), known.root, "twice")
    report = check(twice, model=served)
    same = (known.image(3), known.image(3))
    assert [group.images for group in report.duplicates] == [same]
    assert report.by_model is not None
    assert same not in [group.images for group in report.by_model.copies]


def test_no_identity_with_two_images_is_said(tmp_path: Path) -> None:
    rows = {"vector": np.eye(3).tolist(), "identity": ["a", "b", "c"]}
    pq.write_table(pa.table(rows), tmp_path / "set.parquet")
    assert "no identity has two " in str(check(tmp_path / "set.parquet", model="-"))
