"""The sentence that describes the rates of a search."""

from __future__ import annotations

import pytest

from arcwise.evaluation import describe_search


@pytest.mark.parametrize(
    ("detection", "answered", "at_most", "words"),
    [
        (
            (0.62, 0.5, 0.713), (0.05, 0.02, 0.09), False,
            "of 100 images of enrolled identities about 62 are found (50 to 71), of 100 others "
            "about 5 get an answer (2 to 9)",
        ),
        (None, (0.001, 0, 1), True,
         "of 1,000 others about 1 or fewer get an answer (interval not known)"),
        (None, (0.05, 0, 0.2), True, "of 100 others about 5 or fewer get an answer (0 to 20)"),
        (None, (0.0005, 0.0, 0.0012), False, "of 10,000 others about 5 get an answer (0 to 12)"),
        ((1.0, 0.9, 1.0), None, False,
         "of 100 images of enrolled identities about 100 are found (90 to 100)"),
        (None, (0.0, 0.0, 0.03), False, "of 100 others about 0 get an answer (0 to 3)"),
        (None, (0.1, 0.0, 1.0), False,
         "of 100 others about 10 get an answer (interval not known)"),
    ],
)  # fmt: skip
def test_words(
    detection: tuple[float, float, float] | None,
    answered: tuple[float, float, float] | None,
    at_most: bool,
    words: str,
) -> None:
    assert describe_search(detection, answered, at_most=at_most) == words
