"""What one identity looks like, as a pure function of a seed and its number.

A design is drawn from a category (a can of cherry drink, a carton of oat milk), because free
combinations of bodies, flavours and materials look like clip-art.

Identities come in brand families of one to five. Siblings share the body, the lettering and the
layout, and differ in flavour. How much the flavour shows differs from family to family. As in a
shop, telling siblings apart is the hard part of the data set.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Flavour:
    """One variant of a product: its word, its colour (sRGB) and its icon."""

    word: str
    colour: RGB
    icon: str


@dataclass(frozen=True)
class Category:
    """One kind of product: its bodies, and the flavours that a family picks from."""

    bodies: tuple[str, ...]
    flavours: tuple[Flavour, ...]


def _flavours(*rows: tuple[str, RGB, str]) -> tuple[Flavour, ...]:
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
    """Return a pronounceable brand in capitals, from five non-negative numbers.

    >>> brand_name((13, 4, 11, 3, 11))
    'SUVOLO'
    """
    first, vowel, middle, second, coda = picks
    name = _ONSETS[first % len(_ONSETS)] + _VOWELS[vowel % len(_VOWELS)]
    if middle % 3:  # a third of the names stay short: VALO, not VAKELO
        name += "BDGKLMNPRSTV"[middle % 12] + _VOWELS[second % 5]
    return name + _CODAS[coda % len(_CODAS)]


# Twenty consecutive identities: families of five, one, three, four, two and five.
_FAMILY_SIZES = (5, 1, 3, 4, 2, 5)
_BLOCK = sum(_FAMILY_SIZES)
_STARTS = tuple(sum(_FAMILY_SIZES[:i]) for i in range(len(_FAMILY_SIZES)))

TURNED = frozenset({"can", "tin", "bottle", "flask", "jar", "cup", "spray", "canister"})
FOLDED = frozenset({"box", "carton"})
SOFT = frozenset({"bag", "pouch"})

LAYOUTS = ("badge", "billboard", "vertical", "minimal", "poster", "stack", "ribbon")
GROUNDS = ("plain", "fade", "split", "wave", "bands", "diagonal", "rays", "arch")
PATTERNS = (
    "none",
    "none",
    "stripes",
    "dots",
    "chevrons",
    "checks",
    "pinstripes",
    "icons",
    "scales",
)


@dataclass(frozen=True)
class Design:
    """Everything that stays the same in every photo of one identity.

    Lengths are in object units: the larger of height and width is 1, or 1.1 for slim products.
    Colours are sRGB, 0..255.
    """

    family: str
    flavour: Flavour
    body: str
    width: float
    height: float
    depth: float
    profile: tuple[float, float, float, float]  # in [0, 1]; each body uses them in its own way
    material: str  # "paper" | "plastic" | "glass" | "metal" | "foil"
    layout: str
    ground: str
    pattern: str
    pattern_count: int
    base: RGB
    second: RGB
    accent: RGB
    ink: RGB
    cap: RGB
    contents: RGB
    weight: int
    slant: float
    stretch: float
    arch: float
    outline: bool
    badge: str
    icon_ink: bool
    detail_seed: int


def family_of(identity: int) -> tuple[int, int]:
    """Return the family's number and the identity's place within it."""
    block, offset = divmod(identity, _BLOCK)
    place = max(i for i, start in enumerate(_STARTS) if start <= offset)
    return block * len(_FAMILY_SIZES) + place, offset - _STARTS[place]


def luminance(colour: RGB) -> float:
    """Return the perceived brightness in [0, 1]."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Return the colour `share` of the way from `a` to `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> RGB:
    red, green, blue = (round(255 * x) for x in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return red, green, blue


def _palette(rng: np.random.Generator) -> tuple[str, RGB, RGB]:
    """Return a family's mood, base colour and house colour."""
    # The hues that packaging uses; muddy yellow-green is not among them.
    hue = float(
        rng.choice([0.0, 0.02, 0.07, 0.11, 0.14, 0.3, 0.36, 0.5, 0.56, 0.6, 0.66, 0.78, 0.92])
    )
    hue += float(rng.normal(0, 0.015))
    mood = str(rng.choice(["bold", "bold", "light", "light", "dark", "kraft", "pastel"]))
    house = _hsv(hue, rng.uniform(0.75, 0.95), rng.uniform(0.55, 0.88))
    if 0.22 < hue < 0.45:  # printers' greens are deep or soft, never a screen's
        house = _hsv(hue + 0.04, rng.uniform(0.5, 0.78), rng.uniform(0.32, 0.58))
    if mood == "bold":
        base = house
    elif mood == "light":
        base = _hsv(hue, rng.uniform(0.0, 0.06), rng.uniform(0.93, 0.99))
    elif mood == "dark":
        base = _hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.26))
    elif mood == "kraft":
        base = _hsv(0.09, rng.uniform(0.3, 0.45), rng.uniform(0.68, 0.8))
    else:
        base = _hsv(hue, rng.uniform(0.2, 0.38), rng.uniform(0.85, 0.96))
    return mood, base, house


_ASPECTS = {  # width / height, least and most
    "can": (0.44, 0.62),
    "tin": (0.9, 1.5),
    "bottle": (0.28, 0.38),
    "flask": (0.38, 0.52),
    "jar": (0.62, 0.9),
    "cup": (0.78, 1.0),
    "spray": (0.25, 0.33),
    "canister": (0.32, 0.42),
    "box": (0.58, 0.82),
    "carton": (0.4, 0.52),
    "bag": (0.66, 0.84),
    "pouch": (0.62, 0.78),
}

_MATERIALS = {
    "can": ("metal", "metal", "plastic"),
    "tin": ("metal", "paper"),
    "bottle": ("glass", "clear", "plastic"),
    "flask": ("plastic",),
    "jar": ("glass", "glass", "plastic"),
    "cup": ("plastic", "paper"),
    "spray": ("metal", "plastic"),
    "canister": ("paper", "plastic"),
    "box": ("paper", "paper", "plastic"),
    "carton": ("paper", "plastic"),
    "bag": ("foil", "foil", "plastic"),
    "pouch": ("foil", "paper", "plastic"),
}


def design_of(seed: int, identity: int) -> Design:
    """Return the design of one identity, which the two numbers determine."""
    family, place = family_of(identity)
    rng = np.random.default_rng((seed, 1, family))
    own = np.random.default_rng((seed, 2, identity))

    # What a family shares is drawn before what depends on the sibling.
    brand = brand_name(tuple(int(x) for x in rng.integers(0, 10_000, 5)))  # type: ignore[arg-type]
    tint, tint_share, gold, cap_kind = (
        rng.random(),
        rng.uniform(0.25, 0.6),
        rng.random(),
        rng.integers(5),
    )
    ink_share = float(rng.uniform(0.2, 0.8))
    category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    body = str(rng.choice(category.bodies))
    order = rng.permutation(len(category.flavours))
    flavour = category.flavours[int(order[place])]
    aspect = float(rng.uniform(*_ASPECTS[body]))
    if body == "box" and rng.random() < 0.3:
        aspect = 1 / aspect  # lying boxes: tea, tissues, biscuits
    height, width = (1.0, aspect) if aspect <= 1 else (1 / aspect, 1.0)
    if aspect < 0.45:  # one steps closer to a slim product
        height, width = 1.1, 1.1 * aspect
    depth = width * float(rng.uniform(0.3, 0.55)) if body == "box" else width
    if body == "flask":
        depth = width * float(rng.uniform(0.5, 0.7))

    mood, base, house = _palette(rng)
    # How a flavour shows: on the whole pack, as one colour on it, or in word and icon only.
    style = str(rng.choice(["pack", "accent", "accent", "words"]))
    accent = flavour.colour
    if style == "pack" and place > 0:
        base = flavour.colour if mood in ("bold", "dark") else mix(base, flavour.colour, 0.3)
    elif style == "words":
        accent = house if mood != "bold" else mix(house, (255, 255, 255), 0.8)
    if sum(abs(x - y) for x, y in zip(base, accent, strict=True)) < 110:
        accent = mix(accent, (255, 255, 255) if luminance(base) < 0.55 else (20, 20, 40), 0.72)
    second = mix(base, (255, 255, 255) if tint < 0.5 else house, float(tint_share))
    dark = luminance(base) < 0.56
    ink = (252, 250, 244) if dark else mix(house, (10, 10, 30), ink_share)
    if dark and mood == "dark" and gold < 0.6:
        ink = (226, 190, 112)  # gold on dark: the premium shelf
    cap = (house, accent, (245, 245, 245), (28, 28, 30), base)[int(cap_kind)]

    return Design(
        family=brand,
        flavour=flavour,
        body=body,
        width=width,
        height=height,
        depth=depth,
        profile=tuple(float(x) for x in rng.random(4)),  # type: ignore[arg-type]
        material=str(rng.choice(_MATERIALS[body])),
        layout=str(rng.choice(LAYOUTS)),
        ground=str(rng.choice(GROUNDS)),
        pattern=str(rng.choice(PATTERNS)),
        pattern_count=int(rng.integers(4, 11)),
        base=base,
        second=second,
        accent=accent,
        ink=ink,
        cap=cap,
        contents=mix(flavour.colour, (60, 30, 10), 0.15),
        weight=int(rng.integers(3, 10)),
        slant=float(rng.choice([0.0, 0.0, 0.0, 0.2, 0.28])),
        stretch=float(rng.uniform(0.8, 1.5)),
        arch=float(rng.choice([0.0, 0.0, 0.0, 0.25, -0.2])),
        outline=bool(rng.random() < 0.3),
        badge=str(rng.choice(["oval", "round", "shield", "plate", "burst"])),
        icon_ink=bool(rng.random() < 0.25),
        detail_seed=int(own.integers(2**31)),
    )
