"""Searches shown are searches measured: the same queries, the same places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.verbs.evaluate_report.strips import Sides, nearest, with_mates


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
    where = Sides(everyone[:8], everyone[8:], media) if stated else Sides(everyone, everyone, media)
    if stated:
        found = evaluation.retrieval(
            vectors[:8], ids[:8], gallery=vectors[8:], gallery_ids=ids[8:],
            media=None if media is None else media[:8],
            gallery_media=None if media is None else media[8:],
        )  # fmt: skip
    else:
        found = evaluation.retrieval(vectors, ids, media=media)
    asked = with_mates(ids, where)
    assert len(asked) == found.queries
    for query, rank in zip(asked, found.rank, strict=True):
        answers = nearest(vectors, ids, where, int(query))
        assert query not in answers
        assert 1 + int(np.argmax(ids[answers] == ids[query])) == rank
