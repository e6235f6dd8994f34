"""How much a view may differ from its image."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from arcwise.errors import ArcwiseError


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How much a view may differ from its image; with zoom 1 and all else 0, not at all.

    Ranges that multiply are drawn evenly on the logarithm: 0.25 means e^±0.25.
    """

    zoom: float = 0.5
    """Smallest part of the image's side that a view shows, 0 to 1."""
    aspect: float = 0.15
    """Range of the view's aspect ratio."""
    rotation: float = 0.35
    """Largest rotation, in radians."""
    perspective: float = 0.0
    """Range of the ratio between opposite edges of a tilted view, under 1."""
    flip: float = 0.5
    """Probability of a mirror image."""
    brightness: float = 0.25
    """Range of brightness."""
    contrast: float = 0.25
    """Range of contrast, about the view's own mean."""
    saturation: float = 0.25
    """Range of saturation."""
    hue: float = 0.2
    """Largest turn of the hue circle, in radians."""
    backdrop: float = 0.0
    """Probability that the white around a studio image is replaced by another image."""
    cutout: float = 0.0
    """Probability of an occlusion: a rectangle of the view is covered by its mean colour."""
    blur: float = 0.0
    """Probability of a blur by a Gaussian whose sigma is 1 % to 3 % of the view's side."""
    low_resolution: float = 0.0
    """Probability that the view is shrunk to a fifth of its side or more, and enlarged again."""
    jpeg: float = 0.0
    """Probability of JPEG artefacts, of a quality from 20 to 95."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "zoom":
                good, expected = 0 < value <= 1, "over 0, at most 1"
            elif field.name == "perspective":
                good, expected = 0 <= value < 1, "0 or more, under 1"
            elif field.name in _PROBABILITIES:
                good, expected = 0 <= value <= 1, "a probability, 0 to 1"
            else:
                good, expected = 0 <= value < math.inf, "a finite number, at least 0"
            if not good:
                raise ArcwiseError(f"augment: {field.name}={value}; expected {expected}")


_PROBABILITIES = ("flip", "backdrop", "cutout", "blur", "low_resolution", "jpeg")
