"""How a picture is made ready for an encoder: described once, executed here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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
        flip: the embedding is unit(f(x) + f(mirror x)); executed by the runtime.
    """

    height: int = 112
    width: int = 112
    resize: Resize = "stretch"
    colour: Colour = "rgb"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    flip: bool = False

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
        if not isinstance(self.flip, bool):
            raise ArcwiseError(f"flip is {self.flip!r}; expected true or false")

    def pixels(
        self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB: the picture brought to the encoder's size.

        Args:
            image: (H, W, 3) uint8 RGB, as `decode` gives it.
            out: (height, width, 3) uint8, contiguous: where to put it; new memory when not given.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ArcwiseError(
                f"a picture is an (H, W, 3) uint8 RGB array; got {image.dtype} of {image.shape}"
            )
        if self.resize == "stretch":
            return scale(image, self.height, self.width, out)
        if self.resize == "crop":
            part = _centre(image, self.height, self.width)
            return scale(part, self.height, self.width, out)
        inside = fit(image.shape[0], image.shape[1], self.height, self.width)
        return self._padded(scale(image, *inside), out)

    def tensor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 3, height, width) float32: what the encoder is given.

        Args:
            pixels: (N, height, width, 3) uint8 RGB, pictures that went through `pixels`.
        """
        expected = (self.height, self.width, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise ArcwiseError(
                f"expected uint8 pixels of shape (N, {self.height}, {self.width}, 3); "
                f"got {pixels.dtype} of {pixels.shape}"
            )
        out = np.empty((len(pixels), 3, self.height, self.width), np.float32)
        mean = np.array(self.mean, np.float32).reshape(3, 1, 1)
        std = np.array(self.std, np.float32).reshape(3, 1, 1)
        order = (0, 1, 2) if self.colour == "rgb" else (2, 1, 0)
        for image, planes in zip(pixels, out, strict=True):  # one by one: they stay in the cache
            for channel, source in enumerate(order):
                planes[channel] = image[..., source]
            np.subtract(planes, mean, out=planes)
            np.divide(planes, std, out=planes)
        return out

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """The preparation that `as_dict` wrote.

        Raises:
            BundleError: a key is unknown or missing, or a value is not one it may have.
        """
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                raise BundleError(
                    f"preparation has an unknown key {key!r}; expected {', '.join(names)}"
                )
        if missing := [name for name in names if name not in values]:
            raise BundleError(f"preparation lacks {', '.join(missing)}")
        try:
            return cls(**values)
        except ArcwiseError as problem:
            raise BundleError(f"preparation: {problem}") from None

    def _padded(self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        if out is None:
            if (height, width) == (self.height, self.width):
                return image
            out = np.empty((self.height, self.width, 3), np.uint8)
        mean = self.mean if self.colour == "rgb" else self.mean[::-1]
        colour = np.clip(np.rint(mean), 0, 255).astype(np.uint8)  # the encoder sees it as zero
        out[:] = colour
        top, left = (self.height - height) // 2, (self.width - width) // 2
        out[top : top + height, left : left + width] = image
        return out


def _centre(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The largest centred part with the proportions of height : width.

    Cut before scaling: the same pixels as cutting afterwards, and a picture 1 pixel high and a
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
