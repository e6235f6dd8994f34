"""Retrieval of the same person after so many years."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.protocols.age_gaps import BY_AGE_GAP
from arcwise.protocols.measure import measure, metrics
from arcwise.protocols.plan import plan_evaluation
from arcwise.protocols.template_set import with_names
from tests.protocols.tables import manifest, people, vectors

IDS = people(8, 4)
AGES: list[object] = [10.0, 12.0, 20.0, 45.0] * 8


def plan(group_by: tuple[str, ...] = (), **columns: list[object]):
    table = with_names(manifest(**({"identity": IDS, "age": AGES} | columns)))
    return plan_evaluation(table, [], group_by=group_by)


def test_gaps_of_0_to_5_6_to_15_and_16_and_more() -> None:
    planned, made = plan(), vectors(IDS, noise=1.2)
    results = measure(planned, made)
    found = results.by_age_gap
    assert found is not None
    queries = {name: one.queries for name, one in found.groups.items()}
    assert queries == {"up to 5": 16, "above 5 to 15": 24, "above 15": 32}
    ages = np.array(AGES, float)
    gap = evaluation.MateGap(ages, above=5.0, up_to=15.0)
    direct = evaluation.retrieval(made, IDS, gap=gap)
    assert found.groups["above 5 to 15"].map_at_r == direct.map_at_r
    rows = [one for one in metrics(planned, results, (), ()) if one.protocol == BY_AGE_GAP]
    assert [(one.group, one.name) for one in rows[:2]] == [
        ("up to 5", "recall@1"), ("up to 5", "MAP@R"),
    ]  # fmt: skip
    assert {one.column for one in rows} == {"age gap"}
    assert rows[2].rate == direct.recall_at(1)
    assert rows[2].counts == {"queries": 24, "searched": 32}


def test_verification_has_the_same_gaps() -> None:
    (breakdown,) = measure(plan(), vectors(IDS)).breakdowns
    assert list(breakdown.groups) == ["up to 5", "above 5 to 15", "above 15"]


def test_other_gaps_are_stated_once_for_both() -> None:
    results = measure(plan(("age:2,30",)), vectors(IDS))
    assert results.by_age_gap is not None
    assert list(results.by_age_gap.groups) == ["up to 2", "above 2 to 30", "above 30"]
    assert list(results.breakdowns[0].groups) == ["up to 2", "above 2 to 30", "above 30"]


def test_a_gap_that_nobody_has() -> None:
    results = measure(plan(age=[10.0, 12.0, 14.0, None] * 8), vectors(IDS))
    assert results.by_age_gap is not None
    assert list(results.by_age_gap.groups) == ["up to 5"]
    assert list(results.by_age_gap.unmeasured) == ["above 5 to 15", "above 15"]


def test_a_stated_gallery() -> None:
    """Queries of 45 years, one each, search the rest: mates are 25, 33 and 35 years younger."""
    results = measure(plan(split=["gallery", "gallery", "gallery", "query"] * 8), vectors(IDS))
    assert results.by_age_gap is not None
    assert {name: one.queries for name, one in results.by_age_gap.groups.items()} == {"above 15": 8}


def test_ages_that_are_not_known() -> None:
    planned = plan(age=[None] * 32)
    assert planned.gaps is None
    (fit,) = (one for one in planned.protocols if one.name == BY_AGE_GAP)
    assert (fit.measured, fit.why) == (False, "the column 'age' holds no number")


def test_without_the_column_nothing_is_said_of_it() -> None:
    table = with_names(manifest(identity=IDS))
    assert BY_AGE_GAP not in [one.name for one in plan_evaluation(table, []).protocols]


@pytest.mark.parametrize("age", [-5.0, 999.0, np.inf])
def test_ages_that_cannot_be(age: float) -> None:
    with pytest.raises(ArcwiseError, match=f"1 of 32 values of 'age' cannot be, such as {age:g}"):
        plan(age=[age, *AGES[1:]])
