"""How much is enrolled in a gallery, and the thresholds that were measured against it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from arcwise.errors import ArcwiseError
from arcwise.evaluation import SearchThreshold


@dataclass(frozen=True)
class GallerySize:
    """How much is enrolled.

    Attributes:
        identities: enrolled, G.
        templates: of all of them.
        fewest: templates of the identity that has fewest; 0 in an empty gallery.
        most: templates of the identity that has most.
        newest: number of the template that was enrolled last; they rise.
    """

    identities: int
    templates: int
    fewest: int
    most: int
    newest: int = 0

    @property
    def each(self) -> int | None:
        """Templates of every identity; None where they differ, or nobody is enrolled."""
        return self.fewest if self.fewest == self.most > 0 else None


@dataclass(frozen=True)
class SecondLook:
    """Thresholds of how far the best similarity is above the mean of the next identities.

    They hold in the gallery as it was: with others next to a query, that number is another.

    Attributes:
        neighbours: next identities that the mean is of.
        thresholds: by false-positive identification rate.
    """

    neighbours: int
    thresholds: tuple[SearchThreshold, ...]


@dataclass(frozen=True)
class GalleryCalibration:
    """Thresholds measured by searching a gallery with strangers.

    Attributes:
        identities: enrolled then.
        templates: enrolled then.
        thresholds: of the similarity, by false-positive identification rate.
        measured_on: the strangers, in words.
        newest: number of the template that had been enrolled last; None where it was not kept.
        second_look: what decides instead of `thresholds` while the gallery is as it was; None where
            that was not found to be better.
    """

    identities: int
    templates: int
    thresholds: tuple[SearchThreshold, ...]
    measured_on: str
    newest: int | None = None
    second_look: SecondLook | None = None

    @property
    def strangers(self) -> int | None:
        """Identities it was measured on; None where these are not known, nor then any interval."""
        counts = [one.identities for one in self.thresholds]
        known = [one for one in counts if one is not None]
        return max(known, default=0) if len(known) == len(counts) else None

    def outgrown(self, size: GallerySize) -> bool:
        """Return whether something is enrolled now that was not then."""
        more = size.identities > self.identities or size.templates > self.templates
        return more or (self.newest is not None and size.newest > self.newest)

    def unchanged(self, size: GallerySize) -> bool:
        """Return whether as much is enrolled now as then, and nothing new."""
        same = (size.identities, size.templates) == (self.identities, self.templates)
        return same and not self.outgrown(size)

    def second_look_ended(self, size: GallerySize) -> bool:
        """Return whether there was a second look, which this change of the gallery ended."""
        return self.second_look is not None and not self.unchanged(size)

    def as_json(self) -> str:
        """Return the text that a gallery keeps.

        A reader from before there was a second look finds the thresholds of the similarity.
        """
        second = self.second_look
        return json.dumps(
            {
                "identities": self.identities,
                "templates": self.templates,
                "thresholds": [one.as_dict() for one in self.thresholds],
                "measured_on": self.measured_on,
                "strangers": self.strangers,
                "newest": self.newest,
                "second_look": second
                and {
                    "neighbours": second.neighbours,
                    "thresholds": [one.as_dict() for one in second.thresholds],
                },
            },
            allow_nan=False,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> GalleryCalibration:
        """Return the calibration that `as_json` described.

        One from before it was noted whether the strangers' identities are known has no interval if
        each of their images counted as another identity.

        Raises:
            ArcwiseError: the text is something else.
        """
        try:
            values = json.loads(text)
            newest, second = values.get("newest"), values.get("second_look")
            thresholds = tuple(map(SearchThreshold.from_dict, values["thresholds"]))
            if "strangers" not in values and all(o.identities == o.probes for o in thresholds):
                thresholds = tuple(map(_without_interval, thresholds))
            return cls(
                int(values["identities"]),
                int(values["templates"]),
                thresholds,
                str(values["measured_on"]),
                None if newest is None else int(newest),
                second
                and SecondLook(
                    int(second["neighbours"]),
                    tuple(map(SearchThreshold.from_dict, second["thresholds"])),
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise ArcwiseError(
                f"the gallery's calibration cannot be read ({problem}): calibrate it again, with "
                "--force"
            ) from None


def _without_interval(one: SearchThreshold) -> SearchThreshold:
    return replace(one, identities=None, low=-1.0, high=1.0, fpir_low=0.0, fpir_high=1.0)
