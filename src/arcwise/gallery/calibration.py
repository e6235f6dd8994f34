"""How much is enrolled in a gallery, and the thresholds that were measured against it."""

from __future__ import annotations

import json
from dataclasses import dataclass

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
class GalleryCalibration:
    """Thresholds measured by searching a gallery with strangers.

    Attributes:
        identities: enrolled then.
        templates: enrolled then.
        thresholds: by false-positive identification rate.
        measured_on: the strangers, in words.
        newest: number of the template that had been enrolled last; None where it was not kept.
    """

    identities: int
    templates: int
    thresholds: tuple[SearchThreshold, ...]
    measured_on: str
    newest: int | None = None

    @property
    def strangers(self) -> int:
        """Identities it was measured on."""
        return max((one.identities for one in self.thresholds), default=0)

    def outgrown(self, size: GallerySize) -> bool:
        """Return whether something is enrolled now that was not then."""
        more = size.identities > self.identities or size.templates > self.templates
        return more or (self.newest is not None and size.newest > self.newest)

    def as_json(self) -> str:
        """Return the text that a gallery keeps."""
        return json.dumps(
            {
                "identities": self.identities,
                "templates": self.templates,
                "thresholds": [one.as_dict() for one in self.thresholds],
                "measured_on": self.measured_on,
                "newest": self.newest,
            },
            allow_nan=False,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> GalleryCalibration:
        """Return the calibration that `as_json` described.

        Raises:
            ArcwiseError: the text is something else.
        """
        try:
            values = json.loads(text)
            newest = values.get("newest")
            return cls(
                int(values["identities"]),
                int(values["templates"]),
                tuple(map(SearchThreshold.from_dict, values["thresholds"])),
                str(values["measured_on"]),
                None if newest is None else int(newest),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise ArcwiseError(
                f"the gallery's calibration cannot be read ({problem}): calibrate it again, with "
                "--force"
            ) from None
