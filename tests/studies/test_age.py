"""The tables of the study on ages: rates against slow loops, and the page that they make."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import age
import gap_tables
from arcwise import evaluation
from gap_tables import ALONE, BOTH, SEEDS, Measured, tables, tars


def test_a_rate_with_weights_is_that_of_repeated_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, same = rng.permutation(400) / 400, rng.random(400) < 0.3
    times = rng.integers(0, 3, 400)
    repeated = np.repeat(scores, times), np.repeat(same, times)
    impostors = np.sort(repeated[0][~repeated[1]])[::-1]
    threshold = impostors[int(0.01 * len(impostors))]
    expected = np.mean(repeated[0][repeated[1]] > threshold)
    (found,) = tars(scores, same, [times.astype(float)])
    assert found == pytest.approx(expected)


def measured(seed: int) -> Measured:
    rng = np.random.default_rng(seed)
    ids = np.repeat([f"p{seed}-{one}" for one in range(12)], 6)
    values = rng.uniform(0, 40, len(ids))
    centres = np.repeat(rng.normal(size=(12, 8)), 6, axis=0)
    vectors, told = {}, {}
    for arm, noise in (("as it is", 2.0), (ALONE, 1.0), (BOTH, 0.3)):
        drawn = [centres + noise * rng.normal(size=centres.shape) for _ in SEEDS]
        vectors[arm] = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in drawn]
        told[arm] = [values + 5 * noise * rng.normal(size=len(ids)) for _ in SEEDS]
    return Measured(ids, values, vectors, told, ["100 steps, weight 1"] * 3)


def test_tables_and_page() -> None:
    parts = [measured(0), measured(1)]
    found = tables(parts, (5.0, 15.0))
    one = found["tar"]["above 15"]
    assert one["as it is"][0] < one[ALONE][0] < one[BOTH][0]
    assert one["difference"][0] == pytest.approx(one[BOTH][0] - one[ALONE][0])
    assert one["difference"][1] <= one["difference"][0] <= one["difference"][2]
    assert (
        sum(row["mated"] for name, row in found["tar"].items() if name != "all")
        == (found["tar"]["all"]["mated"])
    )
    gap = evaluation.MateGap(parts[0].values, above=15.0)
    direct = evaluation.retrieval(parts[0].vectors[BOTH][0], parts[0].ids, gap=gap, draws=1)
    assert found["recall"]["above 15"]["queries"] >= direct.queries
    assert found["r2"][BOTH][0] > found["r2"][ALONE][0]
    text = "\n".join(age.page({"FG-NET": found | {"minutes": 1.0, "machine": "one"}}))
    assert "100 steps, weight 1: 6 times" in text
    assert "TAR, gap above 15" in text


def test_the_page_is_that_of_its_numbers() -> None:
    known = json.loads(age.RESULTS.read_text())
    assert age.PAGE.read_text() == "\n".join(age.page(known)) + "\n"
    assert Path(age.PICTURE).exists()
    assert gap_tables.FAR == 0.01
