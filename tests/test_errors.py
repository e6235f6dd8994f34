from __future__ import annotations

import pytest

from arcwise.errors import closest_name, suggestion

NAMES = ("search", "enrol", "data check")


@pytest.mark.parametrize(
    ("name", "closest"),
    [("serch", "search"), ("ENROL", "enrol"), ("data chekc", "data check"), ("qqqq", None)],
)
def test_closest_name(name: str, closest: str | None) -> None:
    assert closest_name(name, NAMES) == closest


def test_suggestion_is_empty_where_no_name_is_close() -> None:
    assert suggestion("serch", NAMES) == "did you mean 'search'?"
    assert suggestion("qqqq", NAMES) == ""
