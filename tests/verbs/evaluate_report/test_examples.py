"""The hardest pairs are the hardest of all; searches shown are searches measured."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.evaluation import similarity_matrix
from arcwise.verbs.evaluate_report.examples import (
    ENOUGH,
    HardestPairs,
    SearchSides,
    nearest,
    of_all,
    of_pairs,
    queries_with_mates,
)


def slow(unit: np.ndarray, codes: np.ndarray, count: int, same: bool) -> list[float]:
    """The best score of every two identities, the best first."""
    best: dict[tuple[int, int], float] = {}
    sign = -1 if same else 1
    similarity = unit @ unit.T
    for a, b in combinations(range(len(unit)), 2):
        if (codes[a] == codes[b]) == same:
            key = tuple(sorted((int(codes[a]), int(codes[b]))))
            best[key] = max(best.get(key, -np.inf), sign * float(similarity[a, b]))
    return [sign * score for score in sorted(best.values(), reverse=True)[:count]]


@pytest.mark.parametrize("block", [1, 20, similarity_matrix._BLOCK])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_as_a_slow_search_finds_them(block: int, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(5, size=rng.integers(2, 25))
    unit = rng.integers(-1, 2, size=(len(codes), 3)).astype(np.float32)  # many ties, all exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity_matrix, "_BLOCK", block)
        alike, unlike = of_all(unit, codes, count)
    for found, same in ((alike, False), (unlike, True)):
        assert found.score.tolist() == slow(unit, codes, count, same)
        _agree(found, unit, codes, same)


def _agree(found: HardestPairs, unit: np.ndarray, codes: np.ndarray, same: bool) -> None:
    for score, a, b in zip(*found, strict=True):
        assert a != b
        assert score == unit[a] @ unit[b]
        assert (codes[a] == codes[b]) == same


@pytest.mark.parametrize("enough", [1, 30, ENOUGH])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_of_listed_pairs(enough: int, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(5, size=20)
    unit = rng.integers(-1, 2, size=(20, 3)).astype(np.float32)
    a, b = np.triu_indices(20, 1)
    scores = np.einsum("nd,nd->n", unit[a], unit[b])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(of_pairs.__globals__, "ENOUGH", enough)
        found = of_pairs(scores, a, b, codes[a] == codes[b], codes, count)
    for one, all_pairs in zip(found, of_all(unit, codes, count), strict=True):
        assert one.score.tolist() == all_pairs.score.tolist()


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("with_media", [False, True])
@given(seed=st.integers(0, 10**6))
def test_places_are_those_of_retrieval(stated: bool, with_media: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, size=20).astype(str)
    ids[:3] = ids[19] = ids[18] = "0"
    vectors = rng.choice(np.float32([-0.5, 0.5]), size=(20, 4))  # unit rows, many ties, all exact
    media = rng.integers(12, size=20).astype(str) if with_media else None
    if media is not None:
        media[0], media[19], media[18] = "a", "b", "c"
    everyone = np.arange(20)
    where = (
        SearchSides(everyone[:8], everyone[8:], media)
        if stated
        else SearchSides(everyone, everyone, media)
    )
    if stated:
        found = evaluation.retrieval(
            vectors[:8], ids[:8], gallery=vectors[8:], gallery_ids=ids[8:],
            media=None if media is None else media[:8],
            gallery_media=None if media is None else media[8:],
        )  # fmt: skip
    else:
        found = evaluation.retrieval(vectors, ids, media=media)
    asked = queries_with_mates(ids, where)
    assert len(asked) == found.queries
    for query, rank in zip(asked, found.rank, strict=True):
        answers = nearest(vectors, ids, where, int(query))
        assert query not in answers
        assert 1 + int(np.argmax(ids[answers] == ids[query])) == rank
