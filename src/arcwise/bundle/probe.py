"""The picture that every model is checked with when it is loaded."""

from __future__ import annotations

import numpy as np


def probe_image() -> np.ndarray:
    """(97, 131, 3) uint8 RGB, the picture every model is checked with; the same everywhere.

    Integer arithmetic only. Colours, edges, fine and coarse structure, no symmetry, and odd sides,
    so that a wrong channel order, resize policy, normalisation or mirror changes the embedding.
    """
    y, x = np.mgrid[0:97, 0:131]
    red = (x * 255) // 130
    green = (y * y * 255) // (96 * 96)
    blue = ((x * 3 + y * 5) % 64) * 4
    image = np.stack([red, green, blue], axis=-1)
    disc = (x - 88) ** 2 + (y - 34) ** 2 < 24**2
    image[disc] = (230, 40, 60)
    image[(x - 30) * 2 + (y - 60) * 3 > 150] //= 2
    board = (x < 48) & (y > 52) & ((x // 8 + y // 8) % 2 == 0)
    image[board] = (20, 200, 240)
    return image.astype(np.uint8)
