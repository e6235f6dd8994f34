"""What a server and its client say of images: answers and errors, as frozen values of plain JSON.

The server makes its OpenAPI of them, and the client reads them back; `gallery_messages` has those
about galleries.
"""

from __future__ import annotations

from dataclasses import dataclass

from arcwise.evaluation import Threshold
from arcwise.gallery import Decision, GalleryCalibration, GallerySize, Hit, OperatingPoint


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
class LowQualityImage:
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
        promise: that in a sentence, and how many images of others would be accepted.
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
class ExplainAnswer:
    """What the similarity of an image to an identity rests on.

    Attributes:
        identity: as it was asked for.
        similarity: largest cosine to the identity's templates.
        fall: by how much it falls where a square of the image is grey, by row and column, from the
            upper left.
        image: a JPEG of the image as the network sees it, which the squares divide, in base64.
    """

    identity: str
    similarity: float
    fall: list[list[float]]
    image: str


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
    refused: list[LowQualityImage]
    qualities: list[float] | None
    weighting: str
    notes: list[str]
    size: GallerySize
    outgrown: bool


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
