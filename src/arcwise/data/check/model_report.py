"""What a model's embeddings tell about a data set; it prints itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from arcwise.data.check.findings import NearDuplicates, near_findings, section


class CloseIdentities(NamedTuple):
    """Two identities that are perhaps one, or have a picture of the other among their own."""

    identities: tuple[str, str]
    images: tuple[str, str]  # the closest two
    similarity: float


class Outlier(NamedTuple):
    """A picture nearer to the mean of another identity than to that of its own."""

    image: str
    identity: str
    own: float  # similarity with the mean of the identity's other pictures
    other: str
    similarity: float


@dataclass(frozen=True)
class ModelReport:
    """Candidates for a person to judge, the most suspicious first; no count of mistakes.

    Attributes:
        model: whose embeddings they are.
        least: similarity from which two identities are listed as close; None where no identity
            has two pictures to measure it on.
        close: the closest identities; the first thousand.
        outliers: pictures that lie elsewhere than their identity.
        copies_least: similarity from which two pictures are listed as copies; None for vectors.
        copies: groups of pictures that are nearly one, and whose pixels do not show it.
    """

    model: str
    least: float | None
    close: tuple[CloseIdentities, ...]
    outliers: tuple[Outlier, ...]
    copies_least: float | None
    copies: tuple[NearDuplicates, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        values = asdict(self)
        for key in ("close", "outliers", "copies"):
            values[key] = [one._asdict() for one in getattr(self, key)]
        return values

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """What is printed."""
        yield f"by the embeddings of {self.model}: candidates, to be looked at"
        if self.least is None:
            yield "  no identity has two pictures: what is close cannot be told"
        else:
            yield from section(
                f"two identities, pictures closer than three quarters of the pairs of one "
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
