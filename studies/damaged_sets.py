"""Images of which a known half is blurred, shrunk, darkened or occluded, for `studies/quality.py`.

Half of every identity's images, drawn with a fixed seed, are damaged in one of four ways, by a
strength from 0 to 1 that the table `images.csv` states; the others have 0. What a strength means is
here alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.files import atomic_write
from arcwise.images import Preparation, decode

TABLE = "images.csv"
Damage = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def blurred(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image after a Gaussian of 2 % to 8 % of its side."""
    return cv2.GaussianBlur(image, (0, 0), (0.02 + 0.06 * strength) * len(image))


def shrunk(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image after it was shrunk to a quarter of its side, or down to a twelfth."""
    side = round(len(image) / (4 + 8 * strength))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def darkened(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a fifth to a fortieth of its light, and the noise of a sensor."""
    light = image.astype(np.float64) * 0.2 * (1 / 8) ** strength
    return np.clip(light + rng.normal(0, 3, image.shape), 0, 255).round().astype(np.uint8)


def occluded(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a grey square over a quarter to three quarters of its area."""
    side = round(len(image) * (0.25 + 0.5 * strength) ** 0.5)
    top, left = rng.integers(0, len(image) - side + 1, 2)
    covered = image.copy()
    covered[top : top + side, left : left + side] = 127
    return covered


KINDS: dict[str, Damage] = {
    "blurred": blurred, "shrunk": shrunk, "darkened": darkened, "occluded": occluded,
}  # fmt: skip


def write_damaged(images: Manifest, folder: Path, side: int, seed: int) -> None:
    """Write the images, half of them damaged, as PNG files of this side with their table.

    A folder that is there is taken as it is.
    """
    if folder.exists():
        return
    rng = np.random.default_rng(seed)
    prepared = Preparation(height=side, width=side, resize="crop")
    bad = np.zeros(len(images), bool)
    for identity in range(len(images.classes)):
        rows = rng.permutation(np.flatnonzero(images.labels == identity))
        bad[rows[: len(rows) // 2]] = True
    table = []
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        for row in range(len(images)):
            kind, strength = str(rng.choice(list(KINDS))), float(rng.random())
            pixels = prepared.pixels(decode(images.read(row), images.image(row)))
            if bad[row]:
                pixels = KINDS[kind](pixels, strength, rng)
            name = f"{row}.png"
            assert cv2.imwrite(str(unfinished / name), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
            about = (kind, 0.05 + 0.95 * strength) if bad[row] else ("", 0.0)
            table.append((name, images.identities[row], *about))
        with (unfinished / TABLE).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "identity", "damage", "strength"])
            writer.writerows(table)


def sets_of(labels: np.ndarray, largest: int, most: int, seed: int) -> np.ndarray:
    """Return (N,) the set of each image, -1 for those in none.

    An identity's images, in a random order, become sets of `largest`, or of half of them where it
    has fewer than two such; identities with one image have none. At most `most` sets an identity.
    """
    rng = np.random.default_rng(seed)
    found = np.full(len(labels), -1)
    number = 0
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        size = min(largest, len(rows) // 2)
        for start in range(0, min(len(rows) // max(size, 1), most) * size, max(size, 1)):
            found[rows[start : start + size]] = number
            number += 1
    return found
