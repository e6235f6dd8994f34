"""Groups of pairs: each is measured as if it were alone, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation.groups import by_group


def aged(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Scores, `same`, years between the images, and identities."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(20, size=(2, 3000))
    ids[1, ::2] = ids[0, ::2]
    same = ids[0] == ids[1]
    years = generator.integers(0, 30, size=3000)
    return generator.normal(size=3000) + same * (3 - years / 15), same, years, ids[0], ids[1]


@pytest.mark.parametrize("known", [True, False])
def test_each_group_is_measured_as_if_alone(known: bool) -> None:
    scores, same, years, ids_a, ids_b = aged()
    domain = np.where(years < 15, "shop", "studio")
    sides = {"ids_a": ids_a, "ids_b": ids_b} if known else {}
    breakdown = by_group(scores, same, domain, far=0.05, draws=30, **sides)
    assert list(breakdown.measured) == ["shop", "studio"]
    assert not breakdown.unmeasured
    for name, result in breakdown.measured.items():
        rows = domain == name
        part = {side: ids[rows] for side, ids in sides.items()}
        alone = evaluation.verification(scores[rows], same[rows], None, draws=30, **part)
        assert str(result) == str(alone)
        assert str(alone.eer) in str(breakdown)
        assert str(alone.tar_at(0.05)) in str(breakdown)


def test_numbers_are_put_in_bins() -> None:
    scores, same, years, *_ = aged()
    breakdown = by_group(scores, same, years, edges=(0, 6, 16, 30), far=0.05)
    assert list(breakdown.measured) == ["0 to below 6", "6 to below 16", "16 to below 30"]
    for (low, high), result in zip(
        ((0, 6), (6, 16), (16, 30)), breakdown.measured.values(), strict=True
    ):
        rows = (years >= low) & (years < high)
        assert result.tar_at(0.05) == evaluation.verification(
            scores[rows], same[rows], None
        ).tar_at(0.05)
    eers = [float(result.eer) for result in breakdown.measured.values()]
    assert eers == sorted(eers)


def test_a_group_of_one_kind_is_listed() -> None:
    scores, same, years, *_ = aged()
    group = np.where(same & (years > 25), "old", np.where(years > 5, "middle", "young"))
    few = np.flatnonzero(~same & (group == "young"))[3:]
    group[few] = "middle"
    breakdown = by_group(scores, same, group)
    assert list(breakdown.measured) == ["middle", "young"]
    assert breakdown.unmeasured == {"old": (int((group == "old").sum()), 0)}
    lines = {line.split()[0]: line for line in str(breakdown).splitlines()[1:]}
    assert lines["old"].endswith("not measurable")
    assert lines["young"].endswith("too few impostors")
    assert not breakdown.measured["young"].tar_at(0.01).resolved
    empty = by_group(scores, same, years, edges=(-5, 0, 30))
    assert empty.unmeasured == {"-5 to below 0": (0, 0)}


@pytest.mark.parametrize(
    ("groups", "edges", "message"),
    [
        (["a", "b"], None, "groups has shape"),
        ([1.5, 2.5, 3.5], None, "groups holds float64"),
        ([1, 2], (0, 9), "groups has 2 numbers"),
        ([1, 2, np.nan], (0, 9), "NaN"),
        ([1, 2, 9], (0, 9), r"groups\[2\] is 9, expected 0 to below 9"),
        ([1, 2, 3], (9, 0), "ascending"),
        ([1, 2, 3], (0,), "two or more"),
        (["a", "b", "b"], None, "none of 2 groups has mated and impostor pairs"),
    ],
)
def test_bad_input_is_named(groups: list, edges: tuple | None, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        by_group(np.array([1.0, 0.5, 0.2]), np.array([1, 0, 0]), groups, edges=edges)
