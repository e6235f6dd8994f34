"""The line from a length to the value of a column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arcwise.bundle import LengthReading, add_length, read_bundle
from arcwise.errors import ArcwiseError, BundleError
from tests.bundle.test_bundle import edit, write


def test_the_line_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.uniform(5, 15, 50)
    ages = 4 * lengths - 10 + rng.normal(0, 3, 50)
    people = np.repeat([f"p{one}" for one in range(10)], 5)
    known = [*ages[:-1], np.nan]
    line = LengthReading.fitted("age", lengths, known, 30.0, 12.0, identities=people)
    slope, intercept = np.polyfit(lengths[:-1], ages[:-1], 1)
    assert line.values([0.0, 1.0]) == pytest.approx([intercept, intercept + slope])
    assert (line.mean, line.std) == (30.0, 12.0)


def test_r2_is_of_identities_that_the_line_was_not_fitted_to() -> None:
    """Each person of three images is told by a line through every second of the others."""
    rng = np.random.default_rng(1)
    people = rng.permutation(np.repeat([f"p{one}" for one in range(8)], 3))
    ages = rng.uniform(0, 60, 24)
    lengths = ages / 20 + rng.normal(0, 1, 24)
    line = LengthReading.fitted("age", lengths, ages, 5.0, 2.0, identities=people)
    even = np.isin(people, ["p0", "p2", "p4", "p6"])
    told = np.empty(24)
    for half in (even, ~even):
        told[half] = np.polyval(np.polyfit(lengths[~half], ages[~half], 1), lengths[half])
    r2 = 1 - np.square(told - ages).sum() / np.square(ages - ages.mean()).sum()
    assert line.r2 == pytest.approx(r2)


@pytest.mark.parametrize(("r2", "words"), [(-0.3, "hardly"), (0.3, "a part"), (0.8, "tells age")])
def test_what_is_said_follows_the_size(r2: float, words: str) -> None:
    assert words in str(LengthReading("age", 1.0, 0.0, 0.0, 1.0, r2))


def test_lengths_or_values_that_are_all_the_same() -> None:
    level = LengthReading.fitted("age", [2, 2, 2], [10, 20, 60], 20.0, 10.0, identities=[*"aab"])
    assert level.k == 0
    assert level.r2 <= 0
    assert level.values([7.0]) == pytest.approx([30.0])
    assert LengthReading.fitted("age", [1, 2, 3], [5, 5, 5], 0.0, 1.0, identities=[*"aab"]).r2 == 0
    with pytest.raises(ArcwiseError, match="2 images"):
        LengthReading.fitted("age", [1, 2], [5, 6], 0.0, 1.0, identities=["a", "b"])
    with pytest.raises(ArcwiseError, match="of 1 identities"):
        LengthReading.fitted("age", [1, 2, 3], [5, 6, 7], 0.0, 1.0, identities=["a", "a", "a"])


def test_a_model_folder_keeps_it(tmp_path: Path) -> None:
    before = write(tmp_path / "model")
    assert before.length is None
    line = LengthReading("age", 0.5, -5.0, 30.0, 12.0, 0.4)
    after = add_length(tmp_path / "model", line)
    assert after.length == line == read_bundle(tmp_path / "model").length
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize("change", [{"k": None}, {"k": "1"}, {"more": 1}])
def test_a_damaged_one_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path / "model")
    add_length(tmp_path / "model", LengthReading("age", 0.5, -5.0, 30.0, 12.0, 0.4))
    edit(tmp_path / "model", lambda about: about["encoder"]["length"].update(change))
    with pytest.raises(BundleError, match="length"):
        read_bundle(tmp_path / "model")
