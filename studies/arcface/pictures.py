"""Pictures as arrays: rendered products, and the people most photographed."""

from __future__ import annotations

import csv
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from arcwise.synthetic import Renderer, family_of


@dataclass(frozen=True)
class Set:
    """Pictures to learn from and others to measure on.

    Attributes:
        pixels: (N, S, S, 3) uint8 RGB.
        labels: (N,) int64.
        other_pixels: (M, S, S, 3), of the same identities or of identities held out.
        other_labels: (M,) int64.
    """

    pixels: np.ndarray
    labels: np.ndarray
    other_pixels: np.ndarray
    other_labels: np.ndarray


def kept(path: Path, make: Callable[[], Set]) -> Set:
    """The set that was made before, or a new one, which is kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part.npz")
        np.savez(beside, **vars(make()))
        os.replace(beside, path)
    with np.load(path) as arrays:
        return Set(**arrays)


def products(identities: list[int], held_out: list[int], shots: int, others: int, size: int) -> Set:
    """Rendered photos in a shop: `shots` of every identity, `others` of every one held out.

    An identity that is in both lists is measured on photos it was not trained on.
    """
    renderer = Renderer(0, size)

    def photos(chosen: list[int], start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        made = [renderer.photo(i, start + n, "shop").image for i in chosen for n in range(count)]
        return np.stack(made), np.repeat(np.arange(len(chosen)), count)

    return Set(*photos(identities, 0, shots), *photos(held_out, shots, others))


def unrelated(count: int) -> list[int]:
    """That many products of which no two are of one brand."""
    first: dict[int, int] = {}
    identity = 0
    while len(first) < count:
        first.setdefault(family_of(identity)[0], identity)
        identity += 1
    return list(first.values())


def people(count: int, size: int) -> Set:
    """The most photographed people of lfw112: four of five pictures to learn from."""
    data = os.environ.get("ARCWISE_DATA")
    if not data or not (folder := Path(data) / "lfw112").is_dir():
        sys.exit("set ARCWISE_DATA to the folder that holds lfw112")
    with (folder / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    most = [person for person, _ in Counter(row["person"] for row in rows).most_common(count)]
    archives = {name: zipfile.ZipFile(folder / name) for name in {row["zip"] for row in rows}}

    def picture(row: dict[str, str]) -> np.ndarray:
        data = np.frombuffer(archives[row["zip"]].read(row["path"]), np.uint8)
        large = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)

    parts: tuple[list[np.ndarray], ...] = ([], [])
    labels: tuple[list[int], ...] = ([], [])
    for label, person in enumerate(most):
        for number, row in enumerate(row for row in rows if row["person"] == person):
            part = number % 5 == 4
            parts[part].append(picture(row))
            labels[part].append(label)
    learn, measure = (np.stack(part) for part in parts)
    return Set(learn, np.array(labels[0]), measure, np.array(labels[1]))
