"""Metadata and conditions that databases compare in ways of their own."""

from __future__ import annotations

from hypothesis import strategies as st

from arcwise.gallery.filters import OneOf, ValueComparison

HOSTILE = [
    "", "a", "b", "ä", "\uffff", "\U0001f600", "\0", "a\0", "\1", "\1\1", "\2", "\ud7ff",
    "\ud7ff\1", "\ud800", "\udfff", "\ue000", "%s", "%", "'; DROP TABLE templates; --", '"', "\\",
    "\\u0000", "\n",
]  # fmt: skip
NUMBERS = [0, -0.0, 1, True, False, 2**53, 2**53 + 1, 10**30, 10**400, -(10**400), 1e308, 5e-324]
OTHER = [None, [], ["a"], {"a": "a"}]
METADATA = [{"a": one} for one in [*HOSTILE, *NUMBERS, 0.1, 1e22, *OTHER]]
METADATA += [{one: one} for one in HOSTILE] + [{"b": 1, "c d": "a"}, {}]
asked = st.one_of(
    st.sampled_from([one for one in HOSTILE if "\ud800" not in one and "\udfff" not in one]),
    st.sampled_from([0.0, 1.0, 2.0**53, 1e30, -1e300, float("inf"), float("nan"), 0.1]),
    st.booleans(),
)
hostile_leaf = st.one_of(
    st.builds(
        ValueComparison,
        st.sampled_from(["a", *HOSTILE]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        asked,
    ),
    st.builds(OneOf, st.just("a"), st.lists(asked, max_size=3).map(tuple)),
)
