"""The ground of a pack, under the lettering: colour fields and patterns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.design import Design, luminance, mix
from arcwise.synthetic.icons import icon
from arcwise.synthetic.layers import Canvas, Plane


@dataclass(frozen=True)
class Ground:
    """A canvas with its coordinates: pixels from the top left, and where the front is."""

    canvas: Canvas
    x: Plane
    y: Plane
    centre: float
    panel: float

    @property
    def height(self) -> int:
        """Rows of the canvas."""
        return self.canvas.shape[0]

    @property
    def width(self) -> int:
        """Columns of the canvas."""
        return self.canvas.shape[1]


def _edge(distance: Plane) -> Plane:
    """Return the coverage of a half-plane from its signed distance in pixels."""
    return np.clip(distance + 0.5, 0, 1).astype(np.float32)


def _stripe(phase: Plane, share: float, period: float) -> Plane:
    """Return the coverage of stripes: `share` of each `period` pixels; phase in periods."""
    away = np.abs(phase - np.round(phase)) * period
    return _edge(share * period / 2 - away)


def _chevrons(u: Plane, v: Plane, repeat: float) -> Plane:
    return _stripe(v + np.abs(u - np.round(u)) * 1.2, 0.45, repeat * 0.7)


def _checks(u: Plane, v: Plane, _: float) -> Plane:
    return (np.floor(u * 2) + np.floor(v * 2)).astype(np.int32) % 2 * np.float32(1)


def _dots(u: Plane, v: Plane, repeat: float) -> Plane:
    shifted = u + 0.5 * (np.floor(v) % 2)
    across, down = shifted - np.floor(shifted) - 0.5, v - np.floor(v) - 0.5
    return _edge((0.27 - np.hypot(across, down)) * repeat)


def _scales(u: Plane, v: Plane, repeat: float) -> Plane:
    shifted = u + 0.5 * (np.floor(v * 1.6) % 2)
    across, down = shifted - np.floor(shifted) - 0.5, v * 1.6 - np.floor(v * 1.6)
    return _edge((0.09 - np.abs(np.hypot(across, down) - 0.5)) * repeat)


# Coverage from coordinates in periods, and the period in pixels.
_PATTERNS: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "stripes": lambda u, v, repeat: _stripe(u, 0.5, repeat),
    "pinstripes": lambda u, v, repeat: _stripe(u * 2, 0.22, repeat / 2),
    "chevrons": _chevrons,
    "checks": _checks,
    "dots": _dots,
    "scales": _scales,
}


def _paint_pattern(f: Ground, design: Design) -> None:
    """Paint a pattern that repeats a whole number of times, so that its ends join."""
    repeats = max(2, round(design.pattern_count * f.width / f.panel))
    if design.pattern in _PATTERNS:
        repeat = f.width / repeats
        coverage = _PATTERNS[design.pattern](f.x / repeat, f.y / repeat, repeat)
        strength = np.float32(0.3 + 0.7 * design.profile[2])
        brush.blend(f.canvas, coverage * strength, design.second)
    elif design.pattern == "icons":
        step = f.width / repeats * 1.6
        tone = mix(design.base, design.second, 0.7)
        motif = icon(design.flavour.icon, design.flavour.colour, step * 0.7, tone)
        for row in range(int(f.height / step) + 2):
            for column in range(int(f.width / step) + 2):
                brush.paste(f.canvas, motif, ((column + 0.5 * (row % 2)) * step, row * step))


def _fade(f: Ground, d: Design) -> None:
    to = mix(d.base, (0, 0, 0) if luminance(d.base) > 0.4 else d.second, 0.55)
    brush.blend(f.canvas, ((f.y / f.height) ** 1.5 * 0.9).astype(np.float32), to)


def _split(f: Ground, d: Design) -> None:
    brush.blend(f.canvas, _edge(f.y - f.height * (0.5 + 0.25 * d.profile[3])), d.accent)


def _wave(f: Ground, d: Design) -> None:
    turn = 2 * math.pi * f.x / f.width * max(1, round(f.width / f.panel))
    knob = d.profile[3]
    crest = f.height * (0.55 + 0.2 * knob) + f.height * 0.06 * np.sin(turn + 6 * knob)
    brush.blend(f.canvas, _edge(f.y - crest + f.height * 0.035), d.ink)
    brush.blend(f.canvas, _edge(f.y - crest), d.accent)


def _bands(f: Ground, d: Design) -> None:
    share = 0.1 + 0.12 * d.profile[3]
    for limit in (_edge(f.height * share - f.y), _edge(f.y - f.height * (1 - share))):
        brush.blend(f.canvas, limit, d.accent)
    for at in (share, 1 - share):
        brush.blend(f.canvas, _edge(f.height * 0.012 - np.abs(f.y - f.height * at)), d.ink)


def _diagonal(f: Ground, d: Design) -> None:
    across = (f.x - f.centre) / f.panel
    lean = np.where(np.abs(across) > 1, np.sign(across) * (2 - np.abs(across)), across)
    slope = 0.3 + 0.3 * d.profile[3]
    brush.blend(f.canvas, _edge(f.y - f.height * (0.58 - slope * lean)), d.accent)


def _rays(f: Ground, d: Design) -> None:
    across, down = f.x - f.centre, f.y - f.height * 0.42
    angle = np.arctan2(down, across) / (2 * math.pi) * (14 + round(8 * d.profile[3]))
    reach = np.clip(1.2 - np.hypot(across, down) / (0.75 * f.panel), 0, 1)
    rays = np.clip(np.abs(angle - np.round(angle)) * 8 - 1.5, 0, 1)
    brush.blend(f.canvas, (rays * reach).astype(np.float32), mix(d.base, (255, 250, 230), 0.5))


def _arch(f: Ground, d: Design) -> None:
    middle, radius = f.height * (1.0 + 0.3 * d.profile[3]), f.height * (0.62 + 0.3 * d.profile[3])
    away = np.hypot((f.x - f.centre) * 0.9, f.y - middle)
    brush.blend(f.canvas, _edge(radius + f.height * 0.03 - away), d.ink)
    brush.blend(f.canvas, _edge(radius - away), d.accent)


_GROUNDS: dict[str, Callable[[Ground, Design], None]] = {
    "plain": lambda f, d: None,
    "fade": _fade,
    "split": _split,
    "wave": _wave,
    "bands": _bands,
    "diagonal": _diagonal,
    "rays": _rays,
    "arch": _arch,
}


def paint_ground(canvas: Canvas, design: Design, centre: float, panel: float) -> None:
    """Paint colour fields and pattern over the whole canvas.

    Args:
        canvas: (H, W, 3) uint8 RGB, changed in place; its left and right edges may be joined.
        design: of the pack.
        centre: column of the front's middle, in pixels.
        panel: width of the front, in pixels.
    """
    canvas[...] = design.base
    y, x = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32) + np.float32(0.5)
    ground = Ground(canvas, x, y, centre, panel)
    _paint_pattern(ground, design)
    _GROUNDS[design.ground](ground, design)
