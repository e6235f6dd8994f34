"""The threshold of a search, its measured rates, and a sentence that describes them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

from arcwise.evaluation.inputs import dataclass_from
from arcwise.evaluation.intervals import Rate
from arcwise.evaluation.thresholds import resolved


@dataclass(frozen=True)
class SearchThreshold:
    """A similarity from which on a search answers, and how that was measured.

    Answered means at or above `threshold`.

    Attributes:
        fpir: false-positive identification rate, the fraction of unknown images that get any
            answer, at most: the mean over all galleries of this size.
        gallery: identities in the gallery, G.
        templates: templates of each identity, M; None where it was all the images each has.
        threshold: cosine, the lowest that keeps the rate.
        low: lower end of the threshold's 95 % interval, from drawing identities.
        high: upper end of it.
        fpir_low: lower end of the 95 % interval of the rate in one gallery of this size.
        fpir_high: upper end of it.
        resolved: whether the images suffice for this rate: at least ten answered by chance.
        probes: unknown images it was measured on.
        identities: identities these came from; None where it is not known which are of one, so that
            no interval is: its ends are those of every rate and similarity.
        dir: how often an image of an enrolled identity is answered with it; None where no identity
            has M templates and one image more.
        dir_low: lower end of its 95 % interval in one gallery of this size.
        dir_high: upper end of it.
    """

    fpir: float
    gallery: int
    templates: int | None
    threshold: float
    low: float
    high: float
    fpir_low: float
    fpir_high: float
    resolved: bool
    probes: int
    identities: int | None
    dir: float | None
    dir_low: float | None
    dir_high: float | None

    @classmethod
    def measured(
        cls,
        rate: float,
        threshold: float,
        ends: tuple[float, float],
        fpir: Rate,
        detection: Rate | None,
        *,
        gallery: int,
        templates: int | None,
        probes: int,
        identities: int | None,
    ) -> SearchThreshold:
        """Return the threshold that keeps a rate, with its intervals around it.

        Args:
            rate: the requested false-positive rate.
            threshold: the similarity that keeps it.
            ends: lower and upper end of the threshold's interval.
            fpir: the rate at the threshold, with its interval.
            detection: the detection rate, with its interval; None where it was not measured.
            gallery: identities enrolled, G.
            templates: templates of each, M; None for all images of each.
            probes: unknown images searched with.
            identities: these came from; None where that is not known.
        """
        return cls(
            fpir=rate,
            gallery=gallery,
            templates=templates,
            threshold=threshold,
            low=max(-1.0, min(ends[0], threshold)),
            high=max(threshold, min(1.0, ends[1])),
            fpir_low=fpir.low,
            fpir_high=max(rate, fpir.high),
            resolved=resolved(rate, probes),
            probes=probes,
            identities=identities,
            dir=None if detection is None else float(detection),
            dir_low=None if detection is None else detection.low,
            dir_high=None if detection is None else detection.high,
        )

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> SearchThreshold:
        """Return the threshold that `as_dict` described.

        One from before templates were counted was measured with all the images of each identity:
        it holds for at least one template each, and has no detection rate.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is of another kind.
        """
        if isinstance(values, dict) and values.keys() == _KEYS_BEFORE_TEMPLATES:
            intervals = {"fpir_low": 0.0, "fpir_high": 1.0, "dir_low": None, "dir_high": None}
            values = {**values, "templates": 1, "dir": None, **intervals}
        return dataclass_from(cls, values, "a search threshold")

    def __str__(self) -> str:
        mark = "" if self.resolved else ", NOT RESOLVED: too few images for this rate"
        detection = "" if self.dir is None else f", finds {self.dir:.2%} of enrolled ones"
        each = {None: "with all their images", 1: "with 1 template each"}.get(
            self.templates, f"with {self.templates} templates each"
        )
        return (
            f"FPIR {self.fpir:g} in a gallery of {self.gallery} identities {each}: similarity >= "
            f"{self.threshold:.4f} [{self.low:.4f}, {self.high:.4f}]{detection}{mark}"
        )


INTERVAL_NOT_KNOWN = (
    "interval not known, as it is not known which of the images are of one stranger"
)

_KEYS_BEFORE_TEMPLATES = {field.name for field in fields(SearchThreshold)} - {
    "templates", "fpir_low", "fpir_high", "dir_low", "dir_high",
}  # fmt: skip


def describe_search(
    detection: tuple[float, float, float] | None,
    answered: tuple[float, float, float] | None,
    *,
    at_most: bool = False,
    identities_known: bool = True,
) -> str:
    """Return a sentence of counts: images of enrolled identities found, other images answered.

    For instance: of 100 images of enrolled identities about 62 are found (50 to 71), of 100 others
    about 5 get an answer (2 to 9).

    Args:
        detection: the detection rate with both ends of its interval; None where not measured.
        answered: the false-positive rate with both ends of its interval; None where not measured.
        at_most: the false-positive rate is a bound.
        identities_known: whether it is known which of the other images are of one identity.
    """
    parts = []
    if detection is not None:
        enrolled = _counted(detection, "images of enrolled identities")
        parts.append(f"{enrolled} are found{_ends(detection)}")
    if answered is not None:
        few = " or fewer" if at_most else ""
        ends = _ends(answered) if identities_known else f" ({INTERVAL_NOT_KNOWN})"
        parts.append(f"{_counted(answered, 'others')}{few} get an answer{ends}")
    return ", ".join(parts)


def describe_claims(accepted: tuple[float, float, float], *, at_most: bool = False) -> str:
    """Return a sentence on claims: of 100 images of others about 5 would be accepted (0 to 9).

    Args:
        accepted: the false-accept rate with both ends of its interval.
        at_most: the rate is a bound.
    """
    few = " or fewer" if at_most else ""
    return f"{_counted(accepted, 'images of others')}{few} would be accepted{_ends(accepted)}"


def _counted(rate: tuple[float, float, float], noun: str) -> str:
    return f"of {_whole(rate[0]):,} {noun} about {_count(rate[0], rate[0])}"


def _ends(rate: tuple[float, float, float]) -> str:
    value, low, high = rate
    if low <= 0 and high >= 1:
        return " (interval not known)"
    return f" ({_count(low, value)} to {_count(high, value)})"


def _whole(rate: float) -> int:
    """Return the smallest power of ten, from 100, of which the rate is one or more."""
    return 100 if rate <= 0 else 10 ** max(2, math.ceil(-math.log10(rate) - 1e-9))


def _count(rate: float, of: float) -> str:
    """Return the count in as many as `_whole(of)`; with one digit more where it is below ten."""
    count = rate * _whole(of)
    rounded = round(count) if count >= 10 or abs(count - round(count)) < 0.05 else round(count, 1)
    return f"{rounded:g}"
