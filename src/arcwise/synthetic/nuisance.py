"""The nuisances of a photo: how they are drawn, and how they lower its quality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from arcwise.errors import ArcwiseError

DOMAINS = ("studio", "shop")


@dataclass(frozen=True)
class Nuisance:
    """How one photo was taken. Angles in radians, lengths in pixels of the photo.

    Attributes:
        size: side of the photo.
        yaw: turn of the product about its upright axis; 0 shows its front.
        pitch: how far the camera looks down on it.
        roll: turn of the camera about its line of sight.
        scale: the product's larger dimension over the photo's side; a tenth more for slim ones.
        shift_x: offset of its middle to the right of the photo's, over the photo's side.
        shift_y: the same, downwards.
        perspective: the product's larger dimension over its distance to the camera.
        exposure: stops over (positive) or under the right exposure.
        warmth: colour of the light, -1 (blue) to 1 (orange).
        light: direction of the key light about the upright axis; 0 is from the camera.
        blur: standard deviation of the defocus.
        motion: length of the camera's movement during the exposure.
        noise: standard deviation of the sensor's noise, in [0, 1] of full scale.
        occlusion: fraction of the product's silhouette hidden by products in front of it or by the
            photo's edge; measured, not drawn.
        clutter: how busy the surroundings are, in [0, 1].
        jpeg: quality of the compression, 1..100.
    """

    size: int
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 0.8
    shift_x: float = 0.0
    shift_y: float = 0.0
    perspective: float = 0.0
    exposure: float = 0.0
    warmth: float = 0.0
    light: float = 0.0
    blur: float = 0.0
    motion: float = 0.0
    noise: float = 0.0
    occlusion: float = 0.0
    clutter: float = 0.0
    jpeg: int = 95

    @property
    def quality(self) -> float:
        """How recognisable the product is, in [0, 1].

        1 for a sharp, frontal, well-lit photo without occlusion. Each nuisance lowers it. Blur
        counts relative to the photo's side.
        """
        softness = math.hypot(self.blur, self.motion / 3.5) / (0.02 * self.size)
        loss = (
            (self.yaw / 1.1) ** 2
            + 0.5 * (self.pitch / 0.8) ** 2
            + 0.3 * (self.roll / 0.8) ** 2
            + 0.7 * max(0.0, 0.85 - self.scale)
            + 0.8 * softness**2
            + 0.4 * self.exposure**2
            + 0.1 * self.warmth**2
            + (self.noise / 0.1) ** 2
            + 2.0 * self.occlusion
            + 0.4 * ((100 - self.jpeg) / 80) ** 2
        )
        return math.exp(-loss)

    def values(self) -> dict[str, float | int]:
        """Return every nuisance by name, in the order of the manifest's columns."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def draw_nuisance(rng: np.random.Generator, domain: str, size: int) -> Nuisance:
    """Return the nuisances of one photo: small in a studio, those of a telephone in a shop."""
    # Two calls for all draws: one call each would cost as much as rendering a small product.
    bells, evens = iter(rng.standard_normal(16).tolist()), iter(rng.random(16).tolist())

    def normal(spread: float, limit: float, middle: float = 0.0) -> float:
        return min(max(middle + spread * next(bells), -limit), limit)

    def between(low: float, high: float) -> float:
        return low + (high - low) * next(evens)

    grain = size / 96  # a larger sensor of the same scene spreads the same blur over more pixels
    if domain == "studio":
        return Nuisance(
            size=size,
            yaw=normal(0.08, 0.2),
            pitch=between(0.05, 0.14),
            roll=normal(0.01, 0.03),
            scale=between(0.76, 0.82),
            shift_x=normal(0.01, 0.02),
            shift_y=normal(0.01, 0.02),
            perspective=between(0.08, 0.15),
            exposure=normal(0.05, 0.12),
            warmth=normal(0.05, 0.12),
            light=between(-0.6, 0.6),
            blur=between(0.0, 0.2) * grain,
            noise=between(0.002, 0.005),
            jpeg=int(between(92, 97)),
        )
    return Nuisance(
        size=size,
        yaw=normal(0.42, 1.05),
        pitch=between(-0.02, 0.32) + max(0.0, between(-0.7, 0.3)),
        roll=normal(0.1, 0.4),
        scale=between(0.52, 0.86),
        shift_x=normal(0.05, 0.13),
        shift_y=normal(0.03, 0.08),
        perspective=between(0.12, 0.38),
        exposure=normal(0.36, 1.1, 0.05),
        warmth=normal(0.4, 1.0, 0.15),
        light=between(-1.25, 1.25),
        blur=abs(normal(0.42, 1.6)) * grain,
        motion=max(0.0, between(-14.0, 4.0)) * grain,
        noise=between(0.003, 0.012) + abs(normal(0.008, 0.03)),
        clutter=between(0.0, 1.0),
        jpeg=int(between(45, 93)),
    )


# The ranges that a caller may set. Beyond them the geometry no longer holds, or the product leaves
# the canvas.
_LIMITS: dict[str, tuple[float, float]] = {
    "yaw": (-1.5, 1.5),
    "pitch": (-0.3, 1.2),
    "roll": (-math.pi, math.pi),
    "scale": (0.1, 1.0),
    "shift_x": (-0.25, 0.25),
    "shift_y": (-0.25, 0.25),
    "perspective": (0.0, 0.6),
    "exposure": (-6.0, 6.0),
    "warmth": (-1.0, 1.0),
    "light": (-math.pi, math.pi),
    "blur": (0.0, 64.0),
    "motion": (0.0, 64.0),
    "noise": (0.0, 1.0),
    "occlusion": (0.0, 0.0),  # measured; only 0 can be set
    "clutter": (0.0, 1.0),
    "jpeg": (1.0, 100.0),
}


def override(drawn: Nuisance, changes: Mapping[str, float]) -> Nuisance:
    """Return the drawn nuisances with some of them set.

    Raises:
        ArcwiseError: for a name that is no nuisance, or a value out of its range.
    """
    for name, value in changes.items():
        if name not in _LIMITS:
            raise ArcwiseError(
                f"got nuisance {name!r}; expected one of {', '.join(_LIMITS)}; correct the name"
            )
        low, high = _LIMITS[name]
        if not low <= value <= high:
            raise ArcwiseError(
                f"got {name} {value!r}; expected {low:g} to {high:g}; choose a value in that range"
            )
    kept = {name: value for name, value in changes.items() if name != "occlusion"}
    if "jpeg" in kept:
        kept["jpeg"] = round(kept["jpeg"])
    return replace(drawn, **kept)  # type: ignore[arg-type]
