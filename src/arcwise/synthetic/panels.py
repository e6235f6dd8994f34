"""What is printed on a pack: its front in one of seven layouts, and its two sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.design import RGB, Design, luminance, mix
from arcwise.synthetic.icons import icon
from arcwise.synthetic.layers import Canvas


@dataclass(frozen=True)
class Panel:
    """A rectangle of a canvas in pixels, addressed from (0, 0) top left to (1, 1)."""

    canvas: Canvas
    left: float
    top: float
    width: float
    height: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a place on the panel."""
        return self.left + x * self.width, self.top + y * self.height

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: RGB) -> None:
        """Draw a filled rectangle between two places."""
        brush.rectangle(self.canvas, *self.at(x0, y0), *self.at(x1, y1), colour)


def _readable(ground: RGB, ink: RGB) -> RGB:
    """Return `ink` if it can be read on the ground, else near-black or near-white."""
    if abs(luminance(ground) - luminance(ink)) > 0.28:
        return ink
    return (24, 22, 30) if luminance(ground) > 0.5 else (252, 250, 246)


def _under(panel: Panel, x: float, y: float) -> RGB:
    """Return the mean colour that is painted about a place."""
    column, row = panel.at(x, y)
    reach = max(1, round(panel.height * 0.04))
    patch = panel.canvas[
        max(0, round(row) - reach) : round(row) + reach + 1,
        max(0, round(column) - 3 * reach) : round(column) + 3 * reach + 1,
        :3,
    ]
    red, green, blue = (
        (int(v) for v in patch.reshape(-1, 3).mean(0)) if patch.size else (128, 128, 128)
    )
    return red, green, blue


def _rim(panel: Panel, mask: Canvas, where: tuple[float, float], ink: RGB, share: float) -> None:
    """Print an outline behind letters, `share` of their height wide, in a contrasting tone."""
    tone: RGB = (28, 24, 34) if luminance(ink) > 0.5 else (252, 250, 246)
    shift = max(1.0, min(mask.shape) * share)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        brush.stamp(panel.canvas, mask, (where[0] + dx * shift, where[1] + dy * shift), tone)


def _print(panel: Panel, mask: Canvas, where: tuple[float, float], ink: RGB) -> None:
    """Print letters in one ink, with an outline where the ground has about their brightness."""
    reach_x, reach_y = mask.shape[1] / 2, mask.shape[0] / 2
    under = panel.canvas[
        max(0, int(where[1] - reach_y)) : int(where[1] + reach_y) + 1,
        max(0, int(where[0] - reach_x)) : int(where[0] + reach_x) + 1,
    ]
    if under.size:
        brightness = under.astype(np.float32) @ np.array((0.299, 0.587, 0.114), np.float32) / 255
        if (np.abs(brightness - luminance(ink)) < 0.2).mean() > 0.12:
            _rim(panel, mask, where, ink, 0.06)
    brush.stamp(panel.canvas, mask, where, ink)


def _brand(panel: Panel, d: Design, x: float, y: float, w: float, h: float, ink: RGB) -> None:
    mask = brush.lettering(
        d.family, w * panel.width, h * panel.height, d.weight, d.slant, d.arch, d.stretch
    )
    where = panel.at(x, y)
    if d.outline:
        _rim(panel, mask, where, ink, 0.09)
    _print(panel, mask, where, ink)


def _flavour(panel: Panel, d: Design, x: float, y: float, w: float, h: float, ink: RGB) -> None:
    mask = brush.lettering(
        d.flavour.word, w * panel.width, h * panel.height, max(2, d.weight - 2), stretch=1.3
    )
    _print(panel, mask, panel.at(x, y), ink)


def _icon(panel: Panel, d: Design, x: float, y: float, side: float) -> None:
    """Paint the flavour's icon; `side` is a share of the panel's smaller side."""
    under = _under(panel, x, y)
    clash = sum(abs(a - b) for a, b in zip(under, d.flavour.colour, strict=True)) < 120
    pixels = side * min(panel.width, panel.height * 0.8)
    if clash and not d.icon_ink:  # a disc behind an icon that does not stand out
        plate = (
            mix(under, (255, 255, 255), 0.85)
            if luminance(under) < 0.7
            else mix(under, d.accent, 0.5)
        )
        brush.ellipse(panel.canvas, panel.at(x, y), (pixels * 0.58, pixels * 0.58), plate)
    ink = _readable(under, d.ink) if d.icon_ink else None
    brush.paste(
        panel.canvas, icon(d.flavour.icon, d.flavour.colour, pixels, ink, under), panel.at(x, y)
    )


def _small_print(panel: Panel, x: float, y: float, w: float, lines: int, ink: RGB) -> None:
    """Paint lines for text that is too small to be resolved."""
    rng = np.random.default_rng(lines * 1000 + round(w * 100))
    for i in range(lines):
        half = w / 2 * rng.uniform(0.6, 1.0)
        at = y + i * 0.035
        brush.line(
            panel.canvas,
            [panel.at(x - half, at), panel.at(x + half, at)],
            ink,
            panel.height * 0.008,
        )


def _brand_badge(panel: Panel, d: Design, x: float, y: float, w: float, h: float) -> RGB:
    """Paint the badge behind the brand, and return its colour."""
    c, centre = panel.canvas, panel.at(x, y)
    half_w, half_h = w * panel.width / 2, h * panel.height / 2
    fill = d.accent if luminance(d.accent) < 0.75 else mix(d.accent, (255, 255, 255), 0.3)
    rim = _readable(fill, d.ink)
    for scale, colour in ((1.0, rim), (0.9, fill)):
        a, b = half_w * (1 - (1 - scale) * half_h / half_w), half_h * scale
        if d.badge in ("oval", "round"):
            brush.ellipse(c, centre, (a, b if d.badge == "oval" else max(b, a * 0.8)), colour)
        elif d.badge == "shield":
            top, low = centre[1] - b, centre[1] + b * 1.35
            brush.polygon(
                c,
                [(centre[0] - a, top), (centre[0] + a, top), (centre[0] + a, centre[1] + b * 0.5),
                 (centre[0], low), (centre[0] - a, centre[1] + b * 0.5)],
                colour,
            )  # fmt: skip
        elif d.badge == "plate":
            brush.rectangle(c, centre[0] - a, centre[1] - b, centre[0] + a, centre[1] + b, colour)
        else:
            turns = np.linspace(0, 2 * np.pi, 49)[:-1]
            reach = np.where(np.arange(48) % 2 == 0, 1.0, 0.9)
            brush.polygon(
                c,
                [(centre[0] + a * r * np.cos(t), centre[1] + max(b, 0.7 * a) * r * np.sin(t))
                 for t, r in zip(turns, reach, strict=True)],
                colour,
            )  # fmt: skip
    return fill


def _badge(panel: Panel, d: Design) -> None:
    fill = _brand_badge(panel, d, 0.5, 0.3, 0.9, 0.3 / max(0.8, panel.height / panel.width * 0.8))
    _brand(panel, d, 0.5, 0.3, 0.72, 0.17, _readable(fill, (252, 250, 244)))
    _icon(panel, d, 0.5, 0.66, 0.5)
    _flavour(panel, d, 0.5, 0.9, 0.74, 0.085, _readable(_under(panel, 0.5, 0.9), d.ink))


def _billboard(panel: Panel, d: Design) -> None:
    _brand(panel, d, 0.5, 0.17, 0.94, 0.22, _readable(_under(panel, 0.5, 0.17), d.ink))
    _flavour(panel, d, 0.5, 0.345, 0.7, 0.085, _readable(_under(panel, 0.5, 0.345), d.accent))
    _icon(panel, d, 0.5, 0.71, 0.66)


def _vertical(panel: Panel, d: Design) -> None:
    turned = Panel(
        np.zeros((round(panel.width), round(panel.height), 3), np.uint8),
        0,
        0,
        panel.height,
        panel.width,
    )
    mask = brush.lettering(
        d.family, turned.width * 0.72, turned.height * 0.5, d.weight, d.slant, 0.0, d.stretch
    )
    ink = _readable(_under(panel, 0.36, 0.42), d.ink)
    _print(panel, np.ascontiguousarray(np.rot90(mask)), panel.at(0.36, 0.42), ink)
    word = brush.lettering(d.flavour.word, turned.width * 0.5, turned.height * 0.17, 4)
    word_ink = _readable(_under(panel, 0.78, 0.42), d.ink)
    _print(panel, np.ascontiguousarray(np.rot90(word)), panel.at(0.78, 0.42), word_ink)
    _icon(panel, d, 0.5, 0.87, 0.42)


def _minimal(panel: Panel, d: Design) -> None:
    paper = (
        mix(d.base, (255, 255, 255), 0.88)
        if luminance(d.base) > 0.35
        else mix(d.base, (0, 0, 0), 0.3)
    )
    panel.rectangle(0.08, 0.1, 0.92, 0.92, d.ink)
    panel.rectangle(0.11, 0.12, 0.89, 0.9, paper)
    ink = _readable(paper, d.ink)
    _icon(panel, d, 0.5, 0.3, 0.38)
    _brand(panel, d, 0.5, 0.55, 0.68, 0.13, ink)
    panel.rectangle(0.3, 0.65, 0.7, 0.66, ink)
    _flavour(panel, d, 0.5, 0.73, 0.5, 0.07, _readable(paper, d.accent))
    _small_print(panel, 0.5, 0.81, 0.45, 2, mix(paper, ink, 0.5))


def _poster(panel: Panel, d: Design) -> None:
    _icon(panel, d, 0.5, 0.62, 1.05)
    _brand(panel, d, 0.5, 0.2, 0.92, 0.2, _readable(_under(panel, 0.5, 0.2), d.ink))
    panel.rectangle(0.0, 0.84, 1.0, 0.95, d.accent)
    _flavour(panel, d, 0.5, 0.895, 0.8, 0.08, _readable(d.accent, d.ink))


def _stack(panel: Panel, d: Design) -> None:
    panel.rectangle(0.0, 0.56, 1.0, 0.8, d.accent)
    _brand(panel, d, 0.5, 0.4, 0.9, 0.22, _readable(_under(panel, 0.5, 0.4), d.ink))
    _icon(panel, d, 0.17, 0.68, 0.27)
    _flavour(panel, d, 0.65, 0.68, 0.6, 0.11, _readable(d.accent, d.ink))
    _icon(panel, d, 0.5, 0.15, 0.26)
    _small_print(panel, 0.5, 0.87, 0.6, 2, _readable(_under(panel, 0.5, 0.88), d.ink))


def _ribbon(panel: Panel, d: Design) -> None:
    _icon(panel, d, 0.5, 0.24, 0.6)
    rise = 0.06
    corners = [
        (-0.02, 0.46 + rise),
        (1.02, 0.46 - rise),
        (1.02, 0.7 - rise),
        (-0.02, 0.7 + rise),
    ]
    edge = _readable(d.accent, d.ink)
    brush.polygon(
        panel.canvas, [panel.at(x, y + (0.02 if y > 0.6 else -0.02)) for x, y in corners], edge
    )
    brush.polygon(panel.canvas, [panel.at(*p) for p in corners], d.accent)
    _brand(panel, d, 0.5, 0.58, 0.84, 0.16, edge)
    _flavour(panel, d, 0.5, 0.83, 0.7, 0.09, _readable(_under(panel, 0.5, 0.83), d.ink))


_LAYOUTS: dict[str, Callable[[Panel, Design], None]] = {
    "badge": _badge,
    "billboard": _billboard,
    "vertical": _vertical,
    "minimal": _minimal,
    "poster": _poster,
    "stack": _stack,
    "ribbon": _ribbon,
}


def paint_front(panel: Panel, design: Design) -> None:
    """Paint the design's front onto a panel that already has its ground."""
    _LAYOUTS[design.layout](panel, design)


_BLACK = (26, 26, 28)
_PAPER = (250, 250, 247)


def _bar_code(
    panel: Panel, rng: np.random.Generator, x: float, y: float, w: float, h: float
) -> None:
    panel.rectangle(x, y, x + w, y + h, _PAPER)
    bars = max(6, int(w * panel.width / 2.2))
    for i in range(bars):
        if rng.random() < 0.55:
            at = x + w * (0.08 + 0.84 * i / bars)
            panel.rectangle(at, y + 0.1 * h, at + w * 0.5 / bars, y + 0.85 * h, _BLACK)


def _paragraph(
    panel: Panel, rng: np.random.Generator, y: float, lines: int, ink: tuple[int, ...]
) -> None:
    for i in range(lines):
        at, start = y + i * 0.03, 0.12
        while start < 0.84:  # gaps between words make it look like text
            end = min(0.88, start + rng.uniform(0.05, 0.17))
            brush.line(
                panel.canvas, [panel.at(start, at), panel.at(end, at)], ink, panel.height * 0.009
            )
            start = end + 0.035


def paint_side(panel: Panel, d: Design, which: int) -> None:
    """Paint a side: 0 has the nutrition table, 1 the brand upright and a bar code."""
    rng = np.random.default_rng((d.detail_seed, which))
    ink = _BLACK if luminance(d.base) > 0.45 else _PAPER
    if which == 0:
        panel.rectangle(0.1, 0.12, 0.9, 0.56, _PAPER)
        panel.rectangle(0.1, 0.12, 0.9, 0.185, _BLACK)
        for i in range(8):
            at = 0.225 + 0.042 * i
            panel.rectangle(0.15, at, 0.15 + rng.uniform(0.2, 0.42), at + 0.014, _BLACK)
            panel.rectangle(0.7, at, 0.85, at + 0.014, _BLACK)
        _paragraph(panel, rng, 0.63, 8, ink)
        return
    mask = brush.lettering(d.family, panel.height * 0.42, panel.width * 0.4, d.weight, d.slant)
    brush.stamp(panel.canvas, np.ascontiguousarray(np.rot90(mask)), panel.at(0.5, 0.28), ink)
    _paragraph(panel, rng, 0.55, 5, ink)
    _bar_code(panel, rng, 0.16, 0.76, 0.68, 0.16)
