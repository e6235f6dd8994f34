"""What the synthetic photos look like: one sheet of things, and strips of brand siblings.

    python studies/contact_sheet.py [--seed 0] [--size 112] [--out docs/images/synthetic.jpg]

Ten identities, one a row: its studio photo, then seven shop photos, taken as they come. Below, the
studio photos of the families of the second strip: the look-alikes a model has to tell apart.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from arcwise.synthetic import Renderer, family_of
from arcwise.synthetic.brush import lettering, stamp
from arcwise.synthetic.layers import Canvas

GAP, SHOTS, ROWS = 4, 7, 10


def one_of_each_body(renderer: Renderer, count: int) -> list[int]:
    """The first identities with bodies not seen yet."""
    found: dict[str, int] = {}
    identity = 0
    while len(found) < count:
        found.setdefault(renderer.design(identity).body, identity)
        identity += 1
    return sorted(found.values())


def family_strip(renderer: Renderer, members: int, skip: int) -> list[int]:
    """Identities of one family with `members`, after skipping some such families."""
    families: dict[int, list[int]] = {}
    for identity in range(400):
        families.setdefault(family_of(identity)[0], []).append(identity)
    return [family for family in families.values() if len(family) == members][skip]


def row(photos: list[Canvas]) -> Canvas:
    gap = np.full((photos[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for photo in photos for part in (photo, gap)][:-1], 1)


def title(width: int, *words: tuple[str, float]) -> Canvas:
    """A line of small captions, each at a column."""
    line = np.full((26, width, 3), 255, np.uint8)
    for text, column in words:
        mask = lettering(text, 400, 12, 3, stretch=1.0)
        stamp(line, mask, (column + mask.shape[1] / 2, 14), (70, 70, 76))
    return line


def sheet(seed: int, size: int) -> Canvas:
    renderer = Renderer(seed, size)
    step = size + GAP
    parts = []
    for identity in one_of_each_body(renderer, ROWS):
        photos = [renderer.photo(identity, 0, "studio"), *renderer.photos([identity], SHOTS)]
        parts.append(row([photo.image for photo in photos]))
    width = parts[0].shape[1]
    gap = np.full((GAP, width, 3), 255, np.uint8)
    body = [part for line in parts for part in (line, gap)]
    head = title(width, ("studio", 2), ("shop", step + 2))
    strips = []
    for skip in (0, 2, 5):
        family = family_strip(renderer, 5, skip) + family_strip(renderer, 3, skip)
        photos = [renderer.photo(identity, 0, "studio").image for identity in family]
        strips += [row(photos), gap]
    caption = title(width, ("five of one brand", 2), ("three of another", 5 * step + 2))
    return np.concatenate([head, *body, caption, *strips])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--out", type=Path, default=Path("docs/images/synthetic.jpg"))
    options = parser.parse_args()
    picture = cv2.cvtColor(sheet(options.seed, options.size), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(options.out.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    options.out.parent.mkdir(parents=True, exist_ok=True)
    beside = options.out.with_suffix(".part")
    beside.write_bytes(data)
    os.replace(beside, options.out)
    print(f"{options.out}: {picture.shape[1]} x {picture.shape[0]}, {len(data) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
