"""Two images an identity, by several ways of training: `python studies/bisample.py SETS [NAME …]`.

A deep set of some identities with many images, and more identities with one image of each of two
domains. What is trained on them: classification of everybody at once; classification of the deep
set (C); then verification of the pairs (C + V); then their fine classification over class centres
(C + V + C) with all classes, random ones or dominant ones in a step; and semi-siamese training in
the place of V and C. All have the same number of steps and three seeds. Measured are identities
that none of them has seen. NAME is any of

    grocery    20 products with all their shop photos, 32 with the studio photo and one shop photo;
               measured 13 products, the studio photo and five shop photos of each
    omniglot   100 background characters by all 20 drawers, 400 others by drawers 1 and 2; measured
               300 evaluation characters by drawers 1 and 2
    lfw        people of folds 1 to 6: those with five images or more, and two images of the others;
               measured two images of the people of folds 7 and 8

prepared in SETS by `studies/prepare.py`, or

    settle     mining, scale and learning rates of the later stages, on rendered products: what the
               recipe has

A study that was stopped goes on with the same command. What it found is kept in docs/bisample.json,
from which docs/bisample.md and its picture are written.

    python studies/prepare.py grocery sets/grocery
    python studies/prepare.py omniglot sets/omniglot
    python studies/prepare.py lfw sets/lfw
    python studies/bisample.py sets
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise import evaluation
from arcwise.data.domain_pairs import domain_pairs
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.evaluation.intervals import Rate
from arcwise.recipes import recipe
from arcwise.report import plots
from arcwise.synthetic import render_dataset
from arcwise.training.config import StageConfig, TrainConfig
from arcwise.training.losses import CentresConfig, SemiSiameseConfig
from arcwise.training.section import merged
from arcwise.verbs.compare_training import (
    prepared_images,
    small_images,
)
from seed_runs import trained
from table2 import difference_cells, interval, on_this_machine, rounded, some, write_results

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "bisample.json", DOCS / "bisample.md"
FIGURE = "bisample.svg"
SEEDS, FAR = 3, 1e-2
STEPS, SETTLING_STEPS = 400, 600
MEASURE = "TAR at FAR 1 %"

PLAIN, C, CV, SST = "all at once", "C", "C + V", "C + semi-siamese"
FULL, RANDOM, DOMINANT = "C + V + C, all", "C + V + C, random", "C + V + C, dominant"
METHODS = (PLAIN, C, CV, FULL, RANDOM, DOMINANT, SST)

SIAMESE = SemiSiameseConfig(scale=10.0, encoder_decay=0.9)
"""With a few hundred steps a slow encoder of the authors' decay, 0.999, would stand still."""

QUEUES: dict[str, Any] = {"candidates": 30, "dominant_queue": 10, "queue_refresh": 30}
QUESTIONS = ((DOMINANT, RANDOM), (DOMINANT, FULL), (DOMINANT, CV), (CV, C), (DOMINANT, SST))
"""Differences that the page shows, corrected for all pairs of methods."""

Source = Callable[[Path], tuple[Manifest, Manifest, TrainConfig, float]]
"""What to train on and to measure, the recipe, and the share of the classes in a step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETS), metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        folder = options.sets / "bisample" / name
        if name == "settle":
            known[name] = rounded(settle(options.sets, folder))
        else:
            train, held_out, config, share = SETS[name](options.sets)
            configs = {one: method(one, config, share) for one in METHODS}
            known[name] = rounded(measured(train, held_out, configs, folder, SEEDS) | {
                "active": round(share * paired(train)),
            })  # fmt: skip
        write_results(RESULTS, known)
        PAGE.write_text(page(known))
        if found := {one: known[one] for one in SETS if one in known}:
            (DOCS / "images" / FIGURE).write_text(figure(found))


def method(name: str, config: TrainConfig, share: float) -> TrainConfig:
    """Return a way of training, of as many steps as the recipe.

    Args:
        name: of METHODS.
        config: the recipe of three stages.
        share: of the paired identities whose centres take part in a step of the third.
    """
    deep, verify, fine = config.stages
    steps = config.run.steps
    objective = fine.objective
    assert isinstance(objective, CentresConfig)
    objective = replace(objective, sample_rate=share, **QUEUES)
    if name == RANDOM:
        objective = replace(objective, negatives="random")
    elif name == FULL:
        objective = replace(objective, negatives="random", sample_rate=1.0)
    stages = {
        PLAIN: (StageConfig(steps=steps),),
        C: (replace(deep, steps=steps),),
        CV: (deep, replace(verify, steps=verify.steps + fine.steps)),
        SST: (deep, replace(verify, steps=verify.steps + fine.steps, objective=SIAMESE)),
    }.get(name, (deep, verify, replace(fine, objective=objective)))
    return replace(config, stages=stages)


def settle(sets: Path, folder: Path) -> dict[str, Any]:
    """Train on rendered products with several numbers of the later stages."""
    train, held_out, config, share = rendered(sets)
    configs = {}
    for rate in (0.02, 0.1):
        for mining in ("hard", "semi-hard"):
            changed = with_stage(config, 1, {"lr": rate}, {"triplet": {"mining": mining}})
            configs[f"{CV}, {mining}, rate {rate:g}"] = method(CV, changed, share)
        for scale in (10.0, 30.0):
            changed = with_stage(method(SST, config, share), 1, {"lr": rate}, {"scale": scale})
            configs[f"{SST}, scale {scale:g}, rate {rate:g}"] = changed
    for rate in (0.005, 0.02, 0.1):
        changed = with_stage(config, 2, {"lr": rate}, {})
        configs[f"{DOMINANT}, rate {rate:g}"] = method(DOMINANT, changed, share)
    return measured(train, held_out, configs, folder, 1)


def with_stage(
    config: TrainConfig, number: int, optim: dict[str, Any], objective: dict[str, Any]
) -> TrainConfig:
    """Return the config with some fields of a stage changed."""
    one, stages = config.stages[number], list(config.stages)
    stages[number] = replace(
        one,
        optim=merged(one.optim or config.optim, optim),
        objective=merged(one.objective, objective),
    )
    return replace(config, stages=tuple(stages))


def measured(
    train: Manifest,
    held_out: Manifest,
    configs: Mapping[str, TrainConfig],
    folder: Path,
    seeds: int,
) -> dict[str, Any]:
    """Train with every config and seed, or go on with that, and compare."""
    configs = {
        name: one.replace(
            data={"workers": 0, "holdout": 0.0}, run={"validate_every": 10**9, "log_every": 10}
        )
        for name, one in configs.items()
    }
    config = next(iter(configs.values()))
    images = small_images(config, train, folder / "images")
    pixels = folder / "held-out.npy"
    (people,) = prepared_images(config, (held_out,), pixels)
    runs = trained(configs, seeds, images, pixels, folder)
    found = runs.embeddings
    table = evaluation.compare_runs(found, people.identities, far=FAR, baseline=next(iter(found)))
    return {
        "images": len(images),
        "identities": len(images.classes),
        "paired": paired(images),
        "measured": table.identities,
        "steps": config.run.steps,
        "stages": [one.steps for one in recipe_steps(config.run.steps)],
        "batch": config.data.batch,
        "size": config.encoder.size,
        "table": table.as_dict(),
        "failed": runs.failed,
        "minutes": runs.minutes,
        "machine": on_this_machine(),
    }


def recipe_steps(steps: int) -> tuple[StageConfig, ...]:
    return recipe("bisample").replace(run={"steps": steps}).stages


def paired(images: Manifest) -> int:
    """Return how many identities have images of the two domains."""
    return len(domain_pairs(images).paired)


def domains(images: Manifest) -> list[str]:
    return [str(one or "") for one in images.column("domain") or ()]


def bisampled(images: Manifest, deep: set[str], most: int, names: list[str]) -> Manifest:
    """Return at most so many images of the deep set, and the first of either domain of the rest.

    Args:
        images: all there are.
        deep: identities of the deep set.
        most: images of each of them.
        names: the domain of every image; empty for one that is in no pair.
    """
    rows, column = [], []
    for label, identity in enumerate(images.classes):
        own = np.flatnonzero(images.labels == label)
        if identity in deep:
            rows += own[:most].tolist()
            column += [""] * len(own[:most])
            continue
        of = {names[row]: row for row in reversed(own.tolist()) if names[row]}
        if len(of) == 2:
            rows += of.values()
            column += of
    table = images.select(rows).table
    if "domain" in table.column_names:
        table = table.drop_columns(["domain"])
    return replace(images, table=table.append_column("domain", pa.array(column)))


def with_pixels_of(name: str, **encoder: Any) -> TrainConfig:
    """Return the recipe for two images with what another recipe does to images."""
    other = recipe(name)
    return recipe("bisample").replace(
        encoder={"resize": other.encoder.resize, "flip_tta": other.encoder.flip_tta, **encoder},
        data={"augment": other.data.augment, "cache_size": other.data.cache_size},
        run={"steps": STEPS},
    )


def grocery(sets: Path) -> tuple[Manifest, Manifest, TrainConfig, float]:
    train, test = (open_manifest(sets / "grocery" / f"{one}.csv") for one in ("train", "test"))
    deep = drawn(train.classes, 20)
    config = with_pixels_of("products-small", size=32, train_crop=16).replace(data={"batch": 32})
    of, kept = np.array(domains(test)), []
    for label in range(len(test.classes)):
        own = np.flatnonzero(test.labels == label)
        kept += [*own[of[own] == "studio"][:1], *own[of[own] == "shop"][:5]]
    return bisampled(train, deep, 60, domains(train)), test.select(kept), config, 0.75


def omniglot(sets: Path) -> tuple[Manifest, Manifest, TrainConfig, float]:
    train, test = (open_manifest(sets / "omniglot" / f"{one}.csv") for one in ("train", "test"))
    train = some(train, 500)
    config = with_pixels_of("drawings", size=24, train_crop=0).replace(data={"batch": 64})
    pairs = bisampled(train, drawn(train.classes, 100), 20, drawers(train))
    return pairs, bisampled(some(test, 300), set(), 0, drawers(some(test, 300))), config, 0.15


def drawers(images: Manifest) -> list[str]:
    """Return the first or the second drawer of each drawing, by its file's name; empty for more."""
    found = {"01": "first", "02": "second"}
    return [found.get(Path(one).stem.rpartition("_")[2], "") for one in images.images]


def lfw(sets: Path) -> tuple[Manifest, Manifest, TrainConfig, float]:
    train, test = (open_manifest(sets / "lfw" / f"{one}.csv") for one in ("train", "test"))
    counts = np.bincount(train.labels)
    deep = {train.classes[label] for label in np.flatnonzero(counts >= 5)}
    config = with_pixels_of("faces", size=24, train_crop=0).replace(data={"batch": 64})
    return (
        bisampled(train, deep, 20, in_order(train)),
        bisampled(test, set(), 0, in_order(test)),
        config,
        0.1,
    )


def in_order(images: Manifest) -> list[str]:
    """Return `first` and `second` for the first two images of each identity, empty for more."""
    seen: dict[str, int] = {}
    found = []
    for identity in images.identities:
        place = seen[identity] = seen.get(identity, -1) + 1
        found.append(("first", "second")[place] if place < 2 else "")
    return found


def rendered(sets: Path) -> tuple[Manifest, Manifest, TrainConfig, float]:
    folder = sets / "bisample" / "rendered"
    path = folder / "manifest.csv"
    if not path.exists():
        render_dataset(folder, identities=600, shots=4, studio=1, size=40)
    images = open_manifest(path)
    train = images.select(np.flatnonzero(images.labels < 500))
    pairs = bisampled(train, set(train.classes[:100]), 5, domains(train))
    test = images.select(np.flatnonzero(images.labels >= 500))
    config = with_pixels_of("products-small", size=32, train_crop=16).replace(
        run={"steps": SETTLING_STEPS}
    )
    return pairs, test, config, 0.15


SETS: dict[str, Source] = {"grocery": grocery, "omniglot": omniglot, "lfw": lfw}


def drawn(classes: list[str], count: int) -> set[str]:
    """Return so many identities, drawn with a fixed seed."""
    return set(np.random.default_rng(0).permutation(classes)[:count].tolist())


def page(known: Mapping[str, Any]) -> str:
    lines = [
        "# Two images an identity",
        "",
        "Written by `studies/bisample.py`, which also says how to run it and whose images these",
        "are; every number is in `bisample.json`. Some identities have many images, the deep set;",
        "the others have one image of each of two domains. C classifies the deep set. V is the",
        "triplet loss on the pairs, with semi-hard negatives of the other domain. The second C",
        "classifies the pairs, with all class centres in a step, random ones, or the dominant ones",
        "of [DP-softmax](how-to/two-images.md); random and dominant ones are the same number.",
        "Semi-siamese training takes the place of V and the second C. `all at once` is one",
        "classification of everybody. Each has the same steps and batches and three seeds.",
        "",
        "Measured are identities that nobody was trained on. Values are means over the seeds with",
        "95 % intervals over seeds and identities; p is corrected by Holm's method for all",
        "comparisons with the first row. Rank 1 is the share of images whose nearest other image",
        "is of the same identity.",
        "",
        "Networks and images are small, and the steps are few: what is shown is which way learns",
        "more from so much work. Mining, rates and the scale of semi-siamese training were",
        "settled on rendered products ([below](#settled-on-rendered-products)), pixels, queues and",
        "steps by the time that they take. Nothing was chosen on the identities that are measured.",
    ]
    sets = {name: known[name] for name in SETS if name in known}
    if sets:
        lines += ["", "What it says:", "", *said(sets)]
        lines += ["", f"![{MEASURE} of every way of training](images/{FIGURE})"]
    for name, found in sets.items():
        lines += ["", f"## {name}", "", *table(found), "", *answers(found)]
    if "settle" in known:
        found = known["settle"]
        lines += ["", "## Settled on rendered products", "", *facts(found), ""]
        lines += ["| | TAR@0.01 | rank 1 |", "|---|---|---|"]
        lines += [f"| {name} | {' | '.join(means(found, name))} |" for name in names_of(found)]
    return "\n".join(lines) + "\n"


def said(sets: Mapping[str, Any]) -> Iterator[str]:
    """Yield, for each question, on which sets the answer is yes, no, or open."""
    for name, reference in QUESTIONS:
        answers = [
            f"{data} {gap:+.3f}{'' if decided else ' (not significant)'}"
            for data, found in sets.items()
            for gap, _, _, decided, _ in differences(found, name, reference)
        ]
        yield f"- {name} minus {reference}, TAR: {', '.join(answers)}."


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def facts(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was trained on, how long, and where."""
    deep = found["identities"] - found["paired"]
    active = f" {found['active']} classes in a step." if "active" in found else ""
    yield (
        f"{deep:,} identities of the deep set and {found['paired']:,} with two images, "
        f"{found['images']:,} images in all; {found['measured']:,} identities measured. "
        f"{plural(found['table']['seeds'], 'seed')}; {found['steps']} steps "
        f"({' + '.join(map(str, found['stages']))}) of {found['batch']} images of {found['size']} "
        f"pixels.{active} {found['minutes']:.0f} minutes of one core in all, on "
        f"{found['machine']}."
    )


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row a way of training."""
    yield from facts(found)
    yield ""
    yield f"| trained by | TAR@{FAR:g} | rank 1 | TAR - {PLAIN} | p |"
    yield "|---|---|---|---|---|"
    for name in METHODS:
        if name in found["failed"]:
            yield f"| {name} | diverged | | | |"
            continue
        cells = [*means(found, name), *difference_cells(found["table"]["metrics"][0], name)]
        yield f"| {name} | {' | '.join(cells)} |"


def means(found: Mapping[str, Any], name: str) -> list[str]:
    return [interval(one["mean"][name]) for one in found["table"]["metrics"][:2]]


def names_of(found: Mapping[str, Any]) -> list[str]:
    return list(found["table"]["metrics"][0]["mean"])


def answers(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences that were asked for."""
    yield "| difference | TAR | p, corrected for all pairs |"
    yield "|---|---|---|"
    for name, reference in QUESTIONS:
        for gap, low, high, decided, p in differences(found, name, reference):
            text = f"{gap:+.3f} ({low:+.3f} – {high:+.3f})"
            bold = f"**{text}**" if decided else text
            yield f"| {name} minus {reference} | {bold} | {p:.2g} |"


def differences(
    found: Mapping[str, Any], name: str, reference: str
) -> Iterator[tuple[float, float, float, bool, float]]:
    """Yield the difference in TAR, its interval, whether it is significant, and p; or nothing."""
    for one in found["table"]["metrics"][0]["pairs"]:
        if {one["name"], one["reference"]} == {name, reference}:
            gap, sign = one["difference"], 1 if one["name"] == name else -1
            low, high = sorted((sign * gap["low"], sign * gap["high"]))
            yield sign * gap["value"], low, high, one["decided"], one["corrected_p"]


def figure(sets: Mapping[str, Any]) -> str:
    """Return a row a way of training, with a dot a data set."""
    rates: dict[str, dict[str, Rate | None]] = {name: {} for name in METHODS}
    for data, found in sets.items():
        mean = found["table"]["metrics"][0]["mean"]
        for name in METHODS:
            one = mean.get(name)
            rates[name][data] = one and Rate(one["value"], one["low"], one["high"])
    return plots.groups(rates, MEASURE)


if __name__ == "__main__":
    main()
