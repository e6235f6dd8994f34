"""Numbers for identities: a table or a sort, the same answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from arcwise.evaluation.inputs import embeddings, numbered

KINDS = ["int8", "uint8", "int16", "int32", "int64", "uint64", "<U3"]


@given(st.sampled_from(KINDS).flatmap(lambda kind: arrays.arrays(kind, st.integers(1, 30))))
def test_numbered_is_unique(values: np.ndarray) -> None:
    names, place = numbered(values)
    expected, inverse = np.unique(values, return_inverse=True)
    assert names.dtype == expected.dtype
    assert names.tolist() == expected.tolist()
    assert place.tolist() == inverse.tolist()
    assert place.dtype == np.int64


@pytest.mark.parametrize("kind", ["int8", "int64", "uint64"])
def test_numbered_at_the_ends_of_a_type(kind: str) -> None:
    info = np.iinfo(kind)
    for values in (
        [info.min, info.min + 2, info.min],
        [info.max, info.max - 2],
        [info.min, info.max],
    ):
        names, place = numbered(np.array(values, dtype=kind))
        assert names.tolist() == sorted(set(values))
        assert names[place].tolist() == values


def test_rows_have_length_one_and_zero_stays_zero() -> None:
    rows = np.array([[3e-30, 4e-30], [3e18, 4e18], [0, 0], [-5, 0]], dtype=np.float32)
    assert embeddings("rows", rows) == pytest.approx(
        np.array([[0.6, 0.8], [0.6, 0.8], [0, 0], [-1, 0]]), abs=1e-7
    )
