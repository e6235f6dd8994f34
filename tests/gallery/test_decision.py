"""Decisions, worked by hand."""

from __future__ import annotations

import math

import pytest

from arcwise.errors import ArcwiseError
from arcwise.gallery import Decision, Hit, decide
from arcwise.gallery.decision import above_next

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


NEXT = [Hit(f"n{row}", 0.5 - 0.125 * row, row, {}) for row in range(4)]  # 0.5, 0.375, 0.25, 0.125


def test_a_second_look_compares_with_the_mean_of_the_next():
    """0.75 less the mean of 0.5, 0.375 and 0.25, whatever comes after."""
    hits = [Hit("ann", 0.75, 9, {}), *NEXT]
    assert above_next(hits, 3) == 0.375
    assert decide(hits, 0.375, neighbours=3).identity == "ann"
    assert decide(hits, 0.375, neighbours=3).above_next == 0.375
    refused = decide(hits, math.nextafter(0.375, 1), neighbours=3)
    assert (refused.identity, refused.similarity) == (None, 0.75)
    assert decide(hits, 0.7).above_next is None


def test_a_second_look_counts_an_identity_once():
    hits = [Hit("ann", 0.75, 9, {}), Hit("ann", 0.7, 8, {}), Hit("n0", -1.0, 7, {}), *NEXT]
    assert above_next(hits[::-1], 3) == above_next([hits[0], *NEXT], 3)


def test_a_second_look_takes_those_that_are_there():
    assert above_next(NEXT[:2], 10) == 0.125
    alone = decide(NEXT[:1], 0.1, neighbours=10)
    assert (alone.identity, alone.above_next) == (None, 0.0)
    assert decide([], 0.1, neighbours=10).above_next is None


def test_a_second_look_prints_what_was_compared():
    assert str(decide([Hit("ann", 0.75, 9, {}), *NEXT], 0.25, neighbours=3)) == (
        "ann: closest similarity 0.7500, 0.2500 ahead of the next, 0.3750 above the mean of the "
        "next 3, at or above the threshold 0.2500"
    )
