"""Two disjoint galleries, averaged: against each of them alone, and against the published code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Identification, TwoGalleries
from tests.evaluation.test_identification import published_1n

FIRST, SECOND = list("abc"), list("xy")


def searched(scores: np.ndarray, names: list[str]) -> tuple[Identification, Identification]:
    """Return the same probes in both galleries."""
    return (
        evaluation.identification(scores[:, :3], names, FIRST, draws=5),
        evaluation.identification(scores[:, 3:], names, SECOND, draws=5),
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_mean_of_two_and_the_published_numbers(data: st.DataObject) -> None:
    probes = data.draw(st.integers(2, 14))
    values = data.draw(st.lists(st.integers(-3, 3), min_size=5 * probes, max_size=5 * probes))
    scores = np.array(values, dtype=np.float32).reshape(probes, 5)
    names = data.draw(st.lists(st.sampled_from("abcxyz"), min_size=probes, max_size=probes))
    names[:2] = "a", "x"
    fpir = data.draw(st.sampled_from([0.01, 0.1, 0.29, 0.5, 1.0]))
    parts = searched(scores, names)
    both = evaluation.two_galleries(*parts)
    for k in (1, 2):
        assert both.rank(k) == pytest.approx(np.mean([part.rank(k) for part in parts]))
    assert both.cmc(3) == pytest.approx(np.mean([part.cmc(3) for part in parts], axis=0))
    assert both.dir_at(fpir) == pytest.approx(np.mean([part.dir_at(fpir) for part in parts]))
    assert both.dir_at(fpir).low <= both.dir_at(fpir) <= both.dir_at(fpir).high

    rates, firsts = zip(
        *(
            published_1n(scores[:, columns], names, held, fpir)
            for columns, held in ((slice(0, 3), FIRST), (slice(3, 5), SECOND))
        ),
        strict=True,
    )
    known = sum(name != "z" for name in names)
    assert both.dir_at(fpir, "insightface") == pytest.approx(np.mean(rates))
    assert both.rank(1, "insightface") == pytest.approx(sum(firsts) / known)
    assert both.cmc(1, "insightface")[0] == pytest.approx(sum(firsts) / known)


@pytest.fixture(scope="module")
def people() -> TwoGalleries:
    """Return 300 identities of three probes each: 100 in one gallery, 150 in the other."""
    generator = np.random.default_rng(0)
    names = np.arange(300).repeat(3)
    scores = generator.normal(size=(900, 250)) + 3 * (names[:, None] == np.arange(250))
    return evaluation.two_galleries(
        evaluation.identification(scores[:, :100], names, np.arange(100)),
        evaluation.identification(scores[:, 100:], names, np.arange(100, 250)),
    )


def test_identities_are_drawn_for_both_at_once(people: TwoGalleries) -> None:
    """Both halves' errors are independent here, so the mean varies less than either."""
    widths = [r.high - r.low for r in (people.first.rank(1), people.second.rank(1))]
    mean = people.rank(1)
    assert mean.low < mean < mean.high
    assert mean.high - mean.low < min(widths)
    assert mean.high - mean.low == pytest.approx(np.hypot(*widths) / 2, rel=0.2)
    rates = people.dirs_at((0.01, 0.1, 1.0))
    assert list(rates) == sorted(rates)
    assert [rate.resolved for rate in rates] == [False, True, True]
    assert rates[-1] == pytest.approx(people.rank(1))
    assert "DIR@0.1 " in str(people)
    assert "DIR@0.01" not in str(people)


def test_the_conventions_are_two_names(people: TwoGalleries) -> None:
    assert people.rank(1, "insightface") != people.rank(1)  # 300 and 450 known probes
    with pytest.raises(ArcwiseError, match="expected 'average' or 'insightface'"):
        people.rank(1, "pooled")  # type: ignore[arg-type]


def test_what_is_no_such_protocol_is_refused() -> None:
    names = list("axz")
    first, second = searched(np.zeros((3, 5), np.float32), names)
    shared = evaluation.identification(np.zeros((3, 2), np.float32), names, list("bx"))
    with pytest.raises(ArcwiseError, match="identity b is in both galleries"):
        evaluation.two_galleries(first, shared)
    other = evaluation.identification(np.zeros((3, 2), np.float32), list("axx"), SECOND)
    with pytest.raises(ArcwiseError, match="different probes"):
        evaluation.two_galleries(first, other)
    nobody = evaluation.two_galleries(
        first, evaluation.identification(np.zeros((3, 1), np.float32), names, ["q"])
    )
    with pytest.raises(ArcwiseError, match="spelt the same way"):
        nobody.rank(1)
    with pytest.raises(ArcwiseError, match="1 or more"):
        evaluation.two_galleries(first, second).rank(0)
