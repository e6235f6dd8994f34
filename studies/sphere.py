"""ArcFace's figure 3: embeddings of two dimensions, of eight identities, under every loss.

    python studies/sphere.py [--seeds 0 1 2]

Trains on rendered products, of eight brands, 1,500 photos each, and on the eight most photographed
people of lfw112, which ARCWISE_DATA has; draws docs/images/arcface_circle_products.svg and writes
its part of docs/arcface.md. Of the people, numbers only: their dots are drawn beside the runs.
"""

from __future__ import annotations

import argparse
import math
from functools import cache

import numpy as np
import torch

from arcface import claims, page, pictures, records
from arcface.circle import SECTOR, Circle, circle, nearest, points
from arcface.claims import Claim
from arcface.family import FAMILY, Training, centres
from arcface.network import SIZE
from arcface.rings import rings
from arcwise.data.augment import Augment
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from arcwise.training.losses import CentresConfig, LinearConfig

SHOTS, OTHERS, IDENTITIES = 1500, 100, 8
SHOWN = 60
"""Dots of each identity."""
RUNS = records.FOLDER / "sphere.jsonl"
START = TrainConfig(
    encoder=EncoderConfig(dim=2, size=SIZE),
    objective=LinearConfig(),
    data=DataConfig(
        batch=64,
        sampling="balanced",
        images_per_identity=8,
        augment=Augment(zoom=0.7, rotation=0.1, flip=0.0, hue=0.0),
    ),
    optim=OptimConfig(name="adamw", lr=0.003),
    run=RunConfig(steps=300),
)
CENTRES = CentresConfig(scale=8.0, margin_from=0.1, margin_full=0.7)
CONFIG = START.replace(objective=CENTRES, run={"steps": 200})
INTRODUCTION = f"""\
## Figure 3: two dimensions, eight identities

Dots are samples, spread outwards to be seen; lines are class centres, or the means of the classes
where a loss has no centres. Drawn for the first seed. In the tables angles are in degrees, over
the pictures learned from, mean over the seeds ± half the range. A gap is what lies between the
sectors of two classes, the middle {SECTOR:.0%} of each; negative: they overlap. Right: other
pictures of the same identities, given the nearest mean.

A network of three convolutions, {START.run.steps} steps of the softmax, the same for all losses,
then {CONFIG.run.steps} of each, of {CONFIG.data.batch} pictures; s = {CENTRES.scale:.0f}; margins
as published, growing over the first {CENTRES.margin_full:.0%} of those. (On the circle classes
cannot pass each other: trained from the start, the losses over directions kept what order chance
gave them, and on the people learned next to nothing.)

Eight classes in a plane leave a cosine of 1 - cos 45° = {1 - math.cos(math.pi / 4):.2f} between
them: the margins of CosFace and AdaFace are larger and never paid in full. MagFace, whose lengths
begin at 10, is here an ArcFace of 0.45: two numbers of unit variance are shorter."""
COLUMNS = {
    "to_centre": "to the own centre",
    "spread": "to the own mean",
    "gap": "gap to the nearest class",
    "least_gap": "least gap",
    "accuracy": "right, %",
}
ABOUT = {
    "products": "Eight rendered products of different brands, 1,500 photos each to learn from, "
    "of which every fifth is measured and drawn from.",
    "people": "The eight people with the most pictures in `lfw112`, 42 to 189 each to learn from.",
}
CLAIMS = (
    Claim("samples are nearer to their class's centre", "to_centre", "arcface", "<", ("softmax",)),
    Claim("and to the mean of their class", "spread", "arcface", "<", ("softmax",)),
    Claim("the gap between the nearest classes is wider", "gap", "arcface", ">", ("softmax",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    keys = [
        {"set": name, "seed": seed, "loss": loss, "steps": CONFIG.run.steps}
        for name in ABOUT
        for seed in options.seeds
        for loss in FAMILY
    ]
    runs = records.measure(RUNS, keys, measured)
    parts = [text(name, [run for run in runs if run["set"] == name]) for name in ABOUT]
    page.write("sphere", INTRODUCTION + "".join(parts))


@cache
def pictures_of(name: str) -> pictures.Set:
    if name == "people":
        return pictures.people(IDENTITIES, SIZE)  # no copy of their pictures is kept
    chosen = pictures.unrelated(IDENTITIES)
    return pictures.kept(
        records.FOLDER / f"eight-products-{SIZE}px.npz",
        lambda: pictures.products(chosen, chosen, SHOTS, OTHERS, SIZE),
    )


@cache
def started(name: str, seed: int) -> tuple[Training, np.ndarray]:
    """What every loss goes on from: a softmax's network, and the directions of its classes."""
    pixels = pictures_of(name)
    training = Training("softmax", START.replace(run={"seed": seed}), pixels.pixels, pixels.labels)
    training.to(START.run.steps)
    embeddings = training.embed(pixels.pixels[:: every(name)])
    return training, points(circle(embeddings, pixels.labels[:: every(name)]).directions)


def every(name: str) -> int:
    """Of so many pictures that were learned from, one is measured."""
    return 5 if name == "products" else 1


def measured(set: str, seed: int, loss: str, steps: int) -> records.Run:
    pixels = pictures_of(set)
    config = CONFIG.replace(run={"seed": seed, "steps": steps})
    training = Training(loss, config, pixels.pixels, pixels.labels)
    training.follow(*started(set, seed))
    training.to(steps)
    labels = pixels.labels[:: every(set)]
    embeddings = training.embed(pixels.pixels[:: every(set)])
    found = circle(embeddings, labels)
    directions = lines_of(training, found)
    off = np.arccos(np.clip((embeddings * points(directions)[labels]).sum(1), -1.0, 1.0))
    answers = nearest(training.embed(pixels.other_pixels), found.directions)
    first = [np.flatnonzero(labels == c)[:SHOWN] for c in range(IDENTITIES)]
    angles = np.degrees(np.arctan2(embeddings[:, 1], embeddings[:, 0]))
    return {
        "to_centre": float(np.degrees(off).mean()),
        "spread": found.spread,
        "gap": float(found.gaps.mean()),
        "least_gap": float(found.gaps.min()),
        "accuracy": float(100 * (answers == pixels.other_labels).mean()),
        "lines": np.degrees(directions).round(1).tolist(),
        "dots": [angles[rows].round(1).tolist() for rows in first],
    }


def lines_of(training: Training, found: Circle) -> np.ndarray:
    """(C,) radians of the class centres, or of the class means where a loss has no centres."""
    rows = centres(training.objective)
    return found.directions if rows is None else np.arctan2(rows[:, 1], rows[:, 0])


def text(name: str, runs: list[records.Run]) -> str:
    seeds = records.by_seed(runs)
    if not seeds:
        return ""
    draw = page.own_picture if name == "people" else page.picture
    shown = draw(
        f"circle_{name}",
        rings(next(iter(seeds.values()))),
        f"Embeddings of two dimensions on the circle, {name}, under every loss",
    )
    return f"""

### {name.capitalize()}

{ABOUT[name]}

{shown}

{claims.table(seeds, COLUMNS)}

ArcFace beside the softmax:

{claims.verdicts(CLAIMS, seeds)}

{records.time_taken(runs)}."""


if __name__ == "__main__":
    main()
