"""Everything that photos of one seed and size share: other things, backdrops, hands."""

from __future__ import annotations

from functools import lru_cache

from arcwise.synthetic.backdrop import KINDS, Plate, plate
from arcwise.synthetic.hand import paint_hand
from arcwise.synthetic.layers import Layer
from arcwise.synthetic.stock import Stock


class World:
    """The surroundings, each part made when first asked for and kept.

    Every part depends on the seed, the size and its own number alone, so that no photo depends on
    which were made before it.
    """

    PLATES = len(KINDS)
    HANDS = 10

    def __init__(self, seed: int, size: int) -> None:
        self.stock = Stock(seed, size)
        self._seed = seed
        self._size = size
        self._plates: dict[int, Plate] = {}
        self._hands: dict[int, tuple[Layer, Layer]] = {}

    def plate(self, number: int) -> Plate:
        """One backdrop."""
        if number not in self._plates:
            self._plates[number] = plate(self._seed, number, self.stock, self._size)
        return self._plates[number]

    def hand(self, number: int) -> tuple[Layer, Layer]:
        """One hand: the part behind what it holds, and the part before it."""
        if number not in self._hands:
            self._hands[number] = paint_hand(self._seed, number, self._size)
        return self._hands[number]


@lru_cache(maxsize=4)
def world(seed: int, size: int) -> World:
    """The world of a seed at a size; renderers in one process share it."""
    return World(seed, size)
