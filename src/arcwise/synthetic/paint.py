"""A design's skin: the unwrapped textures its body is covered with.

Each texture is (h, w, 4) uint8: three channels of square-root-encoded colour, and the material in
the fourth (see `light.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.design import FOLDED, RGB, TURNED, Design, luminance, mix
from arcwise.synthetic.ground import paint_ground
from arcwise.synthetic.layers import Canvas
from arcwise.synthetic.panels import Panel, paint_front, paint_side

# Material codes, read by `light.py`: 0..80 matte to glossy, 120 clear, 200..255 metal.
MATTE, PAPER, PLASTIC, GLOSSY, CLEAR, FOIL, METAL = 0, 22, 48, 76, 120, 214, 250

_SKIN_MATERIAL = {
    "paper": PAPER,
    "plastic": PLASTIC,
    "glass": PAPER,
    "clear": PLASTIC,
    "metal": FOIL,
    "foil": GLOSSY,
}


@dataclass(frozen=True)
class Skin:
    """The textures of one design.

    Attributes:
        wrap: once around a turned body, top to bottom; the front is in the middle. For a folded or
            soft body, its front.
        sides: left and right sides of a folded body.
        top: the lid or upper face.
    """

    wrap: Canvas
    sides: tuple[Canvas, Canvas]
    top: Canvas


def _coded(canvas: Canvas, material: int) -> Canvas:
    """Return an RGB canvas with a material channel added, in the encoding of the textures."""
    return np.dstack([canvas, np.full(canvas.shape[:2], material, np.uint8)])


def _disc(side: int, design: Design) -> Canvas:
    """Return the lid from above: pull tab for a can, rings for a cap."""
    canvas = np.zeros((side, side, 3), np.uint8)
    middle = (side / 2, side / 2)
    if design.body in ("can", "tin"):
        tone: RGB = (196, 198, 202)
        canvas[...] = tone
        for radius, shade in ((0.47, 0.3), (0.43, 0.0), (0.36, 0.12)):
            brush.ellipse(
                canvas, middle, (side * radius, side * radius), mix(tone, (70, 72, 78), shade)
            )
        brush.ellipse(
            canvas, (side * 0.5, side * 0.56), (side * 0.09, side * 0.16), (120, 122, 128)
        )
        brush.ellipse(canvas, (side * 0.5, side * 0.6), (side * 0.05, side * 0.07), (220, 222, 226))
        brush.ellipse(
            canvas, (side * 0.5, side * 0.3), (side * 0.14, side * 0.1), (150, 152, 158), width=1
        )
        return _coded(canvas, METAL)
    tone = design.accent if design.body == "cup" else design.cap
    canvas[...] = tone
    for radius, shade in ((0.46, 0.18), (0.4, 0.0)):
        brush.ellipse(canvas, middle, (side * radius, side * radius), mix(tone, (0, 0, 0), shade))
    if design.body == "cup":
        paint_front(Panel(canvas, side * 0.2, side * 0.2, side * 0.6, side * 0.6), design)
    return _coded(canvas, FOIL if design.body == "cup" else PLASTIC)


def label_span(design: Design) -> tuple[float, float, float]:
    """Return the place of a turned body's label: top, bottom and extent.

    Top and bottom are shares of the body's height, the extent one of its circumference.
    """
    a, b, c, _ = design.profile
    return {
        "can": (0.0, 1.0, 1.0),
        "tin": (0.1, 0.9, 1.0),
        "canister": (0.09, 0.97, 1.0),
        "cup": (0.07, 1.0, 1.0),
        "jar": (0.3 + 0.08 * a, 0.84 + 0.08 * b, 1.0 if c < 0.5 else 0.6),
        "spray": (0.22, 0.98, 1.0),
        "flask": (0.33 + 0.06 * a, 0.93, 0.46),
        "bottle": (0.42 + 0.1 * a, 0.8 + 0.14 * b, 1.0 if c < 0.6 else 0.5),
    }[design.body]


def _turned(design: Design, texels: float) -> Canvas:
    rows = max(24, round(design.height * texels))
    circumference = max(48, round(math.pi * design.width * texels))
    top, bottom, share = label_span(design)
    canvas = np.zeros((rows, circumference, 4), np.uint8)
    # Below the label: the body itself, glass over its contents or moulded plastic.
    clear = design.material in ("glass", "clear")
    body = design.contents if clear else design.base
    if design.body == "flask":
        body = mix(design.base, (255, 255, 255), 0.15)
    canvas[...] = (*body, CLEAR if clear else GLOSSY if design.body != "cup" else PLASTIC)
    if clear and design.body == "bottle":  # the air above the drink
        level = round(rows * 0.2)
        canvas[:level, :, :3] = mix(design.contents, (236, 244, 240), 0.72)
    first, last = round(top * rows), max(round(bottom * rows), round(top * rows) + 8)
    half = share * circumference / 2
    left, right = round(circumference / 2 - half), round(circumference / 2 + half)
    label = np.zeros((last - first, right - left, 3), np.uint8)
    # About a third of the circumference is visible from the front.
    panel = min(circumference * 0.36, (right - left) * 0.94)
    paint_ground(label, design, label.shape[1] / 2, panel)
    inset = (
        0.07 * label.shape[0] if design.body in ("can", "spray", "cup") else 0.02 * label.shape[0]
    )
    height = label.shape[0] - 2 * inset
    paint_front(Panel(label, label.shape[1] / 2 - panel / 2, inset, panel, height), design)
    if share == 1.0:
        width = circumference * 0.24
        paint_side(Panel(label, circumference * 0.05, inset, width, height), design, 0)
        paint_side(Panel(label, circumference * 0.95 - width, inset, width, height), design, 1)
    material = _SKIN_MATERIAL[design.material]
    if design.body == "flask":
        material = PLASTIC
    canvas[first:last, left:right] = _coded(label, material)
    _paint_fittings(canvas, design)
    return canvas


def _paint_fittings(canvas: Canvas, design: Design) -> None:
    """Paint the caps, rims and seams of a turned body over the ends of its texture."""
    rows = canvas.shape[0]
    silver, dark = (206, 208, 212, METAL), (120, 122, 126, METAL)

    def band(start: float, end: float, tone: tuple[int, ...]) -> None:
        canvas[round(start * rows) : max(round(end * rows), round(start * rows) + 1)] = tone

    if design.body in ("can", "tin"):
        band(0.0, 0.022, silver)
        band(0.022, 0.045, dark)
        band(0.975, 1.0, silver)
        if design.body == "tin":
            for i in range(3):
                band(0.05 + 0.018 * i, 0.058 + 0.018 * i, silver if i % 2 else dark)
                band(0.9 + 0.022 * i, 0.91 + 0.022 * i, dark if i % 2 else silver)
        return
    ends = {
        "bottle": 0.085,
        "flask": 0.16,
        "jar": 0.17,
        "spray": 0.17,
        "canister": 0.08,
        "cup": 0.035,
    }
    end = ends[design.body]
    metal_cap = design.body == "jar" and design.profile[0] < 0.6
    tone = design.accent if design.body == "cup" else design.cap
    code = FOIL if metal_cap or design.body == "cup" else PLASTIC
    band(0.0, end, (*tone, code))
    if design.body in ("bottle", "flask", "jar"):  # grip ribs
        columns = canvas.shape[1]
        ribs = np.arange(columns) * max(12, columns // 6) * 2 // columns % 2 == 0
        canvas[round(0.02 * rows) : round(end * 0.9 * rows), ribs, :3] = mix(tone, (0, 0, 0), 0.16)
    band(end, end + 0.012, (*mix(tone, (0, 0, 0), 0.5), code))
    if design.body == "spray":
        band(end + 0.012, 0.215, silver)
        band(0.985, 1.0, silver)
    if design.body == "canister":
        band(0.972, 1.0, silver)


def _flat(design: Design, width: float, height: float, texels: float) -> Canvas:
    """Return the front of a folded or soft body."""
    canvas = np.zeros(
        (max(16, round(height * texels)), max(16, round(width * texels)), 3), np.uint8
    )
    rows, columns = canvas.shape[:2]
    paint_ground(canvas, design, columns / 2, columns)
    top = 0.1 if design.body in ("bag", "pouch") else 0.02
    span = 0.8 if design.body in ("bag", "pouch") else 0.96
    paint_front(Panel(canvas, columns * 0.06, rows * top, columns * 0.88, rows * span), design)
    material = _SKIN_MATERIAL[design.material]
    skin = _coded(canvas, material)
    if design.body in ("bag", "pouch"):
        crimp = max(2, round(rows * 0.055))
        ends = (
            (slice(0, crimp), slice(rows - crimp, rows))
            if design.body == "bag"
            else (slice(0, crimp),)
        )
        for end in ends:
            shade = mix(design.accent, design.base, 0.3)
            skin[end] = (*shade, FOIL if design.material == "foil" else material)
            skin[end, ::3, :3] = mix(shade, (0, 0, 0), 0.22)
    return skin


def _side(design: Design, width: float, height: float, texels: float, which: int) -> Canvas:
    canvas = np.zeros((max(8, round(height * texels)), max(8, round(width * texels)), 3), np.uint8)
    rows, columns = canvas.shape[:2]
    paint_ground(canvas, design, columns / 2, columns)
    if which < 2:
        paint_side(Panel(canvas, 0, 0, columns, rows), design, which)
    else:
        mask = brush.lettering(
            design.family, columns * 0.7, rows * 0.5, design.weight, design.slant
        )
        ink = (250, 250, 246) if luminance(design.base) < 0.55 else (30, 30, 40)
        brush.stamp(canvas, mask, (columns / 2, rows / 2), ink)
    return _coded(canvas, _SKIN_MATERIAL[design.material])


def paint_skin(design: Design, texels: float) -> Skin:
    """Return the textures of a design, at `texels` pixels to the object unit."""
    if design.body in TURNED:
        wrap = _turned(design, texels)
        sides = (wrap[:1, :1], wrap[:1, :1])
        top = _disc(max(16, round(design.width * texels * 0.8)), design)
    else:
        wrap = _flat(design, design.width, design.height, texels)
        sides, top = (wrap[:1, :1], wrap[:1, :1]), wrap[:1, :1]
        if design.body in FOLDED:
            sides = (
                _side(design, design.depth, design.height, texels, 0),
                _side(design, design.depth, design.height, texels, 1),
            )
            top = _side(design, design.width, design.depth, texels, 2)
    return Skin(wrap, sides, top)
