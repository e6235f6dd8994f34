"""What several commands print: counts with their nouns."""

from __future__ import annotations

import pytest

from arcwise.cli.screen import counted


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [
        (0, "image", "0 images"),
        (1, "template", "1 template"),
        (2, "template", "2 templates"),
        (1, "identity", "1 identity"),
        (1200, "identity", "1,200 identities"),
    ],
)
def test_counts_have_a_plural(count: int, noun: str, expected: str) -> None:
    assert counted(count, noun) == expected
