"""Nearest rows against a sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.evaluation.nearest import nearest


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nearest_is_a_stable_sort(halves: np.ndarray, data: st.DataObject) -> None:
    leave_one_out = data.draw(st.booleans())
    queries = halves[data.draw(st.lists(st.integers(0, 15), min_size=2, max_size=9))]
    gallery = queries
    if not leave_one_out:
        gallery = halves[data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=9))]
    k = data.draw(st.integers(1, 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arcwise.evaluation.nearest.BLOCK", 20)
        neighbours, cosine, lowest = nearest(queries, gallery, k, leave_one_out=leave_one_out)
    for i, query in enumerate(queries):
        rest = [
            (-query @ other, j) for j, other in enumerate(gallery) if not (leave_one_out and i == j)
        ]
        best = sorted(rest)[:k]
        assert neighbours[i].tolist() == [j for _, j in best]
        assert cosine[i].tolist() == [-score for score, _ in best]
    assert lowest.tolist() == (queries @ gallery.T).min(axis=1).tolist()
