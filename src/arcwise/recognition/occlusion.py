"""Which parts of an image its similarity to an identity rests on: they are covered, one by one.

An occlusion map (Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV
2014, section 4.2), of the similarity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.recognition.recogniser import Recogniser

_GREY = 128


class Occlusion(NamedTuple):
    """What covering parts of an image does.

    Attributes:
        similarity: of the whole image to the identity: the largest cosine to its templates.
        fall: (G, G) by how much it falls, from the upper left.
    """

    similarity: float
    fall: NDArray[np.float64]


def occlusion(
    recogniser: Recogniser, identity: str, pixels: NDArray[np.uint8], *, grid: int, batch: int
) -> Occlusion:
    """Return by how much the similarity falls where each of G x G parts is covered by grey.

    A square is twice as wide as its part and around it, so that what lies on a border is covered
    whole by one of them.

    Args:
        recogniser: with the gallery.
        identity: enrolled there.
        pixels: (H, W, 3) uint8, as the model prepares an image.
        grid: G.
        batch: images embedded at once.

    Raises:
        ArcwiseError: the identity is not enrolled.
    """
    covered = np.repeat(pixels[None], grid * grid + 1, axis=0)
    for place, image in enumerate(covered[1:]):
        rows, columns = (
            _covered(part, size, grid)
            for part, size in zip(divmod(place, grid), pixels.shape[:2], strict=True)
        )
        image[rows, columns] = _GREY
    vectors = recogniser.model.embed_pixels(covered, batch_size=batch)
    verify = recogniser.gallery.verify
    similarities = np.array([verify(identity, one).similarity for one in vectors], np.float64)
    whole = float(similarities[0])
    return Occlusion(whole, (whole - similarities[1:]).reshape(grid, grid))


def _covered(part: int, size: int, grid: int) -> slice:
    """Return the rows, or columns, that a square around a part takes."""
    begin, end = (part - 0.5) * size / grid, (part + 1.5) * size / grid
    return slice(max(0, round(begin)), min(size, round(end)))
