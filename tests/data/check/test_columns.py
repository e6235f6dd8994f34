"""What the check of a data set says of its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise.data.check import check
from arcwise.data.check.columns import HELD_OUT, PAIRS_A_BATCH, look_at_columns
from arcwise.data.manifest import Manifest
from arcwise.recipes import recipe


def table(**columns) -> Manifest:
    rows = len(next(iter(columns.values())))
    images = {"image": [f"{row}.png" for row in range(rows)]}
    return Manifest(pa.table(images | columns), Path(), "photos.csv")


def pairs(count: int) -> Manifest:
    names = [f"p{one}" for one in range(count) for _ in range(2)]
    return table(identity=names, domain=["id", "spot"] * count)


def test_the_numbers_of_the_recipe():
    config = recipe("bisample")
    assert config.data.batch // 2 == PAIRS_A_BATCH
    assert config.data.holdout == HELD_OUT


@pytest.mark.parametrize(("count", "batch"), [(40, None), (39, 62), (30, 48), (8, 8), (4, 0)])
def test_the_largest_batch_of_the_recipe(count, batch):
    assert look_at_columns(pairs(count)).batch == batch


def test_the_check_names_the_recipe_and_why(a_folder):
    names = ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "c/1.png"]
    root = a_folder(*names)
    domains = ["id", "spot", "id", "spot", "id"]
    both = pa.table({"image": names, "identity": [one[0] for one in names], "domain": domains})
    report = check(Manifest(both, root, "photos"))
    assert report.domains == {"id": 3, "spot": 2}
    assert "2 of 3 identities" in report.columns.two_images
    assert report.problems == 1
    assert any("1 identity has images of id or of spot only" in one for one in
               report.columns.problems)  # fmt: skip
    assert report.as_dict()["columns"]["problems"] == report.columns.problems
    plain = check(Manifest(both.drop_columns(["domain"]), root, "photos"))
    assert "bisample" not in str(plain)
    assert plain.problems == 0


@pytest.mark.parametrize(
    ("domains", "problem", "note"),
    [
        (["field", "tv", "field", "tv"], "", ""),
        (["field", "Field", "field", "tv"], "Field / field", "3 values"),
        (["field"] * 4, "", "is field in every row"),
        (["", "", "", ""], "", "domain is empty"),
        (["a", "b", "c", "d"], "", "4 values"),
    ],
)
def test_domains(domains, problem, note):
    found = look_at_columns(table(identity=["x", "x", "x", "x"], domain=domains))
    assert [problem in one for one in found.problems] == [True] * bool(problem)
    assert [note in one for one in found.notes] == [True] * bool(note)


def test_ages_are_counted_and_those_that_cannot_be_named():
    found = look_at_columns(table(identity=list("abcd"), age=[20.0, None, 40.0, 999.0]))
    assert found.ages == "known of 2 of 4 images, 20 to 40, median 30"
    assert "such as 999" in found.problems[0]
    assert "none of 2" in look_at_columns(table(age=[None, -5.0])).ages


def test_a_number_that_stands_for_unknown():
    rng = np.random.default_rng(0)
    blur = [*rng.uniform(0, 60, 50), 999.0, 999.0]
    found = look_at_columns(table(blur=[f"{one:.2f}" for one in blur], other=blur[::-1]))
    assert found.problems == ()
    assert [one.split(" in ")[0] for one in found.notes] == [
        "'blur' has 999", "'other' has 999",
    ]  # fmt: skip
    both = look_at_columns(table(blur=[*blur, -999.0]))
    assert "has -999 and 999 in 3 of 53 rows" in both.notes[0]
    assert look_at_columns(table(blur=blur[:50], flag=[0.0, 1.0] * 25)).notes == ()
