"""Whether another order of the colours, or another scale, fits a network clearly better.

The criterion needs no labels and few images. A network that sees what it was trained on gives an
image and slightly changed copies of it nearly the same embedding, and other images another one. How
far these similarities lie apart, in standard deviations, is measured for the preparation that was
stated and for others.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.data.manifest import Manifest
from arcwise.errors import ImageError
from arcwise.images.decode import decode
from arcwise.images.named_preparations import NAMED
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import Engine, Floats, embed_prepared

FEWEST, MOST = 5, 24
"""Images that the comparison needs, and that it takes of a larger data set."""

CLEARLY = 1.22
"""How many times further apart the similarities lie under a preparation that fits clearly better.

`studies/preparations.py` measures it in 40 draws of ten images for each of two networks: of faces
on LFW, and EfficientNet-Lite0 on groceries. No right preparation was doubted. A scale of 0 to 255
in the place of a smaller one was seen in 100 % and 98 % of the draws, 0 to 1 in 85 % and none.
Other scales are too near to be seen. Colours in the wrong order were seen in none and 5 %.
"""

SCALES = {
    "0 to 1 (--mean 0 --std 255)": ((0.0,) * 3, (255.0,) * 3),
    "0 to 255 (--mean 0 --std 1)": ((0.0,) * 3, (1.0,) * 3),
    "-1 to 1 (--mean 127.5 --std 127.5)": ((127.5,) * 3, (127.5,) * 3),
    "ImageNet's (--mean 123.675 116.28 103.53 --std 58.395 57.12 57.375)": (
        NAMED["imagenet"].preparation.mean,
        NAMED["imagenet"].preparation.std,
    ),
}
"""Means and standard deviations by the words in which a warning names them."""


def preparation_doubts(engine: Engine, preparation: Preparation, photos: Manifest) -> list[str]:
    """Return a warning for the other order of colours, and for another scale, that fit better.

    Args:
        engine: the network.
        preparation: the one that was stated.
        photos: the user's images.
    """
    rows = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), MOST)).astype(int))
    images = []
    for row in rows:
        try:
            images.append(preparation.pixels(decode(photos.read(row), photos.images[row])))
        except ImageError:
            continue
    if len(images) < FEWEST:
        return [f"{len(images)} images of {photos.name} are too few to try other colours on"]
    copies = [np.stack([change(image) for image in images]) for change in CHANGES]

    def fit(other: Preparation) -> float:
        plain = replace(other, flip_tta=False)
        return separation([embed_prepared(engine, plain, pixels) for pixels in copies])

    stated = fit(preparation)
    clearly = CLEARLY * max(stated, 1)  # less than a deviation is chance
    warnings = []
    swapped = "bgr" if preparation.colour == "rgb" else "rgb"
    colours = fit(replace(preparation, colour=swapped))
    if colours > clearly:
        warnings.append(
            f"the order of the colours looks wrong: with --colour {swapped} an image and its "
            f"changed copies stand out from your other images by {colours:.1f} standard "
            f"deviations, with {preparation.colour} by {stated:.1f}; import it again"
        )
    scales = {
        words: fit(replace(preparation, mean=mean, std=std))
        for words, (mean, std) in SCALES.items()
        if not np.allclose((mean, std), (preparation.mean, preparation.std), rtol=0.05)
    }
    best = max(scales, key=lambda words: scales[words])
    if scales[best] > clearly:
        warnings.append(
            f"the scale looks wrong: with {best} an image and its changed copies stand out from "
            f"your other images by {scales[best]:.1f} standard deviations, with the stated one by "
            f"{stated:.1f}; import it again"
        )
    return warnings


def separation(copies: list[Floats]) -> float:
    """Return how far an image's copies are closer to it than other images, in deviations.

    Args:
        copies: (N, D) embeddings of the images themselves, and of each kind of changed copies.
    """
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in copies]
    if not all(np.isfinite(one).all() and one.all() for one in lengths):
        return 0.0
    images, *changed = (one / length for one, length in zip(copies, lengths, strict=True))
    similarities = np.stack([one @ images.T for one in changed])
    others = ~np.eye(len(images), dtype=bool)
    own, other = similarities[:, ~others], similarities[:, others]
    deviation = np.sqrt((own.var() + other.var()) / 2)
    return float((own.mean() - other.mean()) / max(deviation, 1e-6))


Pixels = NDArray[np.uint8]


def _zoomed(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    rows, columns = round(0.06 * height), round(0.06 * width)
    part = image[rows : height - rows, columns : width - columns]
    return np.asarray(cv2.resize(part, (width, height)), np.uint8)


def _shifted(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    matrix = np.array([[1, 0, 0.05 * width], [0, 1, -0.04 * height]])
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=border), np.uint8)


def _blurred(image: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), image.shape[1] / 60), np.uint8)


def _compressed(image: Pixels) -> Pixels:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


CHANGES = (
    lambda image: image,
    lambda image: np.ascontiguousarray(image[:, ::-1]),
    _zoomed,
    _shifted,
    lambda image: (image * 0.7).astype(np.uint8),
    _blurred,
    _compressed,
)
"""The image itself, and what is changed in its copies."""
