"""Anti-aliased drawing on a canvas: fills, stamps and lettering.

Canvases are (H, W, 3) uint8 RGB or (H, W, 4) with the material in the last channel. Every
function draws on the canvas in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.synthetic.layers import Canvas, Plane

_SHIFT = 4  # cv2 draws at a sixteenth of a pixel


def points(values: Sequence[tuple[float, float]] | Plane) -> NDArray[np.int32]:
    """Return points (N, 2) in pixels as cv2's fixed-point numbers."""
    return np.round(np.asarray(values, np.float64) * (1 << _SHIFT)).astype(np.int32)


def polygon(canvas: Canvas, corners: Sequence[tuple[float, float]], colour: Sequence[int]) -> None:
    """Draw a filled polygon with smooth edges."""
    cv2.fillPoly(canvas, [points(corners)], tuple(colour), cv2.LINE_AA, _SHIFT)


def line(
    canvas: Canvas, corners: Sequence[tuple[float, float]], colour: Sequence[int], width: float
) -> None:
    """Draw an open stroke of `width` pixels (at least one)."""
    cv2.polylines(
        canvas, [points(corners)], False, tuple(colour), max(1, round(width)), cv2.LINE_AA, _SHIFT
    )


def ellipse(
    canvas: Canvas,
    centre: tuple[float, float],
    axes: tuple[float, float],
    colour: Sequence[int],
    angle: float = 0.0,
    width: float = -1,
) -> None:
    """Draw an ellipse (half-axes in pixels, `angle` in degrees), or its outline if width > 0."""
    centre_fixed = tuple(int(x) for x in points([centre])[0])
    axes_fixed = tuple(int(x) for x in points([axes])[0])
    thickness = -1 if width < 0 else max(1, round(width))
    cv2.ellipse(
        canvas,
        centre_fixed,
        axes_fixed,
        angle,
        0,
        360,
        tuple(colour),
        thickness,
        cv2.LINE_AA,
        _SHIFT,
    )


def rectangle(
    canvas: Canvas, left: float, top: float, right: float, bottom: float, colour: Sequence[int]
) -> None:
    """Draw a filled upright rectangle with smooth edges."""
    polygon(canvas, [(left, top), (right, top), (right, bottom), (left, bottom)], colour)


def blend(canvas: Canvas, coverage: Plane, colour: Sequence[int] | Plane) -> None:
    """Lay `colour` over the whole canvas with `coverage` (H, W) in [0, 1]."""
    share = coverage[..., None]
    target = np.asarray(colour, np.float32)
    canvas[..., : target.shape[-1]] = (
        canvas[..., : target.shape[-1]] * (1 - share) + target * share + 0.5
    ).astype(np.uint8)


def _window(
    canvas: Canvas, height: int, width: int, centre: tuple[float, float]
) -> tuple[slice, slice, slice, slice] | None:
    """Return rows and columns of the canvas that a stamp covers, then those of the stamp."""
    top, left = round(centre[1] - height / 2), round(centre[0] - width / 2)
    first_y, first_x = max(0, -top), max(0, -left)
    last_y, last_x = min(height, canvas.shape[0] - top), min(width, canvas.shape[1] - left)
    if last_y <= first_y or last_x <= first_x:
        return None
    return (
        slice(top + first_y, top + last_y),
        slice(left + first_x, left + last_x),
        slice(first_y, last_y),
        slice(first_x, last_x),
    )


def stamp(canvas: Canvas, mask: Canvas, centre: tuple[float, float], colour: Sequence[int]) -> None:
    """Draw one colour through a (h, w) uint8 mask, centred on a pixel of the canvas."""
    place = _window(canvas, mask.shape[0], mask.shape[1], centre)
    if place is not None:
        rows, columns, mask_rows, mask_columns = place
        blend(canvas[rows, columns], mask[mask_rows, mask_columns] / np.float32(255), colour)


def paste(canvas: Canvas, patch: Canvas, centre: tuple[float, float]) -> None:
    """Draw an RGBA patch (h, w, 4), centred on a pixel of the canvas."""
    place = _window(canvas, patch.shape[0], patch.shape[1], centre)
    if place is not None:
        rows, columns, patch_rows, patch_columns = place
        part = patch[patch_rows, patch_columns]
        blend(
            canvas[rows, columns], part[..., 3] / np.float32(255), part[..., :3].astype(np.float32)
        )


@lru_cache(maxsize=512)
def _letters(text: str, weight: int, italic: bool) -> Canvas:
    font = cv2.FONT_HERSHEY_SCRIPT_COMPLEX if italic and weight < 3 else cv2.FONT_HERSHEY_DUPLEX
    (width, height), base = cv2.getTextSize(text, font, 2.0, weight)
    sheet = np.zeros((2 * height + 2 * base + 40, width + 80), np.uint8)
    cv2.putText(sheet, text, (40, height + base + 20), font, 2.0, 255, weight, cv2.LINE_AA)
    left, top, width, height = cv2.boundingRect(sheet)
    return sheet[top : top + height, left : left + width]


def lettering(
    text: str,
    width: float,
    height: float,
    weight: int = 4,
    slant: float = 0.0,
    arch: float = 0.0,
    stretch: float = 1.4,
) -> Canvas:
    """Return a uint8 mask of `text` that fits a box of `width` by `height` pixels.

    The letters are widened or condensed by up to `stretch` to fill the box, leant by `slant`
    (sideways per height) and bent by `arch` (rise at the middle, in letter heights).
    """
    sheet = _letters(text, weight, slant > 0)
    natural = sheet.shape[1] / sheet.shape[0]
    bend = 1 + abs(arch)
    inner_height = min(height / bend, width / natural * stretch)
    inner_width = min(width - slant * inner_height, natural * inner_height * stretch)
    rows, columns = max(3, round(inner_height)), max(3, round(inner_width))
    small = cv2.resize(sheet, (columns, rows), interpolation=cv2.INTER_AREA)
    if not slant and not arch:
        return small
    full_rows, full_columns = round(rows * bend) + 1, columns + round(slant * rows) + 1
    y, x = np.mgrid[0:full_rows, 0:full_columns].astype(np.float32)
    across = (x / max(1, full_columns - 1) - 0.5) * 2
    lift = abs(arch) * rows * (across**2 if arch > 0 else 1 - across**2)
    source_y = y - lift
    source_x = x - slant * (rows - source_y)
    return cv2.remap(small, source_x, source_y, cv2.INTER_LINEAR, borderValue=0)
