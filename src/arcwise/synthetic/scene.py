"""A scene: a product before a background, its shadows, and what stands in front of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from arcwise.synthetic.layers import Layer, Plane, composite, coverage_on, resized
from arcwise.synthetic.nuisance import Nuisance
from arcwise.synthetic.plates import PLATE_KINDS, Plate, crop, paint_plate
from arcwise.synthetic.props import Stock, held, paint_hand


class World:
    """The props and plates of one seed and size, each made when first used and then kept.

    Each depends on the seed, the size and its number alone, so a photo does not depend on those
    before it.
    """

    PLATES = len(PLATE_KINDS)
    HANDS = 10

    def __init__(self, seed: int, size: int) -> None:
        self.stock = Stock(seed, size)
        self._seed = seed
        self._size = size
        self._plates: dict[int, Plate] = {}
        self._hands: dict[int, tuple[Layer, Layer]] = {}

    def plate(self, number: int) -> Plate:
        """Return one plate."""
        if number not in self._plates:
            self._plates[number] = paint_plate(self._seed, number, self.stock, self._size)
        return self._plates[number]

    def hand(self, number: int) -> tuple[Layer, Layer]:
        """Return one hand: the part behind the product, and the part in front of it."""
        if number not in self._hands:
            self._hands[number] = paint_hand(self._seed, number, self._size)
        return self._hands[number]


@lru_cache(maxsize=4)
def shared_world(seed: int, size: int) -> World:
    """Return the world of a seed at a size, which the renderers of one process share."""
    return World(seed, size)


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of a product in a shop photo, as drawn.

    Attributes:
        plate: number of the plate.
        along: place on the plate, from left to right, in [0, 1].
        depth: place between the back and the front of the floor, in [0, 1].
        zoom: size of the surroundings relative to the product's.
        haze: blur of the surroundings, in pixels of a 96-pixel photo.
        dim: brightness of the surroundings relative to the product's.
        front: objects in front of the product, each (kind, number, side, amount).
        held: number of the hand and its side, or None.
    """

    plate: int
    along: float
    depth: float
    zoom: float
    haze: float
    dim: float
    front: tuple[tuple[str, int, int, float], ...]
    held: tuple[int, int] | None


def draw_surroundings(rng: np.random.Generator, clutter: float) -> Surroundings:
    """Draw the surroundings of a shop photo with this much clutter."""
    number = int(
        np.clip(
            (0.12 + 0.88 * clutter) * World.PLATES + rng.normal(0, 2.5),
            0,
            World.PLATES - 1,
        )
    )
    kind = PLATE_KINDS[number]
    front: list[tuple[str, int, int, float]] = []
    grip = None
    if kind in ("aisle", "shelf") and (rng.random() < (0.75 if kind == "aisle" else 0.2)):
        grip = (int(rng.integers(World.HANDS)), int(rng.integers(2)) * 2 - 1)
    elif clutter > 0.3:
        for side in (-1, 1):
            if rng.random() < 0.3:
                front.append(
                    (
                        "product",
                        int(rng.integers(Stock.DESIGNS)),
                        side,
                        float(rng.uniform(0.05, 0.42)),
                    )
                )
    if rng.random() < 0.1 + 0.25 * clutter:
        front.append(
            (
                "tag",
                int(rng.integers(Stock.TAGS)),
                int(rng.integers(2)) * 2 - 1,
                float(rng.random()),
            )
        )
    return Surroundings(
        plate=number,
        along=float(rng.random()),
        depth=float(rng.random()),
        zoom=float(rng.uniform(0.8, 1.15)),
        haze=float(rng.uniform(0.7, 2.4) if grip else rng.uniform(0.15, 1.1)),
        dim=float(rng.uniform(0.65, 1.1)),
        front=tuple(front),
        held=grip,
    )


def shadow(
    mask: Plane, foot: tuple[float, float], nuisance: Nuisance, strength: float, wall: bool
) -> Plane:
    """Return the share of light that reaches the ground (size, size): contact and cast shadow.

    Args:
        mask: the product's coverage (size, size).
        foot: pixel (x, y) of its foot.
        nuisance: of the photo.
        strength: depth of the shadows, in [0, 1].
        wall: whether there is a wall close behind.
    """
    size = mask.shape[0]
    half = size // 3
    small = cv2.resize(mask, (half, half), interpolation=cv2.INTER_AREA)
    scale = half / size
    fx, fy = foot[0] * scale, foot[1] * scale
    # On the floor the shadow leans away from the light and is foreshortened like the floor.
    away = -math.sin(nuisance.light)
    lean, squash = -0.55 * away, 0.1 + 0.5 * max(math.sin(nuisance.pitch), 0.08)
    cast = np.array([[1, lean, -lean * fy], [0, squash, fy - squash * fy - 0.2]], np.float32)
    dark = cv2.warpAffine(small, cast, (half, half)) * np.float32(0.6)
    touch = np.array(
        [[1.05, 0, fx - 1.05 * fx], [0, 0.09, fy - 0.09 * fy + 0.012 * half]], np.float32
    )
    dark = np.maximum(cv2.GaussianBlur(dark, (0, 0), max(0.6, 0.03 * half)), 0)
    dark += cv2.GaussianBlur(
        cv2.warpAffine(small, touch, (half, half)), (0, 0), max(0.5, 0.014 * half)
    ) * np.float32(0.75)
    if wall:
        shift = np.array([[1.0, 0, away * 0.1 * half], [0, 1.0, 0.02 * half]], np.float32)
        behind = cv2.warpAffine(small, shift, (half, half))
        dark += cv2.GaussianBlur(behind, (0, 0), 0.06 * half) * np.float32(0.45)
    through = 1 - np.minimum(dark, 1) * np.float32(strength)
    return cv2.resize(through, (size, size), interpolation=cv2.INTER_LINEAR)


def _times(light: Plane, factor: Plane) -> Plane:
    return cv2.multiply(light, cv2.merge([factor, factor, factor]))


def studio(
    size: int, foot: tuple[float, float], product: Layer, mask: Plane, nuisance: Nuisance
) -> Plane:
    """Return white paper (size, size, 3) with a soft shadow and reflection of the product."""
    rows = np.arange(size, dtype=np.float32)
    horizon = np.clip(
        (rows - foot[1]) / size * 3 + 0.5, 0, 1
    )  # the paper darkens a little forwards
    ground = 0.97 - 0.09 * horizon * horizon
    light = np.repeat(np.repeat(ground[:, None, None], size, 1), 3, 2).astype(np.float32)
    light = _times(light, shadow(mask, foot, nuisance, 0.62, wall=False))
    height = product.light.shape[0]
    fade = np.linspace(0.16, -0.4, height, dtype=np.float32)  # glossy card mirrors the foot only
    mirror = cv2.flip(product.light, 0) * np.maximum(fade, 0)[:, None, None]
    composite(light, Layer(mirror, product.top + height - round(0.035 * size), product.left))
    return light


def shop(
    size: int,
    surroundings: Surroundings,
    plate: Plate,
    foot: tuple[float, float],
    mask: Plane,
    nuisance: Nuisance,
) -> Plane:
    """Return the light (size, size, 3) of a shop, with the shadow of the product on it."""
    zoom = surroundings.zoom * nuisance.scale / Stock.UNIT
    height, width = plate.image.shape[:2]
    column = (0.25 + 0.5 * surroundings.along) * width
    grain = size / 96
    if plate.floors and surroundings.held is None:
        low, high = plate.floors[int(surroundings.along * 97) % len(plate.floors)]
        row = low + (high - low) * surroundings.depth
    else:
        row = height * (0.62 + 0.2 * surroundings.depth)
    background = crop(plate, size, foot, (column, row), max(zoom, 0.75), nuisance.roll)
    haze = surroundings.haze * grain
    background = cv2.GaussianBlur(background, (0, 0), haze)
    light = cv2.multiply(background, background, scale=surroundings.dim / 255**2)
    if surroundings.held is None and plate.floors:
        return _times(light, shadow(mask, foot, nuisance, 0.85, wall=plate.kind == "shelf"))
    return light


def fronts(
    size: int,
    surroundings: Surroundings,
    world: World,
    product: Layer,
    nuisance: Nuisance,
) -> tuple[list[Layer], list[Layer]]:
    """Return the layers behind the product and those in front of it."""
    behind, before = [], []
    height, width = product.light.shape[:2]
    left, right, bottom = product.left, product.left + width, product.top + height
    middle = (left + right) / 2
    for kind, number, side, amount in surroundings.front:
        if kind == "product":
            other = world.stock.product(number, number)
            factor = nuisance.scale / Stock.UNIT * (0.85 + 0.5 * amount)
            half = other.light.shape[1] * factor / 2
            edge = (right if side > 0 else left) - side * amount * 0.55 * width
            before.append(
                resized(other, factor, (edge + side * half, bottom + (0.02 + 0.1 * amount) * size))
            )
        else:
            tag = world.stock.tag(number)
            factor = nuisance.scale / Stock.UNIT * 0.8
            sticker = number % 3 == 2
            x = middle + side * amount * 0.3 * width
            y = product.top + height * (0.35 + 0.5 * amount) if sticker else bottom + 0.03 * size
            before.append(resized(tag, factor, (x, y)))
    if surroundings.held is not None:
        number, side = surroundings.held
        back, front = world.hand(number)
        edge = (
            (right if side > 0 else left) - side * 0.03 * width,
            product.top + height * (0.48 + 0.3 * surroundings.depth),
        )
        scale = nuisance.scale * (0.8 + 0.3 * surroundings.along)
        behind.append(held(back, edge, scale, side < 0, size))
        before.append(held(front, edge, scale, side < 0, size))
    return behind, before


def hidden(product: Layer, before: list[Layer], size: int) -> float:
    """Return the fraction of the product's silhouette that the photo does not show."""
    whole = float(product.light[..., 3].sum())
    if whole <= 0:
        return 1.0
    shown = coverage_on(product, size)
    for layer in before:
        shown *= 1 - coverage_on(layer, size)
    share = 1 - float(shown.sum()) / whole
    return share if share > 1e-4 else 0.0  # rounding is no occlusion


def compose(
    ground: Plane, product: Layer, behind: list[Layer], before: list[Layer], gain: float
) -> None:
    """Composite all layers over the ground, back to front, in place."""
    for layer in behind:
        composite(ground, layer, gain)
    composite(ground, product)
    for layer in before:
        composite(ground, layer, gain)
