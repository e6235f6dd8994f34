"""The ArcFace paper's Table 2 on data that can be had: `python studies/table2.py SETS [NAME …]`.

Every row of the table, and the losses that came after it, trained by `arcwise.verbs.compare` with
one number of steps and five seeds, each at the scale that is best for it. The scale is chosen on
identities that are not measured; the recipe and the steps were not chosen at all. NAME is any of

    grocery    39 products to train on, 13 that choose the scale, 13 that are measured
    omniglot   300 background characters, 60 of other background alphabets, 60 evaluation characters
    lfw        people of folds 1 to 5, of fold 6, and of folds 7 and 8
    rendered   1,600 rendered products, 150 and 250 others

of which the first three are prepared in SETS by `studies/prepare.py`; the last is rendered there. A
study that was stopped goes on with the same command. docs/table2.md and its picture are written
from docs/table2.json, which keeps what was measured.

    python studies/prepare.py grocery sets/grocery
    python studies/prepare.py omniglot sets/omniglot
    python studies/prepare.py lfw sets/lfw
    python studies/table2.py sets
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.split import Split
from arcwise.recipes import recipe
from arcwise.recipes.table2 import BESIDE, TABLE_2
from arcwise.synthetic import render_dataset
from arcwise.training.config import TrainConfig
from arcwise.verbs.compare import LossComparison, as_dict, compare

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "table2.json", DOCS / "table2.md"

BASELINE = "arcface@0.5"
SCALES = (12.0, 24.0, 48.0)
SEEDS = 5
STEPS = 160
LABELS = {row.loss: row.label for row in TABLE_2} | {loss: name for name, loss in BESIDE.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    for name in options.names:
        split, config = SETS[name](options.sets)
        began = time.perf_counter()
        result = compare(
            split,
            options.sets / "table2" / name,
            config.replace(run={"steps": STEPS}),
            losses=list(LABELS),
            baseline=BASELINE,
            scales=SCALES,
            seeds=options.seeds,
            budget=None,
            progress=lambda done, total, last: print(f"{done} of {total}: {last}", flush=True),
        )
        record(name, result, (time.perf_counter() - began) / 60)
        PAGE.write_text(page(json.loads(RESULTS.read_text())))


def record(name: str, result: LossComparison, minutes: float) -> None:
    """Put a set into the results; the minutes are of all starts together."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    before = known.get(name, {}).get("minutes", 0)
    known[name] = as_dict(result) | {"minutes": round(before + minutes, 1)}
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def grocery(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "grocery"
    parts = (open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test"))
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 24})


def omniglot(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "omniglot"
    parts = (
        some(open_manifest(folder / f"{one}.csv"), count)
        for one, count in (("tune_train", 300), ("tune", 60), ("test", 60))
    )
    return Split(*parts), recipe("drawings").replace(encoder={"size": 32}, data={"batch": 64})


def lfw(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "lfw"
    train, choosing, measured = (
        open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test")
    )
    return Split(train, several(choosing), several(measured)), recipe("faces").replace(
        encoder={"size": 32}
    )


def rendered(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "rendered"
    path = folder / "manifest.csv"
    if not path.exists():
        render_dataset(folder, identities=2000, shots=5, studio=1, size=48)
    images = open_manifest(path)
    edges = np.searchsorted(images.labels, (0, 1600, 1750, 2000), sorter=np.argsort(images.labels))
    order = np.argsort(images.labels, kind="stable")
    parts = (images.select(order[a:b]) for a, b in zip(edges, edges[1:], strict=False))
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 24})


SETS: dict[str, Callable[[Path], tuple[Split, TrainConfig]]] = {
    "grocery": grocery, "omniglot": omniglot, "lfw": lfw, "rendered": rendered,
}  # fmt: skip


def some(images: Manifest, count: int) -> Manifest:
    """Return the images of so many identities, drawn with a fixed seed."""
    chosen = np.random.default_rng(0).permutation(len(images.classes))[:count]
    return images.select(np.flatnonzero(np.isin(images.labels, chosen)))


def several(images: Manifest) -> Manifest:
    """Return the images of identities that have two of them, or more."""
    counts = np.bincount(images.labels)
    return images.select(np.flatnonzero(counts[images.labels] > 1))


CLAIMS = (
    ("arcface@0.5", "softmax"),
    ("arcface@0.5", "normsoftmax"),
    ("arcface@0.5", "sphereface@1.35"),
    ("arcface@0.5", "cosface@0.35"),
    ("arcface@0.5", "cm1"),
    ("arcface@0.5", "cm2"),
    ("arcface@0.5", "triplet@0.35"),
    ("arcface@0.5", "arcface@0.5+intra"),
    ("arcface@0.5", "arcface@0.5+inter"),
    ("arcface@0.5", "arcface@0.5+triplet@0.35"),
)
"""Orderings of the paper's table against ArcFace, the baseline: the first is better."""


def page(sets: dict[str, Any]) -> str:
    ...
