"""The kinds of findings in a data set, and how they are listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SHOWN = 10


class Unreadable(NamedTuple):
    """An image that cannot be used, and why."""

    image: str
    reason: str


class Duplicates(NamedTuple):
    """Images with exactly the same pixels."""

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]  # data sets and splits


class NearDuplicates(NamedTuple):
    """Images with nearly the same pixels: one was resized, compressed, brightened, cropped."""

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]  # data sets and splits
    similarity: float  # the lowest of two images that a link ties

    @property
    def wrong(self) -> bool:
        """Whether they are of two identities: at least one label is wrong."""
        return len(self.identities) > 1

    @property
    def leaked(self) -> bool:
        """Whether they are in two splits or data sets."""
        return len(self.places) > 1

    def order(self) -> tuple[bool, bool, float]:
        """Return the sort key: wrong labels first, then leaks, then the most alike."""
        return not self.wrong, not self.leaked, -self.similarity


class Finding(NamedTuple):
    """One kind of finding, as it is listed.

    Attributes:
        title: what it is.
        lines: one for each occurrence.
        problem: whether it is to be solved before training or measuring; else it is a note.
        once: whether all occurrences count as one problem.
    """

    title: str
    lines: Sequence[str]
    problem: bool
    once: bool = False

    @property
    def problems(self) -> int:
        """The number of problems that it counts as."""
        return self.problem * (min(1, len(self.lines)) if self.once else len(self.lines))

    def listed(self) -> Iterator[str]:
        """Yield the title, marked as problem or note, and the first lines, if there are lines."""
        yield from section(f"{'problem' if self.problem else 'note'}: {self.title}", self.lines)


def near_findings(groups: Sequence[NearDuplicates], to: str = "") -> list[Finding]:
    """Return findings for groups of near-duplicates, each group in the worst kind that fits.

    Near-duplicates of one identity in one place are no problem: a burst of photographs, for
    example.
    """
    wrong = [one for one in groups if one.wrong]
    leaks = [one for one in groups if one.leaked and not one.wrong]
    rest = [one for one in groups if not (one.wrong or one.leaked)]
    return [
        Finding(title, [f"{' ~ '.join(one.images)} ({one.similarity:.3f})" for one in group], bad)
        for title, group, bad in (
            (f"nearly one image{to}, two identities", wrong, True),
            (f"nearly one image{to}, two splits or data sets", leaks, True),
            (f"nearly the same image{to}", rest, False),
        )
    ]


def section(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a title with the number of lines, and the first of them; nothing without lines."""
    if lines:
        yield f"  {title} ({len(lines):,})"
        yield from (f"    {line}" for line in lines[:_SHOWN])
        if len(lines) > _SHOWN:
            yield f"    ... and {len(lines) - _SHOWN:,} more"
