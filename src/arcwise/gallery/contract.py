"""What every gallery promises: the calls, and the frozen values they give back.

Shapes: N vectors, D dimensions, K neighbours, G gallery entries (templates).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import GalleryError
from arcwise.gallery.calibration import GalleryCalibration, GallerySize
from arcwise.gallery.filters import Condition

Where = str | Condition | None
"""A condition on metadata, as `gallery.filters` reads it; None for none."""


@dataclass(frozen=True, eq=False)
class NewTemplate:
    """One template to enrol.

    Attributes:
        identity: whose it is.
        vector: (D,), of length 1.
        metadata: a JSON object.
        quality: as its model estimates it, 0 or more.
        thumbnail: an encoded image, small: what a person is shown.
    """

    identity: str
    vector: ArrayLike
    metadata: Mapping[str, Any] | None = None
    quality: float | None = None
    thumbnail: bytes | None = None


Enrolment = (
    NewTemplate
    | tuple[str, ArrayLike]
    | tuple[str, ArrayLike, Mapping[str, Any] | None]
    | tuple[str, ArrayLike, Mapping[str, Any] | None, float | None]
)
"""What `enrol` takes: a `NewTemplate`, or the first of its attributes."""


NO_SUCH_GALLERY = (
    "there is no such gallery; `arcwise enrol GALLERY DATA --model MODEL` makes one, or "
    "create=True in Python"
)
"""What is wrong with an address at which there is nothing, and what to do."""


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


class UnavailableGallery(GalleryError):
    """A gallery whose database does not do what it is asked now, whatever that is.

    It cannot be reached, has ended the connection, is full, or is kept busy.

    Args:
        shown: the gallery's address, without secrets.
        outcome: why, and what became of the call.
        said: by the database; nothing if empty.

    Attributes:
        outcome: without a word of the database's, and without its address.
    """

    def __init__(self, shown: str, outcome: str, said: str = "") -> None:
        super().__init__(f"{shown}: {outcome}" + (f" ({said})" if said else ""))
        self.outcome = outcome
        self._given = shown, outcome, said

    def __reduce__(self) -> tuple[type[UnavailableGallery], tuple[str, str, str]]:
        return type(self), self._given


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
class EnrolledTemplate:
    """One template, without its vector.

    Attributes:
        template: its id.
        identity: whose it is, in the form that was enrolled first.
        metadata: the JSON object enrolled with it.
        quality: enrolled with it; None where none was.
    """

    template: int
    identity: str
    metadata: dict[str, Any]
    quality: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredTemplates:
    """Templates with everything that is stored of them, the oldest first.

    Attributes:
        templates: (N,) int64 ids.
        identities: N, as they are written with each template.
        vectors: (N, D) float32.
        metadata: N JSON objects.
        qualities: N, None where none was enrolled.
        thumbnails: N, None where none was enrolled.
        quarantined: N reasons for which a template takes part in nothing; None where it does.
    """

    templates: NDArray[np.int64]
    identities: list[str]
    vectors: NDArray[np.float32]
    metadata: list[dict[str, Any]]
    qualities: list[float | None]
    thumbnails: list[bytes | None]
    quarantined: list[str | None]

    def __len__(self) -> int:
        return len(self.templates)


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
class VerificationScore:
    """How close a vector is to one enrolled identity.

    Attributes:
        similarity: the largest cosine over the identity's templates.
        templates: how many templates were compared.
    """

    similarity: float
    templates: int


@dataclass(frozen=True, slots=True)
class Health:
    """A gallery whose every byte was read again and found to be what was written.

    Attributes:
        templates: of all identities, those in quarantine too.
        identities: that have any.
        quarantined: templates in quarantine.
    """

    templates: int
    identities: int
    quarantined: int = 0

    def __str__(self) -> str:
        held = f", {self.quarantined} of them in quarantine" if self.quarantined else ""
        return (
            f"sound: {self.templates} templates{held} of {self.identities} identities read and "
            "checked"
        )


@dataclass(frozen=True, slots=True)
class GalleryAbout:
    """What a gallery says of itself, without its templates.

    Attributes:
        dim: dimensions of every vector.
        fingerprint: the model that made the vectors; None where it was created without one.
        model_path: where that model lay when the gallery was created.
        templates: how many there are, those in quarantine too.
        changes: how often a template was enrolled, removed or changed: another number, another
            gallery.
    """

    dim: int
    fingerprint: str | None
    model_path: str | None
    templates: int
    changes: int


class Gallery(Protocol):
    """A store of enrolled vectors, exact in its answers and durable in its acknowledgements.

    Every implementation promises: whatever changes the gallery returns once the change survives a
    crash, and is there whole or not at all; a call sees every change acknowledged before it began,
    whichever process made it; similarities are cosines with the stored vectors; an identity's
    templates count once, by the closest; equal similarities are ordered by identity; a condition
    on metadata (`gallery.filters`) says which templates take part before anything is ranked. A
    template in quarantine is kept and takes part in no answer: what counts, lists or compares
    templates leaves it out, but for `stored`, `quarantined`, `about` and `check`; what is said of a
    template by its id (`thumbnail`, `assign`, `annotate`, `release`, `remove_templates`) holds of
    it too, and `remove` takes it with its identity. Written forms of one identity
    (`arcwise.identity`) are one identity in every call. An id of a template is never used again.
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

    def about(self) -> GalleryAbout:
        """Return what the gallery says of itself now; no template is read."""

    def __len__(self) -> int:
        """Return how many templates there are."""

    def identities(self) -> list[str]:
        """Return every enrolled identity once, sorted."""

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written there, the first enrolled form first, or nothing."""

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """Return the JSON objects of an identity's templates, the oldest first; none if unknown."""

    def templates(
        self, identity: str | None = None, *, where: Where = None
    ) -> list[EnrolledTemplate]:
        """Return the templates, the oldest first: of one identity, or that meet a condition."""

    def thumbnail(self, template: int) -> bytes | None:
        """Return what was enrolled for a person to see; None where nothing was."""

    def stored(self) -> Iterator[StoredTemplates]:
        """Yield everything that is enrolled, in chunks, as it was when the first was taken."""

    def counts(self) -> dict[str, int]:
        """Return how many templates each enrolled identity has, in the order of `identities`."""

    def size(self) -> GallerySize:
        """Return how many identities and templates there are."""

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was."""

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """Enrol a batch and return its receipt once it is durable."""

    def remove(self, identity: str) -> int:
        """Remove an identity and return how many templates it had, those in quarantine too."""

    def remove_templates(self, templates: Sequence[int]) -> None:
        """Remove single templates, in quarantine or not."""

    def purge(self) -> None:
        """Make every byte of what was removed unreadable, whatever that costs."""

    def assign(self, templates: Sequence[int], identity: str) -> None:
        """Give templates to another identity, enrolled or new; their ids remain."""

    def annotate(self, template: int, metadata: Mapping[str, Any]) -> None:
        """Put metadata in the place of a template's."""

    def quarantine(self, templates: Sequence[int], reason: str) -> None:
        """Let templates take part in nothing until they are released."""

    def quarantined(self) -> list[tuple[EnrolledTemplate, str]]:
        """Return the templates in quarantine with the reasons, the oldest template first."""

    def release(self, templates: Sequence[int]) -> None:
        """Let templates in quarantine take part again."""

    def search(self, vectors: ArrayLike, k: int = 5, *, where: Where = None) -> list[list[Hit]]:
        """Return N lists of the K closest identities, closest first; (D,) is one query."""

    def above(
        self, vectors: ArrayLike, threshold: float, *, where: Where = None
    ) -> list[list[Hit]]:
        """Return N lists of all identities from a similarity on, closest first."""

    def verify(self, identity: str, vector: ArrayLike) -> VerificationScore:
        """Return the similarity of a vector (D,) to one enrolled identity."""

    def check(self) -> Health:
        """Read all stored bytes and return what there is; raise where one is wrong."""

    def close(self) -> None:
        """Close the gallery, which cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
