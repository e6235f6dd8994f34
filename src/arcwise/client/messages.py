"""What a server and its client say to each other: the answers, as frozen values of plain JSON.

The server makes its OpenAPI of them, and the client reads them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from arcwise.evaluation import Threshold
from arcwise.gallery import (
    Decision,
    EnrolledTemplate,
    GalleryCalibration,
    GallerySize,
    Hit,
    OperatingPoint,
)


@dataclass(frozen=True)
class FailedImage:
    """An image that could not be used.

    Attributes:
        image: its name, as it was sent.
        reason: what is wrong with it.
    """

    image: str
    reason: str


@dataclass(frozen=True)
class PoorImage:
    """An image whose quality is too low.

    Attributes:
        image: its name, as it was sent.
        quality: as the model estimates it.
    """

    image: str
    quality: float


@dataclass(frozen=True)
class EmbedAnswer:
    """Embeddings of images.

    Attributes:
        vectors: one of length 1 for each image that could be read.
        quality: how much each counts in a set; null for a model that estimates none.
        rows: number of the image, from 0, of each vector.
        failures: images that could not be used.
        notes: what is to be known of the images.
        fingerprint: of the model; vectors of equal ones are comparable.
    """

    vectors: list[list[float]]
    quality: list[float] | None
    rows: list[int]
    failures: list[FailedImage]
    notes: list[str]
    fingerprint: str


@dataclass(frozen=True)
class QueryAnswer:
    """The answer to one query.

    Attributes:
        image: its name, as it was sent.
        error: why it is not answered; null where it is.
        decision: which identity it is, or unknown, with the rates that the threshold keeps; null
            where no threshold decides.
        hits: the closest identities, closest first.
    """

    image: str
    error: str | None
    decision: Decision | None
    hits: list[Hit]


@dataclass(frozen=True)
class SearchAnswer:
    """The answers to a search, and what decided them.

    Attributes:
        queries: one answer for each image; of images together, one.
        point: the threshold that decides, the measurement it rests on, and what it promises in
            this gallery; null without thresholds, and in an empty gallery.
        promise: that in a sentence, as counts of images.
        size: how much is enrolled.
        calibration: what was measured against the gallery; null where nothing was.
        outgrown: whether others were enrolled since: the gallery has to be calibrated again.
        unmeasured: why no rate holds; empty where one does.
        together: how many images the one answer is to; 0 where each has its own.
        weighting: how images together counted, in words.
        notes: what is to be known of the images.
        licence: under which the model's weights may be used.
    """

    queries: list[QueryAnswer]
    point: OperatingPoint | None
    promise: str
    size: GallerySize
    calibration: GalleryCalibration | None
    outgrown: bool
    unmeasured: str
    together: int
    weighting: str
    notes: list[str]
    licence: str


@dataclass(frozen=True)
class VerifyAnswer:
    """A claimed identity, checked.

    Attributes:
        accepted: whether the similarity reaches the threshold.
        similarity: largest cosine to the identity's templates.
        templates: how many it has.
        threshold: what decided: the similarity, its false-accept rate, and how that was measured.
        promise: that in a sentence.
        outgrown: whether the gallery has outgrown its calibration, which decides searches.
        unmeasured: why the rate does not hold; empty where it does.
        together: how many images were decided on, once.
        weighting: how these counted, in words; empty for one.
        notes: what is to be known of the images.
        failures: images that could not be used, and did not count.
    """

    accepted: bool
    similarity: float
    templates: int
    threshold: Threshold
    promise: str
    outgrown: bool
    unmeasured: str
    together: int
    weighting: str
    notes: list[str]
    failures: list[FailedImage]


@dataclass(frozen=True)
class EnrolAnswer:
    """What was enrolled; it is on disk.

    Attributes:
        identity: whose, in the form that the gallery shows.
        templates: ids of the new templates: one an image, or one for images together.
        images: names of the images that these are of, in their order.
        replaced: older templates of the identity that were removed with it.
        failures: images that could not be used, and are not enrolled.
        refused: images whose quality is too low, and which are not enrolled.
        qualities: as the model estimates them, one for each of `images`; null where it does not.
        weighting: how images together counted, in words.
        notes: what is to be known of the images.
        size: how much is enrolled now.
        outgrown: whether the gallery has outgrown its calibration.
    """

    identity: str
    templates: list[int]
    images: list[str]
    replaced: int
    failures: list[FailedImage]
    refused: list[PoorImage]
    qualities: list[float] | None
    weighting: str
    notes: list[str]
    size: GallerySize
    outgrown: bool


@dataclass(frozen=True)
class IdentityCount:
    """An enrolled identity.

    Attributes:
        identity: its name.
        templates: how many it has.
    """

    identity: str
    templates: int


@dataclass(frozen=True)
class IdentitiesAnswer:
    """A page of the enrolled identities, by name.

    Attributes:
        identities: of this page.
        total: in the gallery.
        after: what to ask the next page with; null on the last.
    """

    identities: list[IdentityCount]
    total: int
    after: str | None


@dataclass(frozen=True)
class TemplateAbout:
    """One template.

    Attributes:
        template: its id.
        identity: whose it is.
        metadata: what is recorded with it.
        quality: enrolled with it; null where none was.
        thumbnail: address of its small image; null where none is kept.
    """

    template: int
    identity: str
    metadata: dict[str, Any]
    quality: float | None
    thumbnail: str | None


@dataclass(frozen=True)
class IdentityAnswer:
    """An enrolled identity with its templates.

    Attributes:
        identity: its name.
        forms: how it is written in the gallery, the first enrolled form first.
        templates: the oldest first.
    """

    identity: str
    forms: list[str]
    templates: list[TemplateAbout]


@dataclass(frozen=True)
class RemovedAnswer:
    """Templates that were removed; no vector of theirs is left.

    Attributes:
        templates: how many.
        forms: how their identity was written; empty for a single template.
    """

    templates: int
    forms: list[str]


@dataclass(frozen=True)
class ChangedAnswer:
    """Templates that were changed.

    Attributes:
        templates: their ids.
    """

    templates: list[int]


@dataclass(frozen=True)
class HeldTemplate:
    """A template in quarantine.

    Attributes:
        template: which.
        reason: why.
    """

    template: EnrolledTemplate
    reason: str


@dataclass(frozen=True)
class QuarantineAnswer:
    """The templates in quarantine, which take part in nothing.

    Attributes:
        templates: the oldest first.
    """

    templates: list[HeldTemplate]


@dataclass(frozen=True)
class RequestLimits:
    """How much one request may hold.

    Attributes:
        images: images.
        image_bytes: bytes of one image file.
        body_bytes: bytes of the whole.
        pixels: pixels of one image.
        hits: identities in one answer.
    """

    images: int
    image_bytes: int
    body_bytes: int
    pixels: int
    hits: int


@dataclass(frozen=True)
class CalibrationAnswer:
    """What a search decides by at a rate, and what that rests on.

    Attributes:
        point: the threshold, the rates that it promises in this gallery, and the measurement they
            come from; null without thresholds, and in an empty gallery.
        promise: that in a sentence, as counts of images.
        points: what every threshold promises in this gallery.
        thresholds: those of single comparisons.
        measured_on: what the model's thresholds were measured on.
        calibration: what was measured against the gallery; null where nothing was.
        outgrown: whether others were enrolled since: calibrate it again.
    """

    point: OperatingPoint | None
    promise: str
    points: list[OperatingPoint]
    thresholds: list[Threshold]
    measured_on: str
    calibration: GalleryCalibration | None
    outgrown: bool


@dataclass(frozen=True)
class GalleryAnswer:
    """A gallery: what is enrolled, by which model, and what decides.

    Attributes:
        gallery: its name.
        role: what the key allows here.
        size: how much is enrolled.
        dim: dimensions of the vectors.
        model: name of the model.
        fingerprint: of the model.
        licence: under which its weights may be used.
        estimates_quality: whether the model estimates the quality of an image.
        templates_an_identity: the fewest, the median and the most; null in an empty gallery.
        bytes: of the gallery's files.
        changed: when it was last written, ISO 8601.
        decides: what a search decides by, and what that rests on.
        limits: of one request.
    """

    gallery: str
    role: Literal["read", "enrol", "admin"]
    size: GallerySize
    dim: int
    model: str
    fingerprint: str
    licence: str
    estimates_quality: bool
    templates_an_identity: tuple[int, float, int] | None
    bytes: int
    changed: str
    decides: CalibrationAnswer
    limits: RequestLimits


@dataclass(frozen=True)
class GalleriesAnswer:
    """The galleries that a key opens.

    Attributes:
        galleries: their names.
    """

    galleries: list[str]


@dataclass(frozen=True)
class HealthAnswer:
    """The process answers.

    Attributes:
        status: always "ok".
        version: of Arcwise.
    """

    status: Literal["ok"]
    version: str


@dataclass(frozen=True)
class ReadyGallery:
    """Whether a gallery can be asked.

    Attributes:
        gallery: its name.
        ready: whether it answers.
        outgrown: whether it has outgrown its calibration, so that no measured rate holds.
        problem: why it does not answer; empty where it does.
    """

    gallery: str
    ready: bool
    outgrown: bool
    problem: str


@dataclass(frozen=True)
class ReadyAnswer:
    """Whether the server can be asked.

    Attributes:
        ready: whether every gallery answers.
        outgrown: whether some gallery has outgrown its calibration.
        galleries: those that the key opens; empty without a key.
    """

    ready: bool
    outgrown: bool
    galleries: list[ReadyGallery]


@dataclass(frozen=True)
class Mistake:
    """What went wrong.

    Attributes:
        code: one word of a fixed list, for programs.
        message: what was got, and what was expected.
        do: what to do.
        request: id of the request, as the server's log has it.
        images: those that cannot be used, where no image can.
    """

    code: str
    message: str
    do: str
    request: str
    images: list[FailedImage]


@dataclass(frozen=True)
class ErrorAnswer:
    """What every request that fails is answered.

    Attributes:
        error: what went wrong.
    """

    error: Mistake
