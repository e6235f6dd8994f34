"""A small IJB: rendered products for people, in the folders and files that IJB-B and IJB-C have."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.images import decode

HEADER = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID"


def write(source: Manifest, folder: Path, *, prefix: str = "ijbc", seed: int = 0) -> Path:
    """A folder of the pictures of a data set of six an identity, every list shuffled by itself.

    Each identity has a gallery template of two stills, the first half of them in the first
    gallery, and two probe templates: a still, and the three frames of a video.
    """
    rng = np.random.default_rng(seed)
    meta, crops = folder / "meta", folder / "loose_crop"
    meta.mkdir(parents=True)
    crops.mkdir()
    rows, points, people = [], [], {}
    galleries: dict[str, list[str]] = {"gallery_G1": [], "gallery_G2": [], "probe_mixed": []}
    for row in range(len(source)):
        label, number = int(source.labels[row]), row % 6
        part = (0, 0, 1, 2, 2, 2)[number]
        template, medium = 100 + 3 * label + part, 1000 + 6 * label + min(number, 3)
        half = "gallery_G1" if 2 * label < len(source.classes) else "gallery_G2"
        galleries["probe_mixed" if part else half].append(f"{template},{label + 7},img/{row}.png,1")
        people[template] = label
        name = f"{row + 1}.jpg"
        pixels = decode(source.read(row), source.image(row))
        cv2.imwrite(str(crops / name), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        side = pixels.shape[0]
        spots = np.array([0.3, 0.4, 0.7, 0.4, 0.5, 0.6, 0.35, 0.8, 0.65, 0.8]) * side + row / 100
        rows.append(f"{name} {template} {medium}")
        points.append(f"{name} {' '.join(f'{one:.2f}' for one in spots)} {0.5 + row % 5 / 10:.1f}")
    pairs = [f"{a} {b} {int(people[a] == people[b])}" for a, b in combinations(people, 2)]
    for ending, lines in (
        ("face_tid_mid", rows),
        ("name_5pts_score", points),
        ("template_pair_label", pairs),
    ):
        text = "\n".join(rng.permutation(lines)) + "\n"
        (meta / f"{prefix}_{ending}.txt").write_text(text)
    for ending, lines in galleries.items():
        text = "\n".join([HEADER, *rng.permutation(lines)]) + "\n"
        (meta / f"{prefix}_1N_{ending}.csv").write_text(text)
    return folder
