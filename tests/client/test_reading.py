from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from arcwise.cli.as_json import plain
from arcwise.client.messages import SearchAnswer
from arcwise.client.reading import value_of
from arcwise.errors import ArcwiseError
from arcwise.gallery import Decision, GallerySize, Hit, OperatingPoint
from tests.verbs.conftest import search_threshold, threshold


@dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"]
    number: float


@dataclass(frozen=True)
class Outer:
    inner: list[Inner]
    pair: tuple[int, float] | None
    anything: dict[str, Any]


GOOD = {"inner": [{"kind": "a", "number": 1}], "pair": [1, 2], "anything": {"x": [None]}, "new": 1}


def test_reads_what_was_written():
    found = value_of(Outer, GOOD)
    assert found == Outer([Inner("a", 1.0)], (1, 2.0), {"x": [None]})
    assert isinstance(found.inner[0].number, float)


@pytest.mark.parametrize("basis", [threshold(0.1, 0.5), search_threshold(0.01, 10, 0.6)])
def test_an_answer_goes_there_and_back(basis):
    point = OperatingPoint(0.5, 0.1, (0.0, 0.2), basis, True, False, (0.9, 0.8, 1.0), False)
    decision = Decision("a", 0.9, None, 0.5, None, 0.1)
    from arcwise.client.messages import QueryAnswer

    answer = SearchAnswer(
        [QueryAnswer("a.png", None, decision, [Hit("a", 0.9, 1, {"x": 1})])],
        point, "", GallerySize(1, 1, 1, 1), None, False, "", 0, "", [], "",
    )  # fmt: skip
    assert value_of(SearchAnswer, json.loads(json.dumps(plain(answer)))) == answer


@pytest.mark.parametrize(
    "wrong",
    [
        {"inner": None}, {"inner": [{}]}, {"inner": [{"kind": "c", "number": 1}]}, {"pair": [1]},
        {"inner": [{"kind": "a", "number": "1"}]}, {"inner": [{"kind": "a", "number": True}]},
        {"pair": [1, None]}, {"pair": "12"}, {"anything": []}, {"anything": None},
    ],
)  # fmt: skip
def test_refuses_anything_else(wrong):
    """But for what has a default, which an older server does not say."""
    assert (
        value_of(GallerySize, {"identities": 1, "templates": 1, "fewest": 1, "most": 1}).newest == 0
    )
    with pytest.raises(ArcwiseError, match="server's answer"):
        value_of(Outer, {**GOOD, **wrong})
    with pytest.raises(ArcwiseError, match="no Outer"):
        value_of(Outer, {key: one for key, one in GOOD.items() if key not in wrong})
