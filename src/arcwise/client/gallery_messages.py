"""What a server and its client say of galleries and what is enrolled, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from arcwise.evaluation import Threshold
from arcwise.gallery import EnrolledTemplate, GalleryCalibration, GallerySize, OperatingPoint


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


FindingKind = Literal["duplicate", "hub", "one identity", "misfit"]
"""What does not look right: templates of one image; one that is near to very many identities; two
identities that are probably one; a template that does not fit its identity."""


@dataclass(frozen=True)
class AuditFinding:
    """Something that does not look right.

    Attributes:
        kind: of it.
        templates: ids of the templates in question.
        identities: concerned; the first has the most templates, or the template in question.
        similarity: by which it is found; of a hub, null.
        nearest: id of the template that the one in question is closest to; null where it is of no
            matter.
        said: in words.
    """

    kind: FindingKind
    templates: tuple[int, ...]
    identities: tuple[str, ...]
    similarity: float | None
    nearest: int | None
    said: str


@dataclass(frozen=True)
class AuditAnswer:
    """What does not look right in a gallery, for a person to judge; nothing is changed.

    Attributes:
        templates: that take part.
        identities: enrolled.
        findings: by kind, the surest first.
        point: the threshold of a search by which identities are found; null without any.
        pair: the threshold of pairs that misfits are below; null without any.
        hub_limit: the number of identities that a hub is near to, at least.
        notes: what is to be known.
    """

    templates: int
    identities: int
    findings: list[AuditFinding]
    point: OperatingPoint | None
    pair: Threshold | None
    hub_limit: int
    notes: list[str]


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
        points: those that decide here at some rate, the highest rate first, and `point`: a search
            with `fpir` decides by the first of them whose rate is no higher, one of this gallery
            before others.
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
        bytes: of the gallery's files; 0 on a database server.
        changed: when it was last written, ISO 8601; null on a database server.
        of_several: templates that are of several images together.
        images: that these are of.
        decides: what a search decides by, and what that rests on.
        limits: of one request.
        aligns: whether the model turns a face by its landmarks.
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
    changed: str | None
    of_several: int
    images: int
    decides: CalibrationAnswer
    limits: RequestLimits
    aligns: bool = False


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
