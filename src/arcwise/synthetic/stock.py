"""Other things on the shelf: designs that are never an identity, kept as ready cut-outs."""

from __future__ import annotations

import cv2
import numpy as np

from arcwise.synthetic import brush
from arcwise.synthetic.bodies import draw
from arcwise.synthetic.design import design
from arcwise.synthetic.layers import Layer, patch_layer
from arcwise.synthetic.light import ball, room
from arcwise.synthetic.paint import paint
from arcwise.synthetic.pixels import Canvas
from arcwise.synthetic.pose import Pose

_OTHER_WORLD = 1_000_003  # added to the seed: the same renderer, other identities


class Stock:
    """Cut-outs of things and price tags, made when first asked for.

    Entry i depends on the seed and i alone, so no photo depends on which were made before it.
    """

    DESIGNS = 60
    VIEWS = 2
    TAGS = 12
    UNIT = 0.62  # of the photo's side: how large the larger dimension of a thing is in its cut-out

    def __init__(self, seed: int, size: int) -> None:
        self._seed = seed
        self._size = size
        self._things: dict[int, list[Layer]] = {}
        self._tags: dict[int, Layer] = {}

    def thing(self, number: int, view: int) -> Layer:
        """One thing as a layer; its lower edge is where it stands."""
        number %= self.DESIGNS
        if number not in self._things:
            self._things[number] = self._draw(number)
        return self._things[number][view % self.VIEWS]

    def _draw(self, number: int) -> list[Layer]:
        rng = np.random.default_rng((self._seed, 3, number))
        this = design(self._seed + _OTHER_WORLD, number)
        unit = self.UNIT * self._size
        skin = paint(this, 2 * unit)
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
            lit = ball(room(rng, float(rng.uniform(-0.7, 0.7)), studio=False))
            drawn = draw(this, skin, pose, lit, (side, side), int(rng.integers(9000)))
            assert drawn is not None, "the canvas is larger than any thing"
            half = (drawn.light.shape[1] // 2, drawn.light.shape[0] // 2)
            light = cv2.resize(drawn.light, half, interpolation=cv2.INTER_AREA)
            rows = np.flatnonzero(light[..., 3].max(1) > 0.2)
            columns = np.flatnonzero(light[..., 3].max(0) > 0.2)
            cut = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            views.append(Layer(np.ascontiguousarray(cut), 0, 0))
        return views

    def tag(self, number: int) -> Layer:
        """One price tag as a layer."""
        number %= self.TAGS
        if number not in self._tags:
            self._tags[number] = patch_layer(_price_tag(self._seed, number, self._size))
        return self._tags[number]


def _price_tag(seed: int, number: int, size: int) -> Canvas:
    """A painted tag (h, w, 4): paper, price, rule and bar code; every third is a round sticker."""
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
