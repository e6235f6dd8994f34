"""Drawn pairs: balanced, disjoint, as asked for, even over identities; too few is an error."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arcwise.data.pair_drawing import DrawnPairs, PairRule, distinct, draw_pairs
from arcwise.errors import ArcwiseError

sizes = st.lists(st.integers(1, 9), min_size=4, max_size=25)


def rows_of(counts: list[int], seed: int) -> np.ndarray:
    owner = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(owner)


def attempt(
    owner: np.ndarray, rule: PairRule, pairs: int, folds: int, seed: int
) -> tuple[DrawnPairs | None, str]:
    """What is drawn, or why nothing is."""
    try:
        return draw_pairs(owner, rule, pairs=pairs, folds=folds, seed=seed), ""
    except ArcwiseError as problem:
        return None, str(problem)


def check(drawn: DrawnPairs, owner: np.ndarray, pairs: int, folds: int) -> None:
    """What holds of every draw."""
    assert len(drawn.a) == len(drawn.b) == len(drawn.same) == len(drawn.fold) == pairs
    assert ((owner[drawn.a] == owner[drawn.b]) == drawn.same).all()
    assert (drawn.a != drawn.b).all()
    assert Counter(zip(drawn.fold.tolist(), drawn.same.tolist(), strict=True)) == {
        (fold, same): pairs // (2 * folds) for fold in range(1, folds + 1) for same in (True, False)
    }
    assert len({frozenset(pair) for pair in zip(drawn.a, drawn.b, strict=True)}) == pairs
    where: dict[int, set[int]] = {}
    for side in (drawn.a, drawn.b):
        for row, fold in zip(side, drawn.fold, strict=True):
            where.setdefault(int(owner[row]), set()).add(int(fold))
    assert all(len(folds) == 1 for folds in where.values())


@settings(deadline=None)
@given(sizes, st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_every_draw_is_balanced_and_disjoint_or_says_how_many_there_are(
    counts: list[int], folds: int, need: int, seed: int
) -> None:
    owner, rule = rows_of(counts, seed), PairRule.any(sum(counts))
    pairs = 2 * folds * need
    drawn, message = attempt(owner, rule, pairs, folds, seed)
    if drawn is None:
        assert re.search(r"too few pairs of (one identity|two identities)", message)
        available = sum(count * (count - 1) // 2 for count in counts)
        assert f"all folds {available:,}" in message or "of two identities" in message
        possible = re.search(r"for ([\d,]+) pairs at most", message)
        assert possible is None or int(possible[1]) < pairs
        return
    check(drawn, owner, pairs, folds)
    again = draw_pairs(owner, rule, pairs=pairs, folds=folds, seed=seed)
    assert all((one == other).all() for one, other in zip(drawn, again, strict=True))


@settings(deadline=None)
@given(sizes, st.integers(0, 99))
def test_one_fold_gets_whatever_there_is(counts: list[int], seed: int) -> None:
    """To the last pair: no fold stands in the way, and what is rare is listed."""
    owner = rows_of(counts, seed)
    mated = sum(count * (count - 1) // 2 for count in counts)
    total = len(owner) * (len(owner) - 1) // 2
    need = min(mated, total - mated)
    assume(need > 0)
    rule = PairRule.any(len(owner))
    check(draw_pairs(owner, rule, pairs=2 * need, folds=1, seed=seed), owner, 2 * need, 1)
    with pytest.raises(ArcwiseError, match=f"ask for {2 * need:,} pairs at most"):
        draw_pairs(owner, rule, pairs=2 * need + 2, folds=1, seed=seed)


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(0, 30), st.integers(0, 40))
def test_ages_media_and_domains_are_as_asked_for(seed: int, low: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, 8, 120)
    age = np.where(rng.random(120) < 0.1, np.nan, rng.integers(0, 70, 120))
    studio = rng.random(120) < 0.3
    medium = rng.integers(0, 60, 120)
    rule = PairRule(studio, ~studio, medium, age, (low, low + more))
    drawn, _ = attempt(owner, rule, 16, 2, seed)
    if drawn is None:  # two folds of four each: with plenty there is no such error
        a, b = np.triu_indices(120, 1)
        allowed, same = rule.allows(a, b), owner[a] == owner[b]
        assert min((allowed & same).sum(), (allowed & ~same).sum()) < 100
        return
    check(drawn, owner, 16, 2)
    assert studio[drawn.a].all()
    assert not studio[drawn.b].any()
    assert (medium[drawn.a] != medium[drawn.b]).all()
    apart = np.abs(age[drawn.a] - age[drawn.b])
    assert ((apart >= low) & (apart <= low + more)).all()


def test_large_identities_do_not_take_over() -> None:
    owner = np.repeat(np.arange(40), [300, *[3] * 39])  # 44,850 pairs and three each
    drawn = draw_pairs(owner, PairRule.any(len(owner)), pairs=160, folds=2, seed=0)
    gives = Counter(owner[drawn.a[drawn.same]].tolist())
    assert max(gives.values()) <= 3
    assert len(gives) == 40
    other = ~drawn.same
    met = Counter([*owner[drawn.a[other]].tolist(), *owner[drawn.b[other]].tolist()])
    assert len(met) == 40
    assert max(met.values()) <= 8  # four each on average


def test_what_is_rare_is_found_although_guessing_would_not() -> None:
    owner = np.repeat(np.arange(500), 2)
    age = np.zeros(1000)
    age[[0, 1, 2]] = [60, 20, 65]
    rule = PairRule(np.ones(1000, bool), np.ones(1000, bool), None, age, (40, 49))
    drawn = draw_pairs(owner, rule, pairs=2, folds=1, seed=0)
    sides = zip(drawn.a.tolist(), drawn.b.tolist(), strict=True)
    assert {frozenset(pair) for pair in sides} == {frozenset((0, 1)), frozenset((1, 2))}


@pytest.mark.parametrize(
    ("pairs", "folds", "message"),
    [(601, 10, "say 600"), (5, 10, "say 20"), (0, 1, "say 2"), (10, 0, "expected a multiple")],
)
def test_numbers_that_do_not_divide_are_refused(pairs: int, folds: int, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        draw_pairs(np.zeros(5, int), PairRule.any(5), pairs=pairs, folds=folds, seed=0)


def test_nothing_to_draw_from_is_said() -> None:
    with pytest.raises(ArcwiseError, match="fold 1 has 0, all folds 0; ask for less"):
        draw_pairs(np.empty(0, int), PairRule.any(0), pairs=2, folds=1, seed=0)
    with pytest.raises(ArcwiseError, match="too few pairs of two identities"):
        draw_pairs(np.zeros(5, int), PairRule.any(5), pairs=2, folds=1, seed=0)


def test_an_identity_in_blocks_has_all_its_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arcwise.data.pair_drawing._BLOCK", 50)
    owner = np.repeat([0, 1], [30, 16])
    drawn = draw_pairs(owner, PairRule.any(46), pairs=960, folds=1, seed=0)
    check(drawn, owner, 960, 1)


def test_a_pair_is_the_same_either_way_round() -> None:
    pairs = np.array([[1, 2, 0, 5, 2], [2, 1, 3, 4, 1]])
    assert distinct(pairs).tolist() == [[1, 0, 5], [2, 3, 4]]
