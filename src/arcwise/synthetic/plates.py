"""Background plates: shelves full of other products, table tops, aisles and plain walls.

A plate is wide and painted once. Each photo crops a part of it, turned, zoomed and blurred.
Plates are (H, W, 3) uint8, square-root-encoded like the textures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from arcwise.synthetic.layers import Canvas, Layer, Plane, composite
from arcwise.synthetic.props import Stock


@dataclass(frozen=True)
class Plate:
    """A painted background.

    Attributes:
        image: (H, W, 3) uint8, square-root-encoded.
        kind: "shelf", "table", "aisle" or "wall".
        floors: the ranges of rows on which a product can stand; empty where products are held.
    """

    image: Canvas
    kind: str
    floors: tuple[tuple[float, float], ...]


def _encode(light: Plane) -> Canvas:
    return (np.sqrt(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8)


def _clouds(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]) -> Plane:
    """Return smooth noise (height, width) of about unit spread, from coarse to fine."""
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        rows, columns = (
            min(limit, max(2, c << octave)) for c, limit in zip(cells, (height, width), strict=True)
        )
        rough = rng.standard_normal((rows, columns)).astype(np.float32)
        total += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC) * 0.62**octave
    return total


def _tone(rng: np.random.Generator, low: float, high: float, spread: float = 0.06) -> Plane:
    """Return a near-neutral colour of light."""
    return (
        (rng.uniform(low, high) * (1 + spread * rng.standard_normal(3)))
        .clip(0.01, 1)
        .astype(np.float32)
    )


def _shelf(rng: np.random.Generator, stock: Stock, size: int) -> Plate:
    """Paint two shelves of other products in facings of two to four, behind price rails."""
    height, width, step = 2 * size, 5 * size, size
    light = np.empty((height, width, 3), np.float32)
    light[...] = _tone(rng, 0.05, 0.45)
    light *= (1 + 0.05 * _clouds(rng, height, width, (2, 10)))[..., None]
    board, rail = _tone(rng, 0.35, 0.8), _tone(rng, 0.3, 0.85, 0.1)
    if rng.random() < 0.3:
        rail = np.array(
            [(0.6, 0.04, 0.05), (0.05, 0.15, 0.5), (0.7, 0.5, 0.05)][int(rng.integers(3))],
            np.float32,
        )
    floors = []
    for row in range(2):
        ceiling, floor = row * step, row * step + round(0.86 * size)
        depth = np.clip((np.arange(ceiling, floor) - ceiling) / (0.5 * size), 0, 1)
        light[ceiling:floor] *= (0.35 + 0.65 * depth)[:, None, None].astype(np.float32)
        light[floor - round(0.05 * size) : floor + round(0.03 * size)] = board * 0.8
        x = -0.2 * size
        first = int(rng.integers(Stock.DESIGNS))
        while x < width:
            # Neighbours in the stock's numbering are often siblings, as on a real shelf.
            first += int(rng.integers(1, 3))
            facings = int(rng.integers(2, 5))
            views = [stock.product(first, int(v)) for v in rng.integers(0, Stock.VIEWS, facings)]
            wide = max(v.light.shape[1] for v in views) * float(rng.uniform(1.02, 1.12))
            for back in (True, False):
                for i, view in enumerate(views):
                    h, w = view.light.shape[:2]
                    foot = (
                        floor - round((0.045 if back else 0.008) * size) + int(rng.integers(-1, 2))
                    )
                    left = round(x + i * wide + (wide - w) / 2)
                    if not back:
                        _contact(light, left, foot, w, size)
                    composite(
                        light,
                        Layer(view.light, foot - h, left),
                        0.42 if back else float(rng.uniform(0.75, 1.0)),
                    )
            x += facings * wide + rng.uniform(0.0, 0.05) * size
        edge = light[floor : ceiling + step]
        slope = np.linspace(1.1, 0.62, edge.shape[0], dtype=np.float32)[:, None, None]
        edge[...] = rail * slope
        edge[: max(1, round(0.012 * size))] = board * 1.1
        at = float(rng.uniform(0, 0.5)) * size
        while at < width:
            tag = stock.tag(int(rng.integers(Stock.TAGS)) // 3 * 3)
            composite(light, Layer(tag.light, floor + round(0.015 * size), round(at)), 0.85)
            at += rng.uniform(0.35, 0.9) * size
        floors.append((floor - 0.005 * size, floor + 0.012 * size))
    return Plate(_encode(light), "shelf", tuple(floors))


def _contact(light: Plane, left: int, foot: int, width: int, size: int) -> None:
    """Draw a soft dark line where a product meets its shelf."""
    reach = max(2, round(0.03 * size))
    window = light[max(0, foot - reach) : foot + reach, max(0, left) : max(0, left + width)]
    if window.size:
        rows = np.linspace(-1, 1, window.shape[0], dtype=np.float32)[:, None, None]
        window *= 1 - 0.6 * (1 - np.abs(rows))


def _table(rng: np.random.Generator, size: int) -> Plate:
    """Paint a table, worktop, cloth or tiled counter before a wall."""
    height, width, horizon = 2 * size, 4 * size, size
    light = np.empty((height, width, 3), np.float32)
    wall = _tone(rng, 0.15, 0.8, 0.15)
    light[:horizon] = wall * (1 + 0.1 * _clouds(rng, horizon, width, (2, 4)))[..., None]
    style = int(rng.integers(4))
    if style == 0:  # wall tiles
        side = round(size * rng.uniform(0.16, 0.3))
        grout = np.zeros((horizon, width), np.float32)
        grout[::side] = 1
        grout[:, ::side] = 1
        light[:horizon] *= 1 - 0.3 * cv2.GaussianBlur(grout, (0, 0), 0.8)[..., None] * 2
    elif style == 1:  # something bright and something dark far behind, out of focus
        for _ in range(7):
            x, y = rng.integers(0, width), rng.integers(0, horizon)
            w, h = rng.integers(size // 6, size, 2)
            light[max(0, y - h) : y, x : x + w] = _tone(rng, 0.03, 0.9, 0.35)
        light[:horizon] = cv2.GaussianBlur(light[:horizon], (0, 0), size * 0.05)
    rows = height - horizon
    surface = int(rng.integers(4))
    if surface == 0:  # wood: clouds drawn out along the grain
        grain = _clouds(rng, rows, width, (24, 2))
        tone = np.array(
            [(0.4, 0.2, 0.09), (0.6, 0.4, 0.22), (0.14, 0.07, 0.04), (0.7, 0.55, 0.38)][
                int(rng.integers(4))
            ]
        )
        top = tone * (1 + 0.16 * grain)[..., None]
        plank = round(rows * rng.uniform(0.25, 0.5))
        top[::plank] *= 0.5
    elif surface == 1:  # stone
        veins = np.exp(-((np.abs(_clouds(rng, rows, width, (3, 6))) / 0.12) ** 2))
        top = (
            _tone(rng, 0.1, 0.75)
            * (1 - 0.35 * veins + 0.06 * _clouds(rng, rows, width, (30, 60)))[..., None]
        )
    elif surface == 2:  # checked cloth
        y, x = np.mgrid[0:rows, 0:width]
        period = size * rng.uniform(0.1, 0.2)
        weave = ((x / period) % 1 < 0.5).astype(np.float32) + ((y / period * 1.8) % 1 < 0.5)
        cloth = _tone(rng, 0.15, 0.5, 0.6)
        top = 0.75 * (1 - weave[..., None] * 0.5) + cloth * weave[..., None] * 0.5
    else:  # laminate
        top = _tone(rng, 0.2, 0.85, 0.1) * (1 + 0.03 * _clouds(rng, rows, width, (4, 8)))[..., None]
    away = np.linspace(0.72, 1.08, rows)[:, None, None]
    light[horizon:] = (top * away).astype(np.float32)
    light[horizon - 2 : horizon + 2] *= 0.55
    light = cv2.GaussianBlur(light, (0, 0), size / 160)
    return Plate(_encode(light), "table", ((horizon + 0.12 * size, horizon + 0.5 * size),))


def _aisle(rng: np.random.Generator, stock: Stock, size: int) -> Plate:
    """Paint the view down an aisle, out of focus: shelves, floor and ceiling lights."""
    height, width = round(1.8 * size), round(2.6 * size)
    light = np.empty((height, width, 3), np.float32)
    middle = height * rng.uniform(0.4, 0.5)
    y = np.arange(height)[:, None, None]
    floor, ceiling = _tone(rng, 0.3, 0.6), _tone(rng, 0.5, 0.9)
    light[...] = np.where(y > middle, floor * (0.6 + 0.5 * (y - middle) / height), ceiling * 0.7)
    vanish = width * rng.uniform(0.42, 0.58)
    for i in range(7):  # rows of ceiling lamps running towards the vanishing point
        near, far = 1.0 / (i + 1), 1.0 / (i + 1.6)
        for side in (-0.35, 0.35):
            corners = [(side - 0.1, near), (side + 0.1, near), (side + 0.1, far), (side - 0.1, far)]
            shape = [(vanish + a * width * b, middle - middle * 1.1 * b) for a, b in corners]
            cv2.fillPoly(light, [np.round(shape).astype(np.int32)], (1.0, 1.0, 0.96), cv2.LINE_AA)
    for side in (-1, 1):
        source = (_shelf(rng, stock, size).image.astype(np.float32) / 255) ** 2
        rows, columns = source.shape[:2]
        edge, deep = (0 if side < 0 else width), vanish + side * width * 0.07
        corners = np.array(
            [
                (edge, middle - 0.95 * size),
                (deep, middle - 0.14 * size),
                (deep, middle + 0.17 * size),
                (edge, middle + 1.2 * size),
            ],
            np.float32,
        )
        flat = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
        warp = cv2.getPerspectiveTransform(flat, corners)
        cv2.warpPerspective(source, warp, (width, height), light, borderMode=cv2.BORDER_TRANSPARENT)
    light = cv2.GaussianBlur(light, (0, 0), size * rng.uniform(0.012, 0.04))
    return Plate(_encode(light), "aisle", ())


def _wall(rng: np.random.Generator, size: int) -> Plate:
    """Paint a plain surface with a soft gradient."""
    side = 2 * size
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    turn = rng.uniform(0, 2 * math.pi)
    slope = 1 + 0.5 * (x * math.cos(turn) + y * math.sin(turn))
    grain = 1 + 0.04 * _clouds(rng, side, side, (3, 3))
    light = _tone(rng, 0.1, 0.85, 0.22) * (slope * grain)[..., None]
    return Plate(_encode(light), "wall", ((0.6 * side, 0.7 * side),))


# Plates by how busy they are: a photo's clutter in [0, 1] picks from this list.
PLATE_KINDS = ("wall",) * 3 + ("table",) * 9 + ("aisle",) * 5 + ("shelf",) * 12


def paint_plate(seed: int, number: int, stock: Stock, size: int) -> Plate:
    """Return plate `number` of the world of `seed`."""
    rng = np.random.default_rng((seed, 5, number))
    kind = PLATE_KINDS[number]
    if kind == "shelf":
        return _shelf(rng, stock, size)
    if kind == "aisle":
        return _aisle(rng, stock, size)
    return _table(rng, size) if kind == "table" else _wall(rng, size)


def crop(
    plate: Plate,
    size: int,
    foot: tuple[float, float],
    at: tuple[float, float],
    zoom: float,
    roll: float,
) -> Plane:
    """Return the part of a plate that a photo shows, square-root-encoded float32 (size, size, 3).

    Args:
        plate: to crop.
        size: side of the photo in pixels.
        foot: pixel (x, y) of the photo where the product stands.
        at: pixel (x, y) of the plate at that place.
        zoom: photo pixels to the plate's pixel.
        roll: the camera's turn in radians.
    """
    sin, cos = math.sin(roll) / zoom, math.cos(roll) / zoom
    inverse = np.array(
        [
            [cos, sin, at[0] - cos * foot[0] - sin * foot[1]],
            [-sin, cos, at[1] + sin * foot[0] - cos * foot[1]],
        ]
    )
    cropped = cv2.warpAffine(
        plate.image,
        inverse,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cropped.astype(np.float32)
