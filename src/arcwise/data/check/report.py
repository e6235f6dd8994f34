"""What a look at a data set found; it prints itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from arcwise.data.check.findings import Duplicates, NearDuplicates, Unreadable, near_lines, section
from arcwise.data.check.model_report import ModelReport

_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 1000)


@dataclass(frozen=True)
class CheckReport:
    """What there is in a data set, and what is wrong with it.

    Attributes:
        name: of the data set.
        understood: how its layout was read.
        notes: what its reader has to say about it.
        images: how many rows it has.
        per_identity: identity → how many images.
        splits: split → how many images.
        sizes: (width, height) → how many images.
        unreadable: pictures that cannot be decoded.
        duplicates: groups of pictures with the same pixels.
        near: groups of pictures that are nearly the same; those of several identities first, then
            those in several splits or data sets.
        shared: identities that are in more than one split or data set.
        suspects: groups of identities that are perhaps one, spelled differently.
        ignored: files that are no pictures.
        nobody: pictures without an identity, of a data set that has identities.
        pairs: what is wrong with the pairs that the data set states.
        by_model: what a model's embeddings tell besides, where one was named.
    """

    name: str
    understood: str
    notes: tuple[str, ...]
    images: int
    per_identity: dict[str, int]
    splits: dict[str, int]
    sizes: dict[tuple[int, int], int]
    unreadable: tuple[Unreadable, ...]
    duplicates: tuple[Duplicates, ...]
    near: tuple[NearDuplicates, ...]
    shared: tuple[str, ...]
    suspects: tuple[tuple[str, ...], ...]
    ignored: tuple[str, ...]
    nobody: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    by_model: ModelReport | None = None

    @property
    def identities(self) -> int:
        """How many identities there are."""
        return len(self.per_identity)

    @property
    def single(self) -> list[str]:
        """Identities with one image: they have no genuine pair."""
        return [identity for identity, count in self.per_identity.items() if count == 1]

    @property
    def mislabelled(self) -> list[Duplicates]:
        """The same picture under two identities: at least one label is wrong."""
        return [group for group in self.duplicates if len(group.identities) > 1]

    @property
    def leaked(self) -> list[Duplicates]:
        """The same picture in two splits or data sets: what is measured there is too good."""
        return [group for group in self.duplicates if len(group.places) > 1]

    @property
    def problems(self) -> int:
        """How many things want mending; identities with one image and ignored files do not.

        Identities shared between splits count as one, and so do pictures without an identity: it
        is one decision that made them so.
        """
        found = (self.unreadable, self.duplicates, self.near, self.suspects, self.pairs)
        return sum(map(len, found)) + bool(self.shared) + bool(self.nobody)

    @property
    def histogram(self) -> dict[str, int]:
        """Images per identity, in steps → how many identities."""
        steps: dict[str, int] = {}
        for low, after in zip(_STEPS, (*_STEPS[1:], None), strict=True):
            title = f"{low}+" if after is None else str(low)
            if after is not None and after - low > 1:
                title = f"{low}-{after - 1}"
            counts = self.per_identity.values()
            if number := sum(low <= one and (after is None or one < after) for one in counts):
                steps[title] = number
        return steps

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        values = asdict(replace(self, by_model=None))
        values["by_model"] = None if self.by_model is None else self.by_model.as_dict()
        values["sizes"] = {f"{width}x{height}": n for (width, height), n in self.sizes.items()}
        values["unreadable"] = [one._asdict() for one in self.unreadable]
        for key, groups in (("duplicates", self.duplicates), ("near", self.near)):
            values[key] = [one._asdict() for one in groups]
        for key in ("notes", "shared", "ignored", "nobody", "pairs"):
            values[key] = list(values[key])
        values["suspects"] = [list(group) for group in self.suspects]
        values["histogram"] = self.histogram
        values["problems"] = self.problems
        return values

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.images:,} images of {self.identities:,} identities"
        if self.understood:
            yield f"  read as            {self.understood}"
        yield from (f"  mind               {note}" for note in self.notes)
        if self.splits:
            yield "  splits             " + _pairs(self.splits)
        if counts := list(self.per_identity.values()):
            yield (
                f"  images an identity {min(counts)} to {max(counts)}, median {median(counts):g}"
            )
            yield "                     " + _pairs(self.histogram)
        if self.sizes:
            yield from self._size_lines()
        if self.single:
            yield f"  one image only     {len(self.single):,} identities (no genuine pair)"
        yield from section(
            "cannot be decoded", [f"{one.image}: {one.reason}" for one in self.unreadable]
        )
        yield from section(
            "no identity (empty, -1, nan, …): fill it in, or leave the row out",
            self.nobody,
        )
        yield from section("pairs", self.pairs)
        yield from section("one picture, two identities", _groups(self.mislabelled))
        yield from section("one picture, two splits or data sets", _groups(self.leaked))
        rest = [one for one in self.duplicates if len(one.identities) < 2 and len(one.places) < 2]
        yield from section("the same picture more than once", _groups(rest))
        yield from near_lines(self.near)
        yield from section(
            "identities in several splits or data sets: measures known ones, not new ones",
            self.shared,
        )
        yield from section(
            "perhaps one identity, spelled differently", [" / ".join(one) for one in self.suspects]
        )
        yield from section("ignored: no pictures of this data set", self.ignored)
        if self.by_model is not None:
            yield from self.by_model.lines()
        yield {0: "no problems", 1: "1 problem"}.get(self.problems, f"{self.problems:,} problems")

    def _size_lines(self) -> Iterator[str]:
        widths, heights = zip(*self.sizes, strict=True)
        if len(self.sizes) == 1:
            yield f"  size               {widths[0]} x {heights[0]}"
            return
        yield (
            f"  sizes              {min(widths)} to {max(widths)} wide, "
            f"{min(heights)} to {max(heights)} high"
        )
        often = sorted(self.sizes.items(), key=lambda item: -item[1])[:4]
        yield "                     most often " + ", ".join(
            f"{width} x {height}: {number:,}" for (width, height), number in often
        )


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{key}: {number:,}" for key, number in counts.items())


def _groups(groups: Sequence[Duplicates]) -> list[str]:
    return [" = ".join(group.images) for group in groups]
