"""What every gallery promises: the calls, and the frozen values they give back.

Shapes: N vectors, D dimensions, K neighbours, G gallery entries (templates).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import ArrayLike

from arcwise.errors import GalleryError
from arcwise.gallery.calibration import GalleryCalibration, GallerySize

Enrolment = tuple[str, ArrayLike] | tuple[str, ArrayLike, Mapping[str, Any] | None]
"""One template to enrol: identity, unit vector (D,), and optionally a JSON object."""


class DamagedGallery(GalleryError):
    """The stored bytes are not the ones that were written.

    Attributes:
        templates: ids of the damaged templates; empty where the damage hides which they are.
    """

    def __init__(self, message: str, templates: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.templates = tuple(templates)

    def __reduce__(self) -> tuple[type[DamagedGallery], tuple[str, tuple[int, ...]]]:
        return type(self), (str(self), self.templates)


@dataclass(frozen=True, slots=True)
class Hit:
    """One identity found by a search, with its template closest to the query.

    Attributes:
        identity: who, or what.
        similarity: cosine between the query and the stored vector, in [-1, 1].
        template: id of the template, as the receipt of its enrolment gave it.
        metadata: the JSON object enrolled with that template.
    """

    identity: str
    similarity: float
    template: int
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A batch that is on disk.

    Attributes:
        templates: ids of the new templates, in the order of the items; an id is never used again.
        replaced: how many older templates of the same identities were removed with it.
    """

    templates: tuple[int, ...]
    replaced: int = 0

    def __len__(self) -> int:
        return len(self.templates)


@dataclass(frozen=True, slots=True)
class Verification:
    """How close a vector is to one enrolled identity.

    Attributes:
        similarity: the largest cosine over the identity's templates.
        templates: how many templates were compared.
    """

    similarity: float
    templates: int


@dataclass(frozen=True, slots=True)
class Health:
    """A gallery whose every byte was read again and found to be what was written."""

    templates: int
    identities: int

    def __str__(self) -> str:
        return f"sound: {self.templates} templates of {self.identities} identities read and checked"


class Gallery(Protocol):
    """A store of enrolled vectors, exact in its answers and durable in its acknowledgements.

    Every implementation promises: `enrol` and `remove` return once the change survives a crash,
    and a batch is there whole or not at all; a search sees every change acknowledged before it
    began, whichever process made it; similarities are cosines with the stored vectors; an
    identity's templates count once, by the closest; equal similarities are ordered by identity.
    Written forms of one identity (`arcwise.identity`) are one identity in every call.
    """

    @property
    def dim(self) -> int:
        """Dimensions of every vector."""

    @property
    def fingerprint(self) -> str | None:
        """The model that made the vectors; None where the gallery was created without one."""

    @property
    def model_path(self) -> str | None:
        """Where that model lay when the gallery was created."""

    def __len__(self) -> int:
        """How many templates there are."""

    def identities(self) -> list[str]:
        """Every enrolled identity once, sorted."""

    def forms(self, identity: str) -> list[str]:
        """How an identity is written there, the first enrolled form first; none if unknown."""

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """The JSON object of each template of an identity, the oldest first; none if unknown."""

    def counts(self) -> dict[str, int]:
        """How many templates each enrolled identity has, in the order of `identities`."""

    def size(self) -> GallerySize:
        """How many identities and templates there are."""

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was."""

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """The receipt for a batch that is now durable."""

    def remove(self, identity: str) -> int:
        """How many templates of the identity were removed."""

    def search(self, vectors: ArrayLike, k: int = 5) -> list[list[Hit]]:
        """The K closest identities of each query, closest first: (N, D) or (D,) in, N lists out."""

    def verify(self, identity: str, vector: ArrayLike) -> Verification:
        """The similarity of a vector (D,) to one enrolled identity."""

    def check(self) -> Health:
        """What a full reading of the stored bytes found; raises where one is wrong."""

    def close(self) -> None:
        """Nothing; the gallery cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
