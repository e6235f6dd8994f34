"""What may be wrong with a data set, and how it is listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SHOWN = 10


class Unreadable(NamedTuple):
    """A picture that cannot be used, and why."""

    image: str
    reason: str


class Duplicates(NamedTuple):
    """Pictures with exactly the same pixels."""

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]  # data sets and splits


class NearDuplicates(NamedTuple):
    """Pictures with nearly the same pixels: one was resized, compressed, brightened, cropped."""

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]  # data sets and splits
    similarity: float  # of the two least alike that are tied together

    @property
    def wrong(self) -> bool:
        """Whether they are of two identities: at least one label is wrong."""
        return len(self.identities) > 1

    @property
    def leaked(self) -> bool:
        """Whether they are in two splits or data sets."""
        return len(self.places) > 1

    def order(self) -> tuple[bool, bool, float]:
        """What to sort by: wrong labels first, then leaks, then the most alike."""
        return not self.wrong, not self.leaked, -self.similarity


class Finding(NamedTuple):
    """One kind of thing that was found, as it is listed.

    Attributes:
        title: what it is.
        lines: one for each time it was found.
        problem: whether it wants mending before training or measuring; else it is worth knowing.
        once: whether it counts as one problem however often it was found, being one decision.
    """

    title: str
    lines: Sequence[str]
    problem: bool
    once: bool = False

    @property
    def problems(self) -> int:
        """How many problems it is."""
        return self.problem * (min(1, len(self.lines)) if self.once else len(self.lines))

    def listed(self) -> Iterator[str]:
        """The title, with which of the two it is, and the first lines; nothing without any."""
        yield from section(f"{'problem' if self.problem else 'note'}: {self.title}", self.lines)


def near_findings(groups: Sequence[NearDuplicates], to: str = "") -> list[Finding]:
    """Groups of nearly the same pictures, each once, under the worst that it may be.

    Of one identity in one place they are no problem: photographs taken one after the other, or
    renderings.
    """
    wrong = [one for one in groups if one.wrong]
    leaks = [one for one in groups if one.leaked and not one.wrong]
    rest = [one for one in groups if not (one.wrong or one.leaked)]
    return [
        Finding(title, [f"{' ~ '.join(one.images)} ({one.similarity:.3f})" for one in found], bad)
        for title, found, bad in (
            (f"nearly one picture{to}, two identities", wrong, True),
            (f"nearly one picture{to}, two splits or data sets", leaks, True),
            (f"nearly the same picture{to}", rest, False),
        )
    ]


def section(title: str, lines: Sequence[str]) -> Iterator[str]:
    """A title with the number of lines and the first of them; nothing when there are none."""
    if lines:
        yield f"  {title} ({len(lines):,})"
        yield from (f"    {line}" for line in lines[:_SHOWN])
        if len(lines) > _SHOWN:
            yield f"    ... and {len(lines) - _SHOWN:,} more"
