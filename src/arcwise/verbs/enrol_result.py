"""What an enrolment gives back."""

from __future__ import annotations

from dataclasses import dataclass

from arcwise.errors import ImageError


@dataclass(frozen=True)
class RefusedImage:
    """An image whose quality is too low to be enrolled.

    Attributes:
        image: its path.
        identity: whose it is.
        quality: as the model estimates it.
    """

    image: str
    identity: str
    quality: float

    def __str__(self) -> str:
        return f"{self.image}: {self.identity}, quality {self.quality:.3f}"


@dataclass(frozen=True)
class Enrolled:
    """What was enrolled.

    Attributes:
        templates: enrolled now: one an image, or one an identity for images together.
        images: that these are of.
        identities: of how many identities.
        replaced: older templates that these replaced.
        total: templates in the gallery now.
        failures: images that could not be read, and are not enrolled.
        ignored: files that are not images.
        had_templates: how many of the identities had templates before.
        repeated: images that were enrolled before.
        trained_images: how many of the data set's images the model was trained on; None if it
            does not say.
        notes: what the user has to know of the images.
        weighting: how images together count, in words; empty where each is a template.
        refused: images of too low a quality, the worst first.
        left_out: identities that have no other images, and are not enrolled.
    """

    templates: int
    identities: int
    replaced: int
    total: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    had_templates: int = 0
    repeated: int = 0
    trained_images: int | None = None
    notes: tuple[str, ...] = ()
    images: int = 0
    weighting: str = ""
    refused: tuple[RefusedImage, ...] = ()
    left_out: tuple[str, ...] = ()
