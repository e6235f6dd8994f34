"""The threshold of a search, and what was measured of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from arcwise.evaluation.intervals import Rate
from arcwise.evaluation.plain import from_plain
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
        identities: identities these came from.
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
    identities: int
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
        found: Rate | None,
        *,
        gallery: int,
        templates: int | None,
        probes: int,
        identities: int,
    ) -> SearchThreshold:
        """Return the threshold that keeps a rate, with its intervals around it.

        Args:
            rate: the false-positive rate asked for.
            threshold: that keeps it.
            ends: of the threshold's interval.
            fpir: the rate at the threshold, with its interval.
            found: the detection rate, with its interval; None where it was not measured.
            gallery: identities enrolled, G.
            templates: templates of each, M; None for all images of each.
            probes: unknown images searched with.
            identities: these came from.
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
            dir=None if found is None else float(found),
            dir_low=None if found is None else found.low,
            dir_high=None if found is None else found.high,
        )

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> SearchThreshold:
        """Return the threshold that `as_dict` described.

        One from before templates were counted was measured with all the images of each identity:
        it holds for one template each, at least, and says nothing of how many are found.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is of another kind.
        """
        if isinstance(values, dict) and values.keys() == _BEFORE:
            unknown = {"fpir_low": 0.0, "fpir_high": 1.0, "dir_low": None, "dir_high": None}
            values = {**values, "templates": 1, "dir": None, **unknown}
        return from_plain(cls, values, "a search threshold")

    def __str__(self) -> str:
        mark = "" if self.resolved else ", NOT RESOLVED: too few images for this rate"
        found = "" if self.dir is None else f", finds {self.dir:.2%} of enrolled ones"
        each = {None: "with all their images", 1: "with 1 template each"}.get(
            self.templates, f"with {self.templates} templates each"
        )
        return (
            f"FPIR {self.fpir:g} in a gallery of {self.gallery} identities {each}: similarity >= "
            f"{self.threshold:.4f} [{self.low:.4f}, {self.high:.4f}]{found}{mark}"
        )


_BEFORE = {field.name for field in fields(SearchThreshold)} - {
    "templates", "fpir_low", "fpir_high", "dir_low", "dir_high",
}  # fmt: skip
