"""Decisions, worked by hand."""

from __future__ import annotations

import math

import pytest

from arcwise.errors import ArcwiseError
from arcwise.gallery import Decision, Hit, decide

HITS = [Hit("ann", 0.75, 3, {}), Hit("bob", 0.5, 9, {}), Hit("cid", 0.25, 1, {})]


def test_the_closest_is_accepted_from_the_threshold_on():
    assert decide(HITS, 0.75, 1e-3) == Decision("ann", 0.75, 0.25, 0.75, 1e-3)
    assert decide(HITS, 0.7500001) == Decision(None, 0.75, 0.25, 0.7500001, None)


def test_no_hits_and_no_runner_up():
    assert decide([], 0.5) == Decision(None, None, None, 0.5)
    assert decide(HITS[:1], 0.5).margin is None


def test_the_order_of_the_hits_and_several_of_one_identity_do_not_matter():
    hits = [*reversed(HITS), Hit("ann", 0.7, 4, {})]
    assert decide(hits, 0.6) == decide(HITS, 0.6)


def test_it_prints_itself_in_one_line():
    assert str(decide(HITS, 0.6, 1e-3)) == (
        "ann: closest similarity 0.7500, 0.2500 ahead of the next, at or above the threshold "
        "0.6000, set for one false accept in 1,000"
    )
    assert str(decide(HITS, 0.6, fpir=0.01)).endswith(
        ", set to answer at most one unknown query in 100"
    )
    assert str(decide(HITS[:1], 0.8)) == (
        "unknown: closest similarity 0.7500, below the threshold 0.8000"
    )
    assert str(decide([], 0.8)) == "unknown: nothing to compare with (threshold 0.8000)"


@pytest.mark.parametrize("threshold", [math.nan, math.inf])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(ArcwiseError, match="threshold"):
        decide(HITS, threshold)


def test_rates_are_rates():
    with pytest.raises(ArcwiseError, match="rate"):
        decide(HITS, 0.5, far=0)
    with pytest.raises(ArcwiseError, match="rate"):
        decide(HITS, 0.5, fpir=1.5)
