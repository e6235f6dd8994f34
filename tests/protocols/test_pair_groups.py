"""A pair's group is what its table says, or what both its sides are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from arcwise.errors import ArcwiseError
from arcwise.protocols.pair_groups import (
    GroupBy,
    Grouping,
    group_pairs,
    group_sides,
    groupings,
)
from arcwise.protocols.pair_set import PairSet, drawn_pairs
from tests.protocols.tables import people, templates


def pairs(a: list[int], b: list[int], same: list[bool]) -> PairSet:
    return PairSet("some pairs", np.array(a), np.array(b), np.array(same))


def texts(*values: str) -> pa.ChunkedArray:
    """A column, in two chunks."""
    return pa.chunked_array([values[:1], values[1:]], pa.string())


def named(found: Grouping | str) -> list[str]:
    """Each pair's group by its name."""
    assert isinstance(found, Grouping)
    return ["" if code < 0 else found.names[code] for code in found.codes]


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("age", GroupBy("age")),
        ("age_gap:5,15", GroupBy("age_gap", (5.0, 15.0))),
        ("age_gap:15,5,5", GroupBy("age_gap", (5.0, 15.0))),
        ("time:zone", GroupBy("time:zone")),
        ("a:b:0.5", GroupBy("a:b", (0.5,))),
        (":5", GroupBy(":5")),
        ("age_gap:", GroupBy("age_gap:")),
    ],
)
def test_how_a_column_is_named(text: str, by: GroupBy) -> None:
    assert GroupBy.parse(text) == by


class TestGroupPairs:
    """Columns of a table of pairs."""

    def test_values(self) -> None:
        found = group_pairs(GroupBy("light"), texts("day", "night", "", "day"), np.ones(4, bool))
        assert named(found) == ["day", "night", "", "day"]

    def test_few_numbers_are_values(self) -> None:
        assert named(group_pairs(GroupBy("eyes"), texts("2", "1", "2"), np.ones(3, bool))) == [
            "2",
            "1",
            "2",
        ]

    def test_many_numbers_are_quarters_of_the_mated_pairs(self) -> None:
        values = [*range(1, 13), 40, 50]
        same = np.array([True] * 12 + [False] * 2)
        found = group_pairs(GroupBy("gap"), texts(*map(str, values)), same)
        assert isinstance(found, Grouping)
        assert np.bincount(found.codes[same]).tolist() == [3, 3, 3, 3]
        assert found.names[0] == "up to 3.75"
        assert found.names[3] == "above 9.25"
        assert named(found)[-2:] == ["above 9.25"] * 2

    def test_stated_bins_have_their_upper_end(self) -> None:
        gaps = ["0", "5", "5.5", "15", "16", ""]
        found = group_pairs(GroupBy("gap", (5.0, 15.0)), texts(*gaps), np.ones(6, bool))
        first, second, third = "up to 5", "above 5 to 15", "above 15"
        assert named(found) == [first, first, second, second, third, ""]

    @pytest.mark.parametrize("values", [["one"] * 30, [str(n) + "x" for n in range(30)], [""] * 9])
    def test_no_groups(self, values: list[str]) -> None:
        assert "; expected 2 to 20" in str(
            group_pairs(GroupBy("x"), texts(*values), np.ones(len(values), bool))
        )

    def test_bins_of_no_numbers(self) -> None:
        with pytest.raises(ArcwiseError, match="'light' holds 'day'; expected numbers to cut"):
            group_pairs(GroupBy("light", (5.0,)), texts("day", "night"), np.ones(2, bool))


class TestGroupSides:
    """Columns of the data set."""

    def test_two_values_and_both(self) -> None:
        values = ["shop", "studio", "shop", None]
        found = group_sides(
            GroupBy("domain"), values, pairs([0, 1, 1, 0], [2, 0, 1, 3], [True] * 4)
        )
        assert named(found) == ["shop", "shop × studio", "studio", ""]

    def test_every_combination_as_a_slow_reference_has_it(self) -> None:
        rng = np.random.default_rng(0)
        for kinds in (2, 4, 7):
            values = [f"d{rng.integers(kinds)}" for _ in range(40)]
            values[:kinds] = [f"d{kind}" for kind in range(kinds)]
            every = drawn_pairs(np.arange(40) % 5, 0)
            expected = []
            for a, b in zip(every.a, every.b, strict=True):
                one, other = sorted((values[a], values[b]))
                crossed = f"{one} × {other}" if kinds <= 4 else "different"
                expected.append(one if one == other else crossed)
            assert named(group_sides(GroupBy("domain"), values, every)) == expected

    def test_ages_are_gaps(self) -> None:
        ages = [10.0, 13.0, 30.0, None]
        every = pairs([0, 0, 1, 2], [1, 2, 2, 3], [True, True, False, True])
        found = group_sides(GroupBy("age", (5.0,)), ages, every)
        assert named(found) == ["up to 5", "above 5", "above 5", ""]

    def test_numbers_are_cut_first(self) -> None:
        found = group_sides(
            GroupBy("quality", (0.5,)), [0.1, 0.5, 0.6], pairs([0, 0], [1, 2], [True] * 2)
        )
        assert named(found) == ["up to 0.5", "up to 0.5 × above 0.5"]

    def test_ages_that_are_none(self) -> None:
        assert group_sides(GroupBy("age"), [None, None], pairs([0], [1], [True])) == (
            "the column holds no number"
        )
        assert "every gap is up to 5" in str(
            group_sides(GroupBy("age"), [3.0, 3.0], pairs([0], [1], [True]))
        )


class TestGroupings:
    """Which columns are taken."""

    def listed(self) -> PairSet:
        a, b = np.array([0, 0, 2]), np.array([1, 2, 3])
        same = np.array([True, False, True])
        columns = {
            "light": texts("day", "day", "night"),
            "note": texts("x", "x", "x"),
            "place": texts("in", "out", "in"),
        }
        return PairSet("the pairs of pairs.csv", a, b, same, "pairs.csv", columns=columns)

    def test_the_tables_the_usual_and_the_named(self) -> None:
        grouped = templates(
            identity=people(2, 2), image=list("wxyz"), domain=list("aaab"), camera=list("uvvu")
        )
        made, protocols = groupings([GroupBy("camera")], grouped, self.listed())
        assert [one.column for one in made] == ["light", "domain", "camera"]
        assert [(one.name, one.measured) for one in protocols] == [
            ("groups by light", True),
            ("groups by note", False),
            ("groups by place", False),
            ("groups by domain", True),
            ("groups by camera", True),
        ]
        assert protocols[1].why == "the column has one value; expected 2 to 20"
        assert protocols[2].why == "no group has mated and impostor pairs"
        made, _ = groupings([], grouped, drawn_pairs(grouped.ids, 0))
        assert [one.column for one in made] == ["domain"]

    def test_no_such_column(self) -> None:
        grouped = templates(identity=people(2, 2), image=list("wxyz"), domain=list("abab"))
        with pytest.raises(ArcwiseError, match=r"no column 'camera' to group by among domain, id"):
            groupings([GroupBy("camera")], grouped, drawn_pairs(grouped.ids, 0))


def test_pairs_of_sets_are_grouped_by_size() -> None:
    ids: list[object] = ["x"] * 6 + ["y"] * 6
    sets: list[object] = ["a", "b", "b", "c", "c", "c", "d", "e", "e", "f", "f", "f"]
    found = templates(identity=ids, template=sets, media=[str(row) for row in range(12)])
    every = drawn_pairs(found.ids, 0)
    made, fits = groupings([], found, every)
    assert [one.name for one in fits] == ["groups by set_size"]
    (grouping,) = made
    sizes = dict(zip("abcdef", (1, 2, 3) * 2, strict=True))
    expected = [
        str(min(sizes[found.names[a]], sizes[found.names[b]]))
        for a, b in zip(every.a, every.b, strict=True)
    ]
    assert named(grouping) == expected
    binned, _ = groupings([GroupBy("set_size", (1.0,))], found, every)
    assert len(binned[0].names) == 2


@pytest.mark.parametrize("text", ["set_size", "set_size:1,4"])
def test_set_sizes_need_templates(text: str) -> None:
    images = templates(identity=people(2, 2), image=list("wxyz"))
    with pytest.raises(ArcwiseError, match="no column 'template'"):
        groupings([GroupBy.parse(text)], images, drawn_pairs(images.ids, 0))


def test_sets_of_one_size_are_no_groups() -> None:
    equal = templates(identity=people(2, 4), template=list("aabbccdd"), media=list("12345678"))
    made, (fit,) = groupings([], equal, drawn_pairs(equal.ids, 0))
    assert made == []
    assert fit.why == "the smaller set of every pair has 2 images"


@pytest.mark.parametrize("text", ["age:x", "age:", "age:5,x"])
def test_bins_that_are_no_numbers(text: str) -> None:
    ages = templates(identity=people(2, 2), image=list("wxyz"), age=[1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ArcwiseError, match=r"the bins of .age. are .* as in age:5,15"):
        groupings([GroupBy.parse(text)], ages, drawn_pairs(ages.ids, 0))
