"""How an image is made ready for an encoder: described once, executed here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, BundleError
from arcwise.images.resize import fit, scale

Resize = Literal["stretch", "crop", "pad"]
Colour = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class Preparation:
    """Size, resize policy, colour order and normalisation of an encoder's input.

    Attributes:
        height: rows of the input.
        width: columns of the input.
        resize: `stretch` (each side on its own), `crop` (cover, then the centre), or `pad` (fit
            inside, then the mean colour around it).
        colour: the channel order the encoder sees.
        mean: subtracted from each channel the encoder sees, in units of 0..255.
        std: each channel is divided by it afterwards, in the same units.
        flip_tta: the embedding is unit(f(x) + f(mirror x)); executed by the runtime.
    """

    height: int = 112
    width: int = 112
    resize: Resize = "stretch"
    colour: Colour = "rgb"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    flip_tta: bool = False

    def __post_init__(self) -> None:
        for side in ("height", "width"):
            value = getattr(self, side)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 8192:
                raise ArcwiseError(f"{side} is {value!r}; expected whole pixels from 1 to 8192")
        for name, choices in (("resize", Resize), ("colour", Colour)):
            if getattr(self, name) not in get_args(choices):
                expected = ", ".join(get_args(choices))
                raise ArcwiseError(f"{name} is {getattr(self, name)!r}; expected one of {expected}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, _three_numbers(name, getattr(self, name)))
        if min(self.std) <= 0:
            raise ArcwiseError(f"std is {self.std}; expected numbers above zero")
        if 0 < max(self.mean) <= 1 and max(self.std) < 1:
            raise ArcwiseError(
                f"mean is {self.mean} and std {self.std}, of pixels from 0 to 1; expected them of "
                "pixels from 0 to 255: multiply both by 255"
            )
        if not isinstance(self.flip_tta, bool):
            raise ArcwiseError(f"flip_tta is {self.flip_tta!r}; expected true or false")

    @property
    def channels(self) -> tuple[int, int, int]:
        """The channels of an RGB image in the order in which the encoder sees them."""
        return (0, 1, 2) if self.colour == "rgb" else (2, 1, 0)

    def pixels(
        self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Return the image at the encoder's size, (height, width, 3) uint8 RGB.

        Args:
            image: (H, W, 3) uint8 RGB, as `decode` gives it.
            out: (height, width, 3) uint8, contiguous: where to put it; new memory when not given.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ArcwiseError(
                f"an image is an (H, W, 3) uint8 RGB array; got {image.dtype} of {image.shape}"
            )
        if self.resize == "stretch":
            return scale(image, self.height, self.width, out)
        if self.resize == "crop":
            part = _centre(image, self.height, self.width)
            return scale(part, self.height, self.width, out)
        inside = fit(image.shape[0], image.shape[1], self.height, self.width)
        return self._padded(scale(image, *inside), out)

    def tensor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the encoder is given, (N, 3, height, width) float32.

        Args:
            pixels: (N, height, width, 3) uint8 RGB, images that went through `pixels`.
        """
        expected = (self.height, self.width, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise ArcwiseError(
                f"expected uint8 pixels of shape (N, {self.height}, {self.width}, 3); "
                f"got {pixels.dtype} of {pixels.shape}"
            )
        out = np.empty((len(pixels), 3, self.height, self.width), np.float32)
        for image, planes in zip(pixels, out, strict=True):  # one by one: they stay in the cache
            for plane, channel in zip(planes, self.channels, strict=True):
                plane[:] = image[..., channel]
            self.normalise(planes)
        return out

    def normalise(self, planes: Any, as_array: Callable[[Any], Any] = np.asarray) -> None:
        """Bring planes from 0..255 to what the encoder is given, in place.

        Args:
            planes: (…, 3, height, width) float32, in the order of `channels`: an array, or a tensor
                of any library that calculates in place.
            as_array: makes one of the same kind of a numpy array, for a tensor on its device.
        """
        mean, std = (np.array(one, np.float32).reshape(3, 1, 1) for one in (self.mean, self.std))
        planes -= as_array(mean)
        planes /= as_array(std)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, by the keys of `model.json`."""
        values = {key: getattr(self, name) for key, name in _FIELDS.items()}
        return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """Return the preparation that `as_dict` wrote.

        Raises:
            BundleError: a key is unknown or missing, or a value is not one it may have.
        """
        for key in values:
            if key not in _FIELDS:
                raise BundleError(
                    f"preparation has an unknown key {key!r}; expected {', '.join(_FIELDS)}"
                )
        if missing := [key for key in _FIELDS if key not in values]:
            raise BundleError(f"preparation lacks {', '.join(missing)}")
        try:
            return cls(**{_FIELDS[key]: value for key, value in values.items()})
        except ArcwiseError as problem:
            raise BundleError(f"preparation: {problem}") from None

    def _padded(self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        if out is None:
            if (height, width) == (self.height, self.width):
                return image
            out = np.empty((self.height, self.width, 3), np.uint8)
        mean = [self.mean[channel] for channel in self.channels]
        colour = np.clip(np.rint(mean), 0, 255).astype(np.uint8)  # the encoder sees it as zero
        out[:] = colour
        top, left = (self.height - height) // 2, (self.width - width) // 2
        out[top : top + height, left : left + width] = image
        return out


_FIELDS = {
    ("flip" if one.name == "flip_tta" else one.name): one.name for one in fields(Preparation)
}
"""By the key in `model.json`. The fingerprint of a model covers these keys, so they stay."""


def _centre(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the largest centred part with the proportions of height : width.

    Cut before scaling: the same pixels as cutting afterwards, and an image 1 pixel high and a
    million wide does not become a gigabyte in between.
    """
    rows, columns = fit(height, width, image.shape[0], image.shape[1])
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]


def _three_numbers(name: str, value: Any) -> tuple[float, float, float]:
    try:
        first, second, third = (float(number) for number in value)
    except (TypeError, ValueError):
        raise ArcwiseError(f"{name} is {value!r}; expected three numbers") from None
    if not all(map(math.isfinite, (first, second, third))):
        raise ArcwiseError(f"{name} is {value!r}; expected finite numbers")
    return first, second, third
