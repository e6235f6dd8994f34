"""Images of Pillow: the same pixels that `decode` makes of their file."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ImageError
from arcwise.images.decode import MAX_PIXELS, on_white

if TYPE_CHECKING:
    from PIL.Image import Image

_loading = threading.Lock()  # one object may be asked for twice, and reads its file where it stands


def is_pillow(item: object) -> TypeGuard[Image]:
    """Return whether an item is a Pillow image; Pillow is not loaded to find out."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(item, module.Image)


def pillow_pixels(image: Image, name: str) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB pixels of a Pillow image of any mode, turned as its EXIF says.

    Transparent ones are laid on white, 16-bit ones are brought to 8 bits. The image stays as it
    is.

    Args:
        image: of any size up to `MAX_PIXELS`.
        name: what to call it in an error.

    Raises:
        ImageError: its file is damaged or closed, it is too large, or its mode has no range that
            is agreed on (F, I).
    """
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            name,
            f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed; make it smaller",
        )
    if image.mode in ("F", "I"):
        raise ImageError(
            name,
            f"a Pillow image of mode {image.mode}, whose range is not known: bring its values to 0 "
            "to 255 and convert it to L",
        )
    try:
        with _loading:
            image.load()
        turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith("I;16"):
            grey = np.rint(np.asarray(turned).astype(np.float32) / 257).astype(np.uint8)
            return grey[..., None].repeat(3, axis=2)
        if turned.mode == "La":  # only its other form is converted
            turned = turned.convert("LA")
        if turned.mode.lower()[-1] == "a" or "transparency" in turned.info:
            return on_white(np.asarray(turned.convert("RGBA"))[..., [2, 1, 0, 3]])
        return np.asarray(turned.convert("RGB"))
    except Exception as problem:  # Pillow's errors for damage are of many types
        said = str(problem) or type(problem).__name__
        raise ImageError(name, f"damaged, or closed: Pillow cannot load it ({said})") from None
