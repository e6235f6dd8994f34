"""What a shop sells: which bodies, flavours and materials go together.

A design drawn from free combinations looks like clip-art; one drawn from a category (a can of
cherry drink, a carton of oat milk) looks like something one has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Flavour:
    """One variant of a product: its word, its colour (sRGB) and the picture that stands for it."""

    word: str
    colour: Colour
    icon: str


@dataclass(frozen=True)
class Category:
    """Things sold in one aisle: the bodies they come in, and the flavours a family picks from."""

    bodies: tuple[str, ...]
    flavours: tuple[Flavour, ...]


def _flavours(*rows: tuple[str, Colour, str]) -> tuple[Flavour, ...]:
    return tuple(Flavour(*row) for row in rows)


CATEGORIES: tuple[Category, ...] = (
    Category(  # drinks
        ("can", "can", "bottle", "bottle", "carton", "can"),
        _flavours(
            ("ORANGE", (238, 128, 22), "citrus"),
            ("LEMON", (244, 208, 40), "citrus"),
            ("LIME", (120, 178, 48), "citrus"),
            ("CHERRY", (178, 22, 48), "cherry"),
            ("BERRY", (104, 44, 132), "berry"),
            ("COLA", (96, 36, 28), "drop"),
            ("ZERO", (32, 34, 40), "bolt"),
            ("MANGO", (246, 164, 40), "sun"),
            ("PEACH", (244, 150, 110), "blossom"),
            ("MINT", (46, 158, 124), "leaf"),
        ),
    ),
    Category(  # snacks
        ("bag", "bag", "box", "canister", "pouch"),
        _flavours(
            ("SALTED", (40, 96, 170), "chip"),
            ("PAPRIKA", (206, 50, 30), "chip"),
            ("ONION", (90, 150, 60), "leaf"),
            ("CHEESE", (242, 178, 36), "chip"),
            ("CHILLI", (160, 20, 24), "bolt"),
            ("HERBS", (70, 122, 62), "leaf"),
            ("HONEY", (222, 150, 40), "sun"),
            ("PEPPER", (52, 52, 56), "star"),
            ("SMOKY", (112, 66, 48), "mountain"),
        ),
    ),
    Category(  # dairy
        ("carton", "cup", "cup", "bottle", "carton"),
        _flavours(
            ("WHOLE", (36, 92, 176), "drop"),
            ("LIGHT", (92, 172, 222), "drop"),
            ("VANILLA", (236, 206, 120), "blossom"),
            ("COCOA", (110, 66, 44), "bean"),
            ("STRAWB", (220, 66, 92), "berry"),
            ("OAT", (198, 164, 110), "wheat"),
            ("COCONUT", (70, 150, 160), "sun"),
            ("CHERRY", (160, 28, 60), "cherry"),
            ("PLAIN", (120, 150, 120), "leaf"),
        ),
    ),
    Category(  # cleaning
        ("flask", "spray", "box", "pouch", "flask"),
        _flavours(
            ("OCEAN", (20, 110, 180), "drop"),
            ("LEMON", (240, 204, 36), "citrus"),
            ("PINE", (30, 108, 74), "leaf"),
            ("LAVENDER", (126, 98, 176), "blossom"),
            ("FRESH", (60, 170, 190), "star"),
            ("POWER", (214, 40, 44), "bolt"),
            ("COLOUR", (206, 60, 140), "sun"),
            ("PURE", (130, 180, 140), "leaf"),
        ),
    ),
    Category(  # care
        ("flask", "flask", "jar", "spray", "bottle", "box"),
        _flavours(
            ("ALOE", (96, 164, 104), "leaf"),
            ("ROSE", (214, 120, 140), "blossom"),
            ("COCO", (168, 128, 96), "bean"),
            ("MINT", (80, 178, 164), "leaf"),
            ("CITRUS", (240, 160, 50), "citrus"),
            ("MARINE", (40, 100, 150), "drop"),
            ("ARGAN", (170, 110, 50), "drop"),
            ("SPORT", (44, 60, 90), "bolt"),
        ),
    ),
    Category(  # pantry
        ("jar", "jar", "tin", "box", "pouch", "bottle"),
        _flavours(
            ("HONEY", (226, 156, 40), "sun"),
            ("TOMATO", (200, 40, 32), "tomato"),
            ("BASIL", (60, 130, 60), "leaf"),
            ("OLIVES", (110, 120, 44), "bean"),
            ("TUNA", (30, 90, 150), "fish"),
            ("COFFEE", (84, 52, 36), "bean"),
            ("OATS", (200, 160, 96), "wheat"),
            ("CHERRY", (150, 24, 50), "cherry"),
            ("PEPPER", (50, 50, 54), "star"),
            ("ALPINE", (74, 116, 150), "mountain"),
        ),
    ),
)

_ONSETS = [*"BCDFGHJKLMNPRSTVWZ", "BR", "CL", "DR", "FL", "GL", "KR", "PR", "SH", "ST", "TR"]
_VOWELS = [*"AEIOUAOE", "IA", "EO"]
_CODAS = [*"LNRSXMT", "ND", "LL", "NA", "RA", "LO", "VA", "TTA", "KO", "MI"]


def brand_name(picks: tuple[int, int, int, int, int]) -> str:
    """A pronounceable brand in capitals, from five non-negative numbers.

    >>> brand_name((13, 4, 11, 3, 11))
    'SUVOLO'
    """
    first, vowel, middle, second, coda = picks
    name = _ONSETS[first % len(_ONSETS)] + _VOWELS[vowel % len(_VOWELS)]
    if middle % 3:  # a third of the names stay short: VALO beside VAKELO
        name += "BDGKLMNPRSTV"[middle % 12] + _VOWELS[second % 5]
    return name + _CODAS[coda % len(_CODAS)]
