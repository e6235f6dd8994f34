"""What a search does, in one sentence that a person can check by counting."""

from __future__ import annotations

import math


def search_in_words(
    found: tuple[float, float, float] | None,
    answered: tuple[float, float, float] | None,
    *,
    at_most: bool = False,
) -> str:
    """Return how many images of enrolled identities are found, and how many others are answered.

    For instance: of 100 images of enrolled identities about 62 are found (50 to 71), of 100 others
    about 5 get an answer (2 to 9).

    Args:
        found: the detection rate with both ends of its interval; None where it is not known.
        answered: the false-positive rate with both ends of its interval; None likewise.
        at_most: the false-positive rate is a bound.
    """
    parts = []
    if found is not None:
        parts.append(f"{_counted(found, 'images of enrolled identities')} are found{_ends(found)}")
    if answered is not None and at_most:
        parts.append(f"{_counted(answered, 'others')} or fewer get an answer{_ends(answered)}")
    elif answered is not None:
        parts.append(f"{_counted(answered, 'others')} get an answer{_ends(answered)}")
    return ", ".join(parts)


def _counted(rate: tuple[float, float, float], what: str) -> str:
    return f"of {_whole(rate[0]):,} {what} about {_count(rate[0], rate[0])}"


def _ends(rate: tuple[float, float, float]) -> str:
    value, low, high = rate
    if low <= 0 and high >= 1:
        return " (interval not known)"
    return f" ({_count(low, value)} to {_count(high, value)})"


def _whole(rate: float) -> int:
    """Return 100, or the power of ten of which such a rate is one or more."""
    return 100 if rate <= 0 else 10 ** max(2, math.ceil(-math.log10(rate) - 1e-9))


def _count(rate: float, of: float) -> str:
    """Return the count in as many as `_whole(of)`; with one digit more where it is below ten."""
    count = rate * _whole(of)
    rounded = round(count) if count >= 10 or abs(count - round(count)) < 0.05 else round(count, 1)
    return f"{rounded:g}"
