"""An image with structure in it, and its encodings."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """(47, 64, 3) uint8 RGB: smooth colours and a hard edge; every corner is different."""
    rows, columns = np.mgrid[0:47, 0:64]
    image = np.stack([columns * 4, rows * 5, (rows + columns) * 2], axis=-1).astype(np.uint8)
    image[8:20, 10:24] = (255, 0, 64)
    return image


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """A function: (H, W[, 3 or 4]) array or PIL image, format, PIL's options → file."""

    def encode(image: NDArray[Any] | Image.Image, form: str, **options: Any) -> bytes:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    return encode
