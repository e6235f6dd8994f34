"""What the check of a data set found, by its files and by a model; it prints itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple

from arcwise.data.check.columns import NO_COLUMNS, ColumnsReport
from arcwise.data.check.findings import (
    Duplicates,
    Finding,
    NearDuplicates,
    Unreadable,
    near_findings,
    section,
)
from arcwise.evaluation import ErrorVersusReject
from arcwise.sets import QualitySpread

_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 1000)


class CloseIdentities(NamedTuple):
    """Two identities that are perhaps one, or of which one has an image of the other."""

    identities: tuple[str, str]
    images: tuple[str, str]  # the closest two
    similarity: float


class Outlier(NamedTuple):
    """An image nearer to the mean of another identity than to that of its own."""

    image: str
    identity: str
    own: float  # similarity with the mean of the identity's other images
    other: str
    similarity: float


class PoorImage(NamedTuple):
    """An image of low quality, as a model estimates it."""

    image: str
    identity: str
    quality: float


@dataclass(frozen=True)
class QualityReport:
    """What a model that estimates the quality of images finds poor.

    Attributes:
        worst: the images of lowest quality, the worst first; one in a hundred, at least twenty.
        spread: how far the qualities differ.
        median: the middle quality.
        rejection: whether rejecting them avoids errors; None where that cannot be measured.
        unmeasured: why not, in words; empty otherwise.
    """

    worst: tuple[PoorImage, ...]
    spread: QualitySpread
    median: float
    rejection: ErrorVersusReject | None
    unmeasured: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        values: dict[str, Any] = {"low": self.spread.low, "median": self.median}
        values["spread"] = asdict(self.spread)
        values["worst"] = [one._asdict() for one in self.worst]
        values["rejection"] = None if self.rejection is None else self.rejection.as_dict()
        return values | {"unmeasured": self.unmeasured}

    def lines(self) -> Iterator[str]:
        """Yield the lines that are printed."""
        yield from section(
            f"of the lowest quality (median {self.median:.3f}, one in twenty under "
            f"{self.spread.low:.3f})",
            [f"{one.quality:.3f}  {one.image}" for one in self.worst],
        )
        if self.spread.warning:
            yield f"  {self.spread.warning}"
        reason = f"whether that avoids errors is not measured: {self.unmeasured}"
        yield f"  {reason if self.rejection is None else self.rejection}"


@dataclass(frozen=True)
class ModelReport:
    """What embeddings suggest: candidates for a person to judge, the most suspicious first.

    Attributes:
        model: the name of the model.
        least: similarity from which two identities are listed as close; None where no identity
            has two images to measure it on.
        close: the closest identities; the first thousand.
        outliers: images that lie nearer to another identity.
        copies_least: similarity from which two images are listed as copies; None for vectors.
        copies: groups of near-duplicates that their pixels do not show.
        quality: what a model that estimates qualities finds poor; None for others.
    """

    model: str
    least: float | None
    close: tuple[CloseIdentities, ...]
    outliers: tuple[Outlier, ...]
    copies_least: float | None
    copies: tuple[NearDuplicates, ...]
    quality: QualityReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        values = asdict(replace(self, quality=None))
        values["quality"] = None if self.quality is None else self.quality.as_dict()
        for key in ("close", "outliers", "copies"):
            values[key] = [one._asdict() for one in getattr(self, key)]
        return values

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the lines that are printed."""
        yield f"by the embeddings of {self.model}: candidates, to be looked at"
        if self.least is None:
            yield "  no identity has two images: no threshold for close identities"
        else:
            yield from section(
                f"two identities, images closer than three quarters of the pairs of one "
                f"identity ({self.least:.2f})",
                [f"{one.similarity:.3f}  {' / '.join(one.images)}" for one in self.close],
            )
        yield from section(
            "nearer to another identity than to its own",
            [
                f"{one.image}: {one.similarity:.2f} with {one.other}, {one.own:.2f} with its own"
                for one in self.outliers
            ],
        )
        if self.copies_least is not None:
            for one in near_findings(self.copies, f" to the model (from {self.copies_least:.3f})"):
                yield from section(one.title, one.lines)  # candidates, never problems
        if not (self.close or self.outliers or self.copies):
            yield "  nothing suspicious"
        if self.quality is None:
            yield "  quality of images: it estimates none (--recipe sets trains one that does)"
        else:
            yield from self.quality.lines()


@dataclass(frozen=True)
class CheckReport:
    """What there is in a data set, and what is wrong with it.

    Attributes:
        name: of the data set.
        understood: the layout that was recognised.
        notes: warnings of its reader.
        images: how many rows it has.
        per_identity: identity → how many images.
        splits: split → how many images.
        sizes: (width, height) → how many images.
        unreadable: images that cannot be decoded.
        landmarks: images with landmarks that no face can have, and why.
        odd_landmarks: images whose landmarks are odd, and how.
        duplicates: groups of images with the same pixels.
        near: groups of images that are nearly the same; those of several identities first, then
            those in several splits or data sets.
        shared: identities that are in more than one split or data set.
        suspects: groups of identities that are perhaps one, spelled differently.
        ignored: files that are no images.
        nobody: images without an identity, where the data set has identities.
        pairs: what is wrong with the pairs that the data set states.
        by_model: what the embeddings of a model suggest, where one was named.
        domains: domain → how many images.
        columns: what the columns `domain`, `age` and others of numbers hold.
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
    landmarks: tuple[Unreadable, ...] = ()
    odd_landmarks: tuple[Unreadable, ...] = ()
    domains: dict[str, int] = field(default_factory=dict)
    columns: ColumnsReport = NO_COLUMNS

    @property
    def identities(self) -> int:
        """The number of identities."""
        return len(self.per_identity)

    @property
    def single(self) -> list[str]:
        """Identities with one image, which have no mated pair."""
        return [identity for identity, count in self.per_identity.items() if count == 1]

    @property
    def mislabelled(self) -> list[Duplicates]:
        """The same image under two identities: at least one label is wrong."""
        return [group for group in self.duplicates if len(group.identities) > 1]

    @property
    def leaked(self) -> list[Duplicates]:
        """The same image in two splits or data sets: results there are too good."""
        return [group for group in self.duplicates if len(group.places) > 1]

    @property
    def findings(self) -> list[Finding]:
        """All findings, the problems first."""
        rest = [one for one in self.duplicates if len(one.identities) < 2 and len(one.places) < 2]
        *near_problems, near = near_findings(self.near)
        unreadable, impossible, odd = (
            [f"{one.image}: {one.reason}" for one in images]
            for images in (self.unreadable, self.landmarks, self.odd_landmarks)
        )
        spellings = [" / ".join(one) for one in self.suspects]
        only_leaked = [one for one in self.leaked if len(one.identities) < 2]
        in_several = "identities in several splits or data sets: measures known ones, not new ones"
        return [
            Finding("cannot be decoded", unreadable, True),
            Finding("landmarks that cannot be", impossible, True),
            Finding(
                "no identity (empty, -1, nan, …): not trained on", self.nobody, True, once=True
            ),
            Finding("pairs", self.pairs, True),
            Finding("columns", self.columns.problems, True),
            Finding("one image, two identities", _groups(self.mislabelled), True),
            Finding("one image, two splits or data sets", _groups(only_leaked), True),
            Finding("the same image more than once", _groups(rest), True),
            *near_problems,
            Finding(in_several, self.shared, True, once=True),
            Finding("perhaps one identity, spelled differently", spellings, True),
            near,
            Finding("odd landmarks", odd, False),
            Finding("columns", self.columns.notes, False),
            Finding("ignored: no images of this data set", self.ignored, False),
        ]

    @property
    def problems(self) -> int:
        """The number of problems to solve before training or measuring.

        Identities with one image, ignored files, nearly the same image within one identity, and
        what a model suspects are not counted. All identities shared between splits count as one
        problem, and so do all rows without an identity: each comes from one decision.
        """
        return sum(one.problems for one in self.findings)

    @property
    def histogram(self) -> dict[str, int]:
        """Images per identity, in steps → number of identities."""
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
        """Return everything as plain JSON values."""
        values = asdict(replace(self, by_model=None))
        values["by_model"] = None if self.by_model is None else self.by_model.as_dict()
        values["columns"] = self.columns._asdict()
        values["sizes"] = {f"{width}x{height}": n for (width, height), n in self.sizes.items()}
        for key, groups in (
            ("unreadable", self.unreadable),
            ("landmarks", self.landmarks),
            ("odd_landmarks", self.odd_landmarks),
            ("duplicates", self.duplicates),
            ("near", self.near),
        ):
            values[key] = [one._asdict() for one in groups]
        for key in ("notes", "shared", "ignored", "nobody", "pairs"):
            values[key] = list(values[key])
        values["suspects"] = [list(group) for group in self.suspects]
        values["histogram"] = self.histogram
        values["findings"] = [
            {"title": one.title, "problem": one.problem, "count": len(one.lines)}
            for one in self.findings
        ]
        values["problems"] = self.problems
        return values

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.images:,} images of {self.identities:,} identities"
        if self.understood:
            yield f"  read as            {self.understood}"
        yield from (f"  warning            {note}" for note in self.notes)
        if self.splits:
            yield "  splits             " + _pairs(self.splits)
        if self.domains:
            yield "  domains            " + _pairs(self.domains)
        if self.columns.two_images:
            yield from self._two_image_lines()
        if self.columns.ages:
            yield f"  ages               {self.columns.ages}"
        if counts := list(self.per_identity.values()):
            yield (
                f"  images an identity {min(counts)} to {max(counts)}, median {median(counts):g}"
            )
            yield "                     " + _pairs(self.histogram)
        if self.sizes:
            yield from self._size_lines()
        if self.single:
            yield f"  one image only     {len(self.single):,} identities (no mated pair)"
        for finding in self.findings:
            yield from finding.listed()
        if self.by_model is not None:
            yield from self.by_model.lines()
        yield {0: "no problems", 1: "1 problem"}.get(self.problems, f"{self.problems:,} problems")

    def _two_image_lines(self) -> Iterator[str]:
        batch = self.columns.batch
        yield f"  two images each    {self.columns.two_images}"
        if batch is not None and batch < 4:
            yield "                     too few of them for the recipe bisample"
            return
        smaller = f" --batch {batch}" if batch else ""
        yield f"                     arcwise train DATA --recipe bisample{smaller} --out PAIRS"
        yield "                     is a recipe for these; compare it with a plain one:"
        yield "                     arcwise train DATA --recipe products-small --out PLAIN"
        yield "                     arcwise evaluate PAIRS/model DATA --baseline PLAIN/model"

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
