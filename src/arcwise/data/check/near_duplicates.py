"""Near-duplicates: one image resized, compressed again, brightened or cropped a little.

Two steps. A perceptual hash (the signs of the 64 lowest frequencies of a thumbnail) finds pairs
that may be one image. A pair is confirmed if a small shift and stretch of one thumbnail, and a
change of brightness and contrast, explain the other.

Memory is 1,032 bytes per image: 1 GB for a million. All hashes are compared with each other, which
takes half a minute of a core for 200,000 images, and grows with their square.
"""

from __future__ import annotations

from typing import Any

import cv2
import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from arcwise.data.check.grouping import Links
from arcwise.data.parallel import Progress

SIDE = 32  # of a thumbnail
MOST_BITS = 12
"""Hashes of near-duplicates differ in at most so many bits; 98 % of copies cropped by 2 % do."""
LEAST_FIT = 0.985
"""Lowest correlation of two thumbnails of one image."""
FARTHEST = 1.5
"""Pixels that the border of a thumbnail may be moved to fit the other."""

_LEAST_ALIKE = 0.75  # correlation before anything is moved; below it a fit cannot succeed
_LEAST_CONTRAST = 2.0  # grey levels; a blank page is like any other
_INNER = (SIDE - 2) ** 2  # pixels that have a neighbour on every side
_QUERIES, _CANDIDATES = 256, 512  # at a time
_WAVES: NDArray[np.float32] = dct(np.eye(SIDE), axis=0, norm="ortho")[:8].astype(np.float32)
_ALONG = np.linspace(-1, 1, SIDE, dtype=np.float32)[1:-1]


def make_thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the thumbnail (32, 32) uint8 grey of an (H, W, 3) RGB image."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey: NDArray[Any] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return grey


def made_copy(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image as it looks after sharing: 2 % cut off, JPEG of quality 60."""
    height, width = image.shape[:2]
    top, left = round(0.01 * height), round(0.01 * width)
    kept = image[top : height - top, left : width - left]
    data = cv2.imencode(".jpg", kept, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)  # channels as they went in


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, 8) uint8, hashes of 64 bits, of (N, 32, 32) thumbnails.

    The bits say which of the 8 x 8 lowest frequencies of the cosine transform are above their
    median (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010,
    section 3.2.1).
    """
    hashes = np.empty((len(thumbnails), 8), np.uint8)
    for start in range(0, len(thumbnails), _CANDIDATES):
        part = thumbnails[start : start + _CANDIDATES].astype(np.float32)
        low = (_WAVES @ part @ _WAVES.T).reshape(len(part), 64)
        above = low > np.median(low[:, 1:], axis=1, keepdims=True)  # the first is the brightness
        hashes[start : start + len(part)] = np.packbits(above, axis=1)
    return hashes


def near_duplicates(thumbnails: NDArray[np.uint8], *, progress: Progress | None = None) -> Links:
    """Return the pairs among N images that are nearly the same.

    Args:
        thumbnails: (N, 32, 32) of `make_thumbnail`, of images no two of which are the same.
        progress: called with the images compared and their total.
    """
    hashes = perceptual_hashes(thumbnails)
    telling = np.flatnonzero(_contrast(thumbnails) >= _LEAST_CONTRAST)
    index = faiss.IndexBinaryFlat(64)
    parts: list[Links] = []
    for start in range(0, len(telling), _QUERIES):
        queries = telling[start : start + _QUERIES]
        index.add(hashes[queries])  # each with those before it: every pair once
        ends, _, nearest = index.range_search(hashes[queries], MOST_BITS + 1)
        a, b = telling[nearest], np.repeat(queries, np.diff(ends.astype(np.int64)))
        parts += _confirmed(thumbnails, a[a < b], b[a < b])
        if progress is not None:
            progress(start + len(queries), len(telling))
    return Links.joined(parts)


def _contrast(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N,) float32, the standard deviation of each thumbnail."""
    blocks = range(0, len(thumbnails), _CANDIDATES)
    parts = [thumbnails[one : one + _CANDIDATES].std((1, 2), dtype=np.float32) for one in blocks]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _confirmed(
    thumbnails: NDArray[np.uint8], a: NDArray[np.int64], b: NDArray[np.int64]
) -> list[Links]:
    """Return the candidates that are one image."""
    links = []
    for start in range(0, len(a), _CANDIDATES):
        i, j = a[start : start + _CANDIDATES], b[start : start + _CANDIDATES]
        alike = _correlation(thumbnails[i], thumbnails[j]) >= _LEAST_ALIKE
        i, j = i[alike], j[alike]
        fit = _fit(thumbnails[i], thumbnails[j])
        likely = fit >= LEAST_FIT
        i, j, fit = i[likely], j[likely], fit[likely]
        fit = np.minimum(fit, _fit(thumbnails[j], thumbnails[i]))  # whichever is the copy
        sure = fit >= LEAST_FIT
        links.append(Links(i[sure], j[sure], fit[sure]))
    return links


def _correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    x, y = (part.reshape(len(part), -1).astype(np.float32) for part in (a, b))
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def _fit(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (K,) float32: how well `a`, moved a little, explains `b`; 0 if moved too far.

    One step of Lucas and Kanade (An Iterative Image Registration Technique, 1981). Moving an image
    adds multiples of its gradients, so shift, stretch, brightness and contrast are one linear
    regression. The result is its multiple correlation.
    """
    x, y = _smooth(a), _smooth(b)
    down, right = (x[:, 2:, 1:-1] - x[:, :-2, 1:-1]) / 2, (x[:, 1:-1, 2:] - x[:, 1:-1, :-2]) / 2
    inner = x[:, 1:-1, 1:-1]
    parts = [inner, down, right, down * _ALONG[:, None], right * _ALONG]
    terms = np.stack([term.reshape(len(a), _INNER) for term in parts], axis=1)
    terms -= terms.mean(2, keepdims=True)
    target = y[:, 1:-1, 1:-1].reshape(len(b), _INNER, 1)
    target = target - target.mean(1, keepdims=True)
    products = terms @ terms.transpose(0, 2, 1)
    ridge = 1e-6 * np.trace(products, axis1=1, axis2=2) + 1e-3  # stripes fix no shift along them
    projected = terms @ target
    solved = np.linalg.solve(
        products + ridge[:, None, None] * np.eye(5, dtype=np.float32), projected
    )
    explained = (solved * projected).sum((1, 2)) / np.maximum((target**2).sum((1, 2)), 1e-6)
    weights = np.abs(solved[..., 0])
    moved = weights[:, 1:3] + weights[:, 3:5]  # at the border shift and stretch add up
    near = (moved <= FARTHEST * weights[:, :1]).all(1)
    return np.where(near, np.sqrt(np.clip(explained, 0, 1)), 0).astype(np.float32)


def _smooth(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the thumbnails blurred, so that gradients are valid for moves of about a pixel."""
    blurred = [cv2.GaussianBlur(one.astype(np.float32), (0, 0), 0.8) for one in thumbnails]
    return np.stack(blurred) if blurred else np.empty((0, SIDE, SIDE), np.float32)
