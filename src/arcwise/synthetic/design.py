"""What an identity looks like, before anything is painted: a pure function of two numbers.

Identities come in brand families of one to five. Siblings share the body, the lettering and the
layout; they differ in flavour, and how much that shows is the family's own choice (`family_style`).
Telling siblings apart is the hard part of the data set, as it is in a shop.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from arcwise.synthetic.catalogue import CATEGORIES, Colour, Flavour, brand_name

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

    Lengths are in object units: the larger of height and width is 1, or 1.1 for slim things.
    Colours are sRGB, 0..255.
    """

    family: str
    flavour: Flavour
    body: str
    width: float
    height: float
    depth: float
    profile: tuple[float, float, float, float]  # free numbers in [0, 1] a body reads as it likes
    material: str  # "paper" | "plastic" | "glass" | "metal" | "foil"
    layout: str
    ground: str
    pattern: str
    pattern_count: int
    base: Colour
    second: Colour
    accent: Colour
    ink: Colour
    cap: Colour
    contents: Colour
    weight: int
    slant: float
    stretch: float
    arch: float
    outline: bool
    badge: str
    icon_ink: bool
    detail_seed: int


def family_of(identity: int) -> tuple[int, int]:
    """The family's number and the identity's place within it."""
    block, offset = divmod(identity, _BLOCK)
    place = max(i for i, start in enumerate(_STARTS) if start <= offset)
    return block * len(_FAMILY_SIZES) + place, offset - _STARTS[place]


def luminance(colour: Colour) -> float:
    """Perceived brightness in [0, 1]."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` moved by `share` towards `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * x) for x in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return red, green, blue


def _palette(rng: np.random.Generator) -> tuple[str, Colour, Colour]:
    """The family's colour scheme: its mood, its base colour and its house colour."""
    # Packaging keeps away from muddy yellow-green: hues are drawn where shops use them.
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


def design(seed: int, identity: int) -> Design:
    """The design of one identity; the same two numbers give the same design, always."""
    family, place = family_of(identity)
    rng = np.random.default_rng((seed, 1, family))
    own = np.random.default_rng((seed, 2, identity))

    # Everything a family shares is drawn before anything that depends on the sibling.
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
    if aspect < 0.45:  # one steps closer to a slim thing
        height, width = 1.1, 1.1 * aspect
    depth = width * float(rng.uniform(0.3, 0.55)) if body == "box" else width
    if body == "flask":
        depth = width * float(rng.uniform(0.5, 0.7))

    mood, base, house = _palette(rng)
    # How a flavour shows: on the whole pack, as one colour on it, or in words and picture only.
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
