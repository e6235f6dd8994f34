"""Pairs from a data set: what evaluate takes, in each form, by domain and by age."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise.cli import main
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_pairs import make_pairs
from arcwise.verbs.evaluate import evaluate


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def ages(tmp_path: Path) -> Path:
    """Vectors of 12 people at 1 to 61 years; half of the rows are for training."""
    rng = np.random.default_rng(0)
    rows = [(person, age) for person in range(12) for age in range(1, 62, 5)]
    columns = {
        "vector": rng.normal(size=(len(rows), 8)).tolist(),
        "identity": [f"p{person}" for person, _ in rows],
        "age": [float(age) for _, age in rows],
        "split": ["train" if person % 2 else "test" for person, _ in rows],
        "name": [f"p{person}-{age}" for person, age in rows],
    }
    pq.write_table(pa.table(columns), tmp_path / "ages.parquet")
    return tmp_path / "ages.parquet"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 6 people with 4 images each."""
    rng = np.random.default_rng(0)
    for person in range(6):
        (tmp_path / f"photos/P{person}").mkdir(parents=True)
        for number in range(1, 5):
            place = tmp_path / f"photos/P{person}/P{person}_{number:04}.png"
            cv2.imwrite(str(place), rng.integers(0, 256, (12, 10, 3), np.uint8))
    return tmp_path / "photos"


def test_rows_that_evaluate_measures_are_drawn_from(ages: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.csv"
    done = make_pairs(ages, out, pairs=60, folds=3, age_gap=(20, 40))
    assert (done.pairs, done.folds, done.identities, done.kind) == (60, 3, 6, "vectors")
    assert "from rows of split 'test'" in str(done)
    rows = read(out)
    assert list(rows[0]) == ["a", "b", "same", "fold", "age_gap"]
    for row in rows:
        (one, before), (other, after) = (row[side].split("-") for side in "ab")
        assert (one == other) == (row["same"] == "1")
        assert int(one[1:]) % 2 == int(other[1:]) % 2 == 0
        assert abs(int(before) - int(after)) == float(row["age_gap"])
        assert 20 <= float(row["age_gap"]) <= 40
    again = tmp_path / "again.csv"
    make_pairs(ages, again, pairs=60, folds=3, age_gap=(20, 40))
    assert again.read_bytes() == out.read_bytes()
    make_pairs(ages, tmp_path / "other.csv", pairs=60, folds=3, age_gap=(20, 40), seed=1)
    assert (tmp_path / "other.csv").read_bytes() != out.read_bytes()


def test_evaluate_takes_them_all_with_their_folds(ages: Path, tmp_path: Path) -> None:
    make_pairs(ages, tmp_path / "pairs.csv", pairs=60, folds=3, age_gap=(20, np.inf))
    result = evaluate("-", ages, pairs=tmp_path / "pairs.csv", out=tmp_path / "out")
    found = result.verification
    assert found is not None
    assert found.folds is not None
    assert found.folds.names.tolist() == [1, 2, 3]


def test_each_pair_has_a_image_of_both_domains(products: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.csv"
    make_pairs(products, out, pairs=60, folds=3, domains=("studio", "shop"))
    rows = read(out)
    assert {(row["domain_a"], row["domain_b"]) for row in rows} == {("studio", "shop")}
    assert all("/studio/" in row["a"] and "/studio/" not in row["b"] for row in rows)
    with pytest.raises(ArcwiseError, match=r"expected two of shop, studio"):
        make_pairs(products, tmp_path / "x.csv", domains=("studio", "moon"))
    with pytest.raises(ArcwiseError, match="no column 'age'; expected one for --age-gap"):
        make_pairs(products, tmp_path / "x.csv", age_gap=(1, 2))
    with pytest.raises(ArcwiseError, match=r"too few pairs of one identity .* at most"):
        make_pairs(products, tmp_path / "x.csv", domains=("studio", "shop"))
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("form", ["pairs.txt", "pairs.bin"])
def test_other_forms_hold_the_same_pairs(photos: Path, tmp_path: Path, form: str) -> None:
    make_pairs(photos, tmp_path / "pairs.csv", pairs=24, folds=2)
    make_pairs(photos, tmp_path / form, pairs=24, folds=2)
    expected = read(tmp_path / "pairs.csv")
    if form == "pairs.bin":
        pack = open_manifest(tmp_path / form, identities=False)
        source = open_manifest(photos)
        content = {source.read(row): source.image(row) for row in range(len(source))}
        assert pack.pairs is not None
        called = {pack.image(row): content[pack.read(row)] for row in range(len(pack))}
        got = [
            (called[row["a"]], called[row["b"]], str(int(row["same"])))
            for row in pack.pairs.to_pylist()
        ]
    else:
        text = (tmp_path / form).read_text().splitlines()
        assert text[0] == "2\t6"
        from arcwise.data.formats.pairs import read_lfw_pairs

        table = read_lfw_pairs(tmp_path / form, open_manifest(photos))
        assert table["fold"].to_pylist() == [int(row["fold"]) for row in expected]
        got = [(row["a"], row["b"], str(int(row["same"]))) for row in table.to_pylist()]
    assert got == [(row["a"], row["b"], row["same"]) for row in expected]


def test_a_image_in_two_rows_is_one(photos: Path, tmp_path: Path) -> None:
    names = [f"photos/P{p}/P{p}_{n:04}.png,P{p}" for p in range(6) for n in (1, 2, 3, 1)]
    (tmp_path / "set.csv").write_text("\n".join(["image,identity", *names]))
    done = make_pairs(tmp_path / "set.csv", tmp_path / "pairs.csv", pairs=36, folds=1)
    assert done.repeated == 6
    assert "6 rows passed over" in str(done)
    with pytest.raises(ArcwiseError, match="fold 1 has 18, all folds 18; ask for 36 pairs at most"):
        make_pairs(tmp_path / "set.csv", tmp_path / "more.csv", pairs=38, folds=1)


def test_a_image_under_two_spellings_is_one(photos: Path, tmp_path: Path) -> None:
    found = open_manifest(photos)
    images = [*found.images, *(f"./{one}" for one in found.images)]
    table = pa.table({"image": images, "identity": found.identities * 2})
    twice = replace(found, table=table)
    made = make_pairs(twice, tmp_path / "twice.csv", pairs=12, folds=2)
    assert made.repeated == len(found)


def test_the_command_line_says_what_it_expects(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "p.csv")
    words = ["data", "pairs", str(photos), out, "--pairs", "24", "--folds", "2"]
    assert main(words) == 0
    assert "24 pairs in 2 folds, half of them same; " in capsys.readouterr().out
    for more, said in (
        ([], "exists"),
        (["--domains", "studio"], "expected two with a comma"),
        (["--age-gap", "40-20"], "expected years, as in 20, or 20-40"),
        (["--age-gap", "old"], "expected years, as in 20, or 20-40"),
        (["--seed", "-1"], "expected a whole number from 0"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    assert main(["data", "pairs", str(photos), str(tmp_path / "pairs")]) == 2
    assert "end the name in .csv, .txt, .bin" in capsys.readouterr().err
