"""The icons on a label: fruit, leaves, suns, fish. Each is drawn large once, then shrunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.design import RGB, mix
from arcwise.synthetic.layers import Canvas

_SIDE = 128
_WHITE: RGB = (255, 255, 255)
_GREEN: RGB = (62, 138, 58)


def _solid(colour: Sequence[int]) -> tuple[int, ...]:
    return (*colour, 255)


def _ring(count: int, radius: float, phase: float = 0.0) -> list[tuple[float, float]]:
    turn = 2 * math.pi / count
    return [
        (64 + radius * math.cos(phase + i * turn), 64 + radius * math.sin(phase + i * turn))
        for i in range(count)
    ]


def _leaf_shape(
    tip: tuple[float, float], stem: tuple[float, float], fat: float
) -> list[tuple[float, float]]:
    along = np.array(tip) - np.array(stem)
    side = np.array([-along[1], along[0]])
    t = np.linspace(0, 1, 14)[:, None]
    belly = np.sin(math.pi * t) ** 0.8 * fat
    shape = np.concatenate(
        [stem + along * t + side * belly, (stem + along * t - side * belly)[::-1]]
    )
    return [(float(x), float(y)) for x, y in shape]


def _citrus(c: Canvas, k: RGB) -> None:
    brush.ellipse(c, (64, 66), (54, 54), _solid(k))
    brush.ellipse(c, (64, 66), (46, 46), _solid(mix(k, _WHITE, 0.8)))
    for i in range(9):
        a, half = 2 * math.pi * i / 9, 0.29
        wedge = [(64 + 6 * math.cos(a), 66 + 6 * math.sin(a))] + [
            (64 + 42 * math.cos(a + d), 66 + 42 * math.sin(a + d))
            for d in np.linspace(-half, half, 6)
        ]
        brush.polygon(c, wedge, _solid(mix(k, _WHITE, 0.18)))
    brush.polygon(c, _leaf_shape((118, 8), (78, 22), 0.24), _solid(_GREEN))


def _ball(c: Canvas, x: float, y: float, r: float, k: RGB) -> None:
    for i in range(7):
        share = i / 6
        centre = (x - 0.3 * r * share, y - 0.32 * r * share)
        side = r * (1 - 0.8 * share)
        brush.ellipse(
            c, centre, (side, side), _solid(mix(mix(k, (0, 0, 0), 0.3), _WHITE, 0.5 * share**1.3))
        )


def _berry(c: Canvas, k: RGB) -> None:
    for x, y in ((40, 48), (86, 46), (30, 80), (64, 70), (98, 80), (48, 104), (82, 104), (64, 40)):
        _ball(c, x, y, 22, k)
    brush.polygon(c, _leaf_shape((24, 10), (64, 30), 0.28), _solid(_GREEN))
    brush.polygon(c, _leaf_shape((104, 10), (64, 30), 0.28), _solid(mix(_GREEN, _WHITE, 0.15)))


def _cherry(c: Canvas, k: RGB) -> None:
    brush.line(c, [(40, 84), (52, 44), (84, 12)], _solid((84, 100, 40)), 5)
    brush.line(c, [(92, 90), (90, 50), (84, 12)], _solid((84, 100, 40)), 5)
    brush.polygon(c, _leaf_shape((28, 18), (84, 12), 0.25), _solid(_GREEN))
    _ball(c, 38, 92, 29, k)
    _ball(c, 93, 95, 28, k)


def _tomato(c: Canvas, k: RGB) -> None:
    _ball(c, 64, 72, 50, k)
    for x, y in _ring(5, 34, -math.pi / 2):
        brush.polygon(c, _leaf_shape((x, y * 0.5), (64, 28), 0.2), _solid(_GREEN))


def _leaf(c: Canvas, k: RGB) -> None:
    green = mix(k, _GREEN, 0.5)
    for tip, shade in (((18, 40), 0.0), ((110, 34), 0.2), ((64, 4), 0.35)):
        brush.polygon(c, _leaf_shape(tip, (64, 112), 0.24), _solid(mix(green, _WHITE, shade)))
        brush.line(c, [(64, 112), tip], _solid(mix(green, _WHITE, 0.6)), 2)


def _drop(c: Canvas, k: RGB) -> None:
    t = np.linspace(0, 2 * math.pi, 40)
    for scale, shade in ((1.0, -0.25), (0.86, 0.0), (0.6, 0.25)):
        shape = [
            (
                64 - 6 * (1 - scale) + scale * 46 * math.sin(a) * math.sin(a / 2) ** 1.4,
                70 - scale * 56 * math.cos(a),
            )
            for a in t
        ]
        tone = mix(k, (0, 0, 0), -shade) if shade < 0 else mix(k, _WHITE, shade)
        brush.polygon(c, shape, _solid(tone))
    brush.ellipse(c, (48, 92), (7, 13), _solid(mix(k, _WHITE, 0.85)), 25)


def _wheat(c: Canvas, k: RGB) -> None:
    gold = mix(k, (226, 180, 84), 0.6)
    for lean in (-0.32, 0.0, 0.32):
        foot, head = (64.0, 122.0), (64 + 120 * lean, 12.0)
        brush.line(c, [foot, head], _solid(mix(gold, (60, 40, 0), 0.3)), 3)
        for t in np.linspace(0.42, 1.0, 6):
            x, y = foot[0] + (head[0] - foot[0]) * t, foot[1] + (head[1] - foot[1]) * t
            for side in (-1, 1):
                tip = (x + side * 13 + 12 * lean, y - 17)
                brush.polygon(
                    c, _leaf_shape(tip, (x, y), 0.32), _solid(mix(gold, _WHITE, 0.12 + 0.12 * side))
                )


def _mountain(c: Canvas, k: RGB) -> None:
    brush.ellipse(c, (92, 34), (18, 18), _solid((246, 200, 80)))
    brush.polygon(c, [(4, 112), (48, 24), (92, 112)], _solid(k))
    brush.polygon(c, [(48, 24), (92, 112), (56, 112)], _solid(mix(k, (0, 0, 0), 0.3)))
    brush.polygon(c, [(48, 24), (33, 54), (44, 48), (52, 58), (63, 54)], _solid(_WHITE))
    brush.polygon(c, [(52, 112), (92, 52), (124, 112)], _solid(mix(k, _WHITE, 0.25)))


def _sun(c: Canvas, k: RGB) -> None:
    for i, (x, y) in enumerate(_ring(14, 58)):
        a = math.atan2(y - 64, x - 64)
        p = [(64 + 38 * math.cos(a + d), 64 + 38 * math.sin(a + d)) for d in (-0.14, 0.14)]
        brush.polygon(c, [(x, y), *p], _solid(mix(k, (246, 190, 60), 0.5 if i % 2 else 0.2)))
    _ball(c, 64, 64, 34, mix(k, (246, 190, 60), 0.4))


def _star(c: Canvas, k: RGB) -> None:
    outer, inner = _ring(5, 58, -math.pi / 2), _ring(5, 25, -math.pi / 2 + math.pi / 5)
    corners = [p for pair in zip(outer, inner, strict=True) for p in pair]
    brush.polygon(c, corners, _solid(k))
    for i in range(5):  # facets make it a solid star
        brush.polygon(c, [outer[i], inner[i], (64, 64)], _solid(mix(k, _WHITE, 0.35)))


def _fish(c: Canvas, k: RGB) -> None:
    brush.polygon(c, [(86, 64), (122, 34), (116, 64), (122, 94)], _solid(mix(k, (0, 0, 0), 0.2)))
    brush.polygon(c, _leaf_shape((98, 64), (6, 64), 0.3), _solid(k))
    brush.polygon(c, _leaf_shape((92, 72), (12, 70), 0.16), _solid(mix(k, _WHITE, 0.6)))
    brush.ellipse(c, (26, 58), (5, 5), _solid(_WHITE))
    brush.line(c, [(40, 44), (46, 64), (40, 84)], _solid(mix(k, _WHITE, 0.5)), 3)


def _bean(c: Canvas, k: RGB) -> None:
    for x, y, angle, shade in ((44, 76, 60, 0.0), (86, 54, 120, 0.12), (78, 98, 20, 0.2)):
        tone = mix(k, _WHITE, shade)
        brush.ellipse(c, (x, y), (34, 23), _solid(mix(tone, (0, 0, 0), 0.25)), angle)
        brush.ellipse(c, (x - 2, y - 3), (29, 18), _solid(tone), angle)
        a = math.radians(angle)
        brush.line(
            c,
            [
                (x - 28 * math.cos(a), y - 28 * math.sin(a)),
                (x + 4, y - 4),
                (x + 28 * math.cos(a), y + 28 * math.sin(a)),
            ],
            _solid(mix(tone, (0, 0, 0), 0.5)),
            4,
        )


def _chip(c: Canvas, k: RGB) -> None:
    for x, y, angle, shade in ((48, 46, 20, 0.0), (84, 66, -25, 0.2), (50, 90, 8, 0.32)):
        tone = mix((232, 176, 66), _WHITE, shade)
        brush.ellipse(c, (x + 2, y + 4), (40, 25), _solid(mix(tone, (90, 40, 0), 0.45)), angle)
        brush.ellipse(c, (x, y), (40, 24), _solid(tone), angle)
        for step in (-16, 0, 16):
            brush.ellipse(c, (x + step, y), (5, 18), _solid(mix(tone, (150, 80, 0), 0.25)), angle)
    brush.ellipse(c, (96, 104), (12, 12), _solid(k))


def _blossom(c: Canvas, k: RGB) -> None:
    for i, (x, y) in enumerate(_ring(6, 56, 0.3)):
        brush.polygon(
            c, _leaf_shape((x, y), (64, 64), 0.36), _solid(mix(k, _WHITE, 0.2 + 0.25 * (i % 2)))
        )
    _ball(c, 64, 64, 13, (240, 190, 60))


def _bolt(c: Canvas, k: RGB) -> None:
    brush.polygon(c, [(76, 4), (26, 74), (58, 74), (44, 124), (102, 50), (68, 50)], _solid(k))
    brush.polygon(c, [(76, 4), (26, 74), (44, 66), (62, 40)], _solid(mix(k, _WHITE, 0.5)))


_DRAWN: dict[str, Callable[[Canvas, RGB], None]] = {
    "citrus": _citrus,
    "berry": _berry,
    "cherry": _cherry,
    "tomato": _tomato,
    "leaf": _leaf,
    "drop": _drop,
    "wheat": _wheat,
    "mountain": _mountain,
    "sun": _sun,
    "star": _star,
    "fish": _fish,
    "bean": _bean,
    "chip": _chip,
    "blossom": _blossom,
    "bolt": _bolt,
}


@lru_cache(maxsize=256)
def _master(name: str, colour: RGB) -> Canvas:
    sheet = np.zeros((_SIDE, _SIDE, 4), np.uint8)
    _DRAWN[name](sheet, colour)
    return sheet


def icon(
    name: str, colour: RGB, side: float, ink: RGB | None = None, ground: RGB | None = None
) -> Canvas:
    """Return an RGBA patch (side, side, 4) of an icon, in its colours or in one ink."""
    pixels = max(4, round(side))
    patch = cv2.resize(_master(name, colour), (pixels, pixels), interpolation=cv2.INTER_AREA)
    # The master is black where it is empty: without this division every edge would turn dark.
    alpha = patch[..., 3:].astype(np.float32) / 255
    patch[..., :3] = np.minimum(patch[..., :3] / np.maximum(alpha, 1 / 255), 255)
    if ink is not None:  # one printing plate: light and dark become ground and ink
        grey = patch[..., :3].mean(2)
        inside = grey[patch[..., 3] > 200]
        low, high = np.percentile(inside, (5, 95)) if inside.size else (0.0, 255.0)
        share = np.clip((grey - low) / max(high - low, 24.0), 0, 1)[..., None]
        light = mix(ink, ground or ink, 0.5)
        patch[..., :3] = np.array(ink) + (np.array(light, np.float64) - ink) * share
    return patch
