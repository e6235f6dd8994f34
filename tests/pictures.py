"""Small pictures of made-up identities, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest


def write(folder: Path, identities: int = 8, each: int = 6, side: int = 32) -> Manifest:
    """PNGs in a folder per identity; each identity has a colour and a pattern of its own."""
    rng = np.random.default_rng(0)
    for identity in range(identities):
        pattern = rng.integers(0, 256, (4, 4, 3)).repeat(side // 4, 0).repeat(side // 4, 1)
        place = folder / f"id{identity:02d}"
        place.mkdir(parents=True)
        for number in range(each):
            shifted = np.roll(pattern, rng.integers(-3, 4, 2), (0, 1))
            noisy = shifted + rng.normal(0, 12, (side, side, 3))
            cv2.imwrite(str(place / f"{number}.png"), noisy.clip(0, 255).astype(np.uint8))
    return open_manifest(folder)
