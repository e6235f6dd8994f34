"""Nearest rows against a sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.evaluation import search


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nearest_is_a_sort_with_the_lower_row_first(
    halves: np.ndarray, data: st.DataObject
) -> None:
    alone = data.draw(st.booleans())
    queries = halves[data.draw(st.lists(st.integers(0, 15), min_size=2, max_size=9))]
    gallery = queries
    if not alone:
        gallery = halves[data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=9))]
    k = data.draw(st.integers(1, 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK", 20)
        found, cosine, lowest = search.nearest(queries, gallery, k, alone=alone)
    for i, query in enumerate(queries):
        rest = [(-query @ other, j) for j, other in enumerate(gallery) if not (alone and i == j)]
        best = sorted(rest)[:k]
        assert found[i].tolist() == [j for _, j in best]
        assert cosine[i].tolist() == [-score for score, _ in best]
    assert lowest.tolist() == (queries @ gallery.T).min(axis=1).tolist()
