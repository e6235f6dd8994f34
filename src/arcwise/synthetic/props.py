"""What a photo may show besides its product: other products, price tags and hands."""

from __future__ import annotations

import cv2
import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.bodies import draw
from arcwise.synthetic.camera import Pose
from arcwise.synthetic.design import design_of
from arcwise.synthetic.layers import Canvas, Layer, Plane, patch_layer
from arcwise.synthetic.light import render_matcap, room
from arcwise.synthetic.paint import paint_skin

_OTHER_WORLD = 1_000_003  # added to the seed: the same renderer, other identities


class Stock:
    """Cut-outs of products and price tags, made when first used.

    Entry i depends on the seed and i alone, so a photo does not depend on those before it.
    """

    DESIGNS = 60
    VIEWS = 2
    TAGS = 12
    UNIT = 0.62  # the larger dimension of a product in its cut-out, over the photo's side

    def __init__(self, seed: int, size: int) -> None:
        self._seed = seed
        self._size = size
        self._products: dict[int, list[Layer]] = {}
        self._tags: dict[int, Layer] = {}

    def product(self, number: int, view: int) -> Layer:
        """Return one product as a layer; its lower edge is where it stands."""
        number %= self.DESIGNS
        if number not in self._products:
            self._products[number] = self._draw(number)
        return self._products[number][view % self.VIEWS]

    def _draw(self, number: int) -> list[Layer]:
        rng = np.random.default_rng((self._seed, 3, number))
        design = design_of(self._seed + _OTHER_WORLD, number)
        unit = self.UNIT * self._size
        skin = paint_skin(design, 2 * unit)
        side = round(3.2 * unit)
        views = []
        for _ in range(self.VIEWS):
            pose = Pose(
                float(rng.normal(0, 0.22)),
                float(rng.uniform(0.04, 0.12)),
                0.0,
                2 * unit,
                side / 2 * 1.0,
                side / 2,
                0.1,
            )
            lit = render_matcap(room(rng, float(rng.uniform(-0.7, 0.7)), studio=False))
            drawn = draw(design, skin, pose, lit, (side, side), int(rng.integers(9000)))
            assert drawn is not None, "the canvas is larger than any product"
            half = (drawn.light.shape[1] // 2, drawn.light.shape[0] // 2)
            light = cv2.resize(drawn.light, half, interpolation=cv2.INTER_AREA)
            rows = np.flatnonzero(light[..., 3].max(1) > 0.2)
            columns = np.flatnonzero(light[..., 3].max(0) > 0.2)
            cut = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            views.append(Layer(np.ascontiguousarray(cut), 0, 0))
        return views

    def tag(self, number: int) -> Layer:
        """Return one price tag as a layer."""
        number %= self.TAGS
        if number not in self._tags:
            self._tags[number] = patch_layer(_price_tag(self._seed, number, self._size))
        return self._tags[number]


def _price_tag(seed: int, number: int, size: int) -> Canvas:
    """Return a painted tag (h, w, 4) with price and bar code; every third is a round sticker."""
    rng = np.random.default_rng((seed, 4, number))
    big = size * 2
    price = f"{rng.integers(0, 20)}.{rng.integers(0, 10)}9"
    if number % 3 == 2:
        side = round(big * 0.24)
        patch = np.zeros((side, side, 4), np.uint8)
        tone = ((214, 30, 34), (250, 208, 20), (236, 96, 24))[int(rng.integers(3))]
        brush.ellipse(patch, (side / 2, side / 2), (side / 2 - 1, side / 2 - 1), (*tone, 255))
        ink = (255, 255, 255) if tone[1] < 150 else (30, 20, 20)
        words = f"-{rng.choice([10, 20, 25, 30, 50])}%" if rng.random() < 0.6 else "NEW"
        brush.stamp(
            patch, brush.lettering(words, side * 0.8, side * 0.36, 7), (side / 2, side / 2), ink
        )
    else:
        height, width = round(big * 0.17), round(big * rng.uniform(0.26, 0.36))
        patch = np.zeros((height, width, 4), np.uint8)
        paper = ((248, 247, 242), (250, 222, 60), (248, 247, 242), (226, 52, 44))[
            int(rng.integers(4))
        ]
        patch[...] = (*paper, 255)
        ink = (250, 250, 250) if paper[1] < 100 else (26, 24, 28)
        mask = brush.lettering(price, width * 0.55, height * 0.55, 6)
        brush.stamp(patch, mask, (width * 0.66, height * 0.58), ink)
        for i in range(3):
            at = height * (0.16 + 0.13 * i)
            brush.line(
                patch, [(width * 0.06, at), (width * rng.uniform(0.2, 0.36), at)], (*ink, 255), 1
            )
        for i in range(9):
            if rng.random() < 0.6:
                x = width * (0.06 + 0.028 * i)
                brush.rectangle(
                    patch, x, height * 0.6, x + width * 0.014, height * 0.9, (*ink, 255)
                )
    small = (max(3, patch.shape[1] // 2), max(3, patch.shape[0] // 2))
    return cv2.resize(patch, small, interpolation=cv2.INTER_AREA)


_SIDE = 224
_FAR = 640
# Light that skin of different people sends back, linear.
_SKINS = (
    (0.62, 0.37, 0.26),
    (0.5, 0.27, 0.17),
    (0.3, 0.14, 0.08),
    (0.7, 0.46, 0.36),
    (0.14, 0.065, 0.04),
)


def _capsule(mask: Canvas, ends: list[tuple[float, float]], width: float) -> None:
    fixed = [np.round(np.array(ends) * 8).astype(np.int32)]
    cv2.polylines(mask, fixed, False, 255, max(1, round(width)), cv2.LINE_AA, 3)


def _shape_window(mask: Canvas, margin: int) -> tuple[slice, slice]:
    """Return the part of a sheet that holds a shape, with a margin; the rest is empty."""
    x, y, width, height = cv2.boundingRect(mask)
    return (
        slice(max(0, y - margin), y + height + margin),
        slice(max(0, x - margin), x + width + margin),
    )


def _rounded(mask: Canvas, thick: float) -> Plane:
    """Return the fall of light on a shape inflated to `thick` pixels."""
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    up = np.minimum(inside / thick, 1)
    rise = cv2.GaussianBlur(np.sqrt(1 - (1 - up) ** 2) * thick, (0, 0), 2.0)
    slope_x = cv2.Sobel(rise, cv2.CV_32F, 1, 0) / 8
    slope_y = cv2.Sobel(rise, cv2.CV_32F, 0, 1) / 8
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    fall = (0.75 + 0.35 * slope_x + 0.75 * slope_y) / length  # light from above and from the left
    return np.clip(0.3 + 0.75 * fall, 0.1, 1.2)


def _composite_shape(under: Plane, mask: Canvas, colour: Plane, thick: float) -> None:
    """Composite a shape of skin or cloth, inflated and lit, in place."""
    place = _shape_window(mask, 6)
    part = under[place]
    fall, coverage = _rounded(mask[place], thick), mask[place].astype(np.float32) / 255
    part *= (1 - coverage)[..., None]
    part[..., :3] += colour * (fall * coverage)[..., None]
    part[..., 3] += coverage


def _shadow(under: Plane, mask: Canvas) -> None:
    """Darken the area under a shape, so that one finger shades the next."""
    place = _shape_window(mask, 18)
    moved = np.roll(mask[place], (5, 3), (0, 1))
    soft = cv2.GaussianBlur(moved, (0, 0), 5).astype(np.float32) / 255
    under[place][..., :3] *= (1 - 0.55 * soft)[..., None]


def _nail(
    under: Plane, skin: Plane, tip: tuple[float, float], half: tuple[int, int], angle: float
) -> None:
    nail = np.zeros((_SIDE, _SIDE), np.uint8)
    cv2.ellipse(nail, (round(tip[0]), round(tip[1])), half, angle, 0, 360, 200, -1, cv2.LINE_AA)
    _composite_shape(under, nail, np.minimum(skin * np.float32(1.15) + np.float32(0.05), 1), 12)


def _fingers(front: Plane, skin: Plane, rng: np.random.Generator) -> None:
    """Draw four fingers over the product's right edge."""
    c, reach, spread = _SIDE / 2, rng.uniform(34, 62), rng.uniform(23, 27)
    rise = float(rng.uniform(-6, 10))
    for finger in (3, 2, 1, 0):
        mask = np.zeros((_SIDE, _SIDE), np.uint8)
        y = c - 42 + finger * spread
        length = reach * (0.86, 1.0, 0.96, 0.74)[finger] * float(rng.uniform(0.94, 1.06))
        width = (22, 24, 23, 19)[finger]
        tip = (c - length, y + rise + float(rng.normal(0, 3)))
        _capsule(mask, [(c + 26, y - 5), (c + 2, y - 3), (c - length * 0.5, y), tip], width)
        _shadow(front, mask)
        _composite_shape(front, mask, skin, width / 2)
        _nail(front, skin, (tip[0] - 2, tip[1] - 1), (6, 5), 8)


def _thumb(front: Plane, skin: Plane, rng: np.random.Generator) -> None:
    """Draw a thumb; the fingers are behind the product."""
    c, mask = _SIDE / 2, np.zeros((_SIDE, _SIDE), np.uint8)
    tip = (c - rng.uniform(26, 48), c - rng.uniform(10, 40))
    _capsule(mask, [(c + 30, c + 34), (c + 4, c + 20), ((c + tip[0]) / 2, tip[1] + 16), tip], 27)
    cv2.ellipse(mask, (round(c + 26), round(c + 36)), (26, 30), -35, 0, 360, 255, -1, cv2.LINE_AA)
    _shadow(front, mask)
    _composite_shape(front, mask, skin, 14)
    _nail(front, skin, (tip[0] - 2, tip[1] - 2), (9, 7), 40)


def paint_hand(seed: int, number: int, size: int) -> tuple[Layer, Layer]:
    """Return hand `number` for photos of `size`: the part behind the product and the part in front.

    Both are square with the held product's right edge at the middle column and its middle at the
    middle row; a left hand is the mirror image. The part behind is larger: an arm must reach the
    photo's edge.
    """
    rng = np.random.default_rng((seed, 6, number))
    skin = np.array(_SKINS[number % len(_SKINS)], np.float32) * np.float32(rng.uniform(0.85, 1.1))
    behind, front = np.zeros((_FAR, _FAR, 4), np.float32), np.zeros((_SIDE, _SIDE, 4), np.float32)
    c = _FAR / 2
    sleeve, arm, palm = (np.zeros((_FAR, _FAR), np.uint8) for _ in range(3))
    outline = [(c + 44, c + 96), (c + 96, c + 58), (_FAR, c + 164), (_FAR, _FAR), (c + 160, _FAR)]
    cv2.fillPoly(sleeve, [np.array(outline, np.int32)], 255, cv2.LINE_AA)
    _capsule(arm, [(c + 26, c + 34), (c + 78, c + 88)], 52)
    cv2.ellipse(palm, (round(c + 14), round(c + 8)), (34, 52), -18, 0, 360, 255, -1, cv2.LINE_AA)
    cloth = (0.02 + 0.5 * rng.random(3) ** 2).astype(np.float32)
    for mask, colour, thick in (
        (arm, skin * 0.82, 24),
        (palm, skin * 0.9, 26),
        (sleeve, cloth, 30),
    ):
        _composite_shape(behind, mask, colour, thick)

    if number % 3 == 2:
        _thumb(front, skin, rng)
    else:
        _fingers(front, skin, rng)
    return Layer(_at_size(behind, size), 0, 0), Layer(_at_size(front, size), 0, 0)


def _at_size(light: Plane, size: int) -> Plane:
    """Return the sheet shrunk for photos of `size`, of which a hand takes a little under half."""
    side = max(8, round(light.shape[0] * size / 230))
    return cv2.resize(light, (side, side), interpolation=cv2.INTER_AREA)


def held(part: Layer, edge: tuple[float, float], scale: float, mirrored: bool, size: int) -> Layer:
    """Return a part of a hand on a photo of `size`, `scale` times as large, at pixel `edge`."""
    middle, across = part.light.shape[0] / 2, -scale if mirrored else scale
    place = np.array([[across, 0, edge[0] - across * middle], [0, scale, edge[1] - scale * middle]])
    return Layer(cv2.warpAffine(part.light, place, (size, size)), 0, 0)
