"""What it gains that the length tells a nuisance: `python studies/age.py OUT [SET …]`.

The same person over many years: FG-NET, whose vectors (`features/` of ARCWISE_DATA) go through a
head that is trained on them. The same product at another blur: rendered photographs, and the same
fruit from another side: fruits360, both with the small encoder from nothing, by `arcwise train`.
Each with ArcFace alone and with ArcFace and a length that tells the age, the blur or the view; on
identities that nothing was trained or chosen on. A study that was stopped goes on with the same
command: trainings are in OUT, what was found in docs/ageing.json, from which docs/ageing.md and
docs/images/ageing.svg are written.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

import arcwise
from arcwise.bundle import LengthReading
from arcwise.data.augment import Augment
from arcwise.data.manifest import Manifest
from arcwise.evaluation import Rate
from arcwise.heads import CentreHead
from arcwise.images.decode import decode
from arcwise.margins import ArcFace
from arcwise.objectives import Batch, ClassCentres, EncoderOutput, LengthRegression, WeightedSum
from arcwise.recipes import recipe
from arcwise.report import plots
from arcwise.synthetic import Renderer, identity_name
from arcwise.training.loss_terms import LengthConfig
from arcwise.verbs.train import train
from gap_tables import ALONE, BOTH, SEEDS, Measured, tables, tar_all
from table2 import on_this_machine, rounded, write_results

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "ageing.json", DOCS / "ageing.md"
PICTURE = DOCS / "images" / "ageing.svg"
FOLDS, STEPS, WEIGHTS = 5, (100, 300), (0.1, 1.0, 10.0)
OTHER, LESS = "length, weight {:g}", 0.1
"""The arm of another weight: the largest for faces, less than the default for images."""

TRAINED_STEPS = 250
ABOUT = {
    "FG-NET": "54 people, 664 pictures, aged 0 to 69. The people are in five parts: three train "
    "the head, the next chooses its steps and its weight of the length (by TAR at FAR 1 %), the "
    "last is measured; each person is measured once a seed. The gap is in years.",
    "rendered products": "160 products, ten photographs each, blurred by a Gaussian of 0 to 1.6 "
    "pixels of 32 that is known; 40 products are measured. The gap is in pixels.",
    "fruits360": "49 pieces of fruit, 40 views each, numbered as the turntable turned; 16 pieces "
    "are measured. The gap is in frames, of which about 330 are a whole turn.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS), metavar="SET")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.sets:
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if name not in known:
            began = time.process_time()
            make, edges = SETS[name]
            found = tables(make(options.out / name), edges)
            minutes = (time.process_time() - began) / 60
            known[name] = rounded(found | {"minutes": minutes, "machine": on_this_machine()})
            write_results(RESULTS, {one: known[one] for one in SETS if one in known})
        PAGE.write_text("\n".join(page(known)) + "\n")
        if "FG-NET" in known:
            rows = known["FG-NET"]["tar"]
            dots = {gap: {arm: Rate(*row[arm]) for arm in arms(row)} for gap, row in rows.items()}
            PICTURE.write_text(plots.groups(dots, "TAR at FAR 1 %"))


# --- vectors of faces, through a head -------------------------------------------------------------


def fgnet(out: Path) -> list[Measured]:
    """One part of the people after the other."""
    del out  # a minute in all: nothing to keep
    file = np.load(Path(os.environ["ARCWISE_DATA"]) / "features" / "fgnet_mobilefacenet.npz")
    vectors, people, ages = file["feature"].astype(np.float32), file["person"], file["age"]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = np.array_split(np.random.default_rng(0).permutation(np.unique(people)), FOLDS)
    found = []
    for number in range(FOLDS):
        other = (number + 1) % FOLDS
        test, choose = (np.flatnonzero(np.isin(people, parts[one])) for one in (number, other))
        rest = np.flatnonzero(~np.isin(people, [*parts[number], *parts[other]]))
        line = LengthReading.fitted(
            "age", file["norm"][choose], ages[choose], 0.0, 1.0, identities=people[choose]
        )
        names = (ALONE, BOTH, OTHER.format(WEIGHTS[-1]))
        arms = {"as it is": [vectors[test]] * len(SEEDS)} | {one: [] for one in names}
        told = {"as it is": [line.values(file["norm"][test])] * len(SEEDS)}
        told |= {one: [] for one in names}
        chosen = []
        for seed in SEEDS:
            tried = {
                weight: [
                    (
                        tar_all(made[choose], people[choose]),
                        f"{steps} steps, weight {weight:g}",
                        made,
                    )
                    for steps, made in head(vectors, people, ages, rest, weight, seed)
                ]
                for weight in (0.0, *WEIGHTS)
            }
            for arm, weights in zip(names, ((0.0,), WEIGHTS, WEIGHTS[-1:]), strict=True):
                _, setting, made = max(
                    (one for weight in weights for one in tried[weight]), key=lambda one: one[0]
                )
                lengths = np.linalg.norm(made, axis=1)
                arms[arm].append(made[test] / lengths[test, None])
                line = LengthReading.fitted(
                    "age", lengths[choose], ages[choose], 0.0, 1.0, identities=people[choose]
                )
                told[arm].append(line.values(lengths[test]))
                chosen += [setting] if arm == BOTH else []
        found.append(Measured(people[test], ages[test].astype(float), arms, told, chosen))
    return found


def head(
    vectors: np.ndarray,
    people: np.ndarray,
    ages: np.ndarray,
    rows: np.ndarray,
    weight: float,
    seed: int,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the steps and all vectors through a linear head, (N, D), trained on some rows."""
    torch.manual_seed(seed)
    every, x = torch.from_numpy(vectors), torch.from_numpy(vectors[rows])
    labels = torch.from_numpy(np.unique(people[rows], return_inverse=True)[1])
    known = torch.from_numpy(ages[rows].astype(np.float32))
    linear = nn.Linear(x.shape[1], x.shape[1])
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    classes = int(labels.max()) + 1
    centres = CentreHead(classes, x.shape[1], margin=ArcFace(0.3), scale=16.0)
    with torch.no_grad():
        centres.centres.copy_(torch.stack([x[labels == one].mean(0) for one in range(classes)]))
    terms: dict[str, Any] = {"arcface": (ClassCentres(centres), 1.0)}
    if weight:
        length = LengthRegression("age", float(known.mean()), float(known.std()))
        terms["length"] = length, weight
    objective = WeightedSum(terms)
    optimiser = torch.optim.Adam([*linear.parameters(), *objective.parameters()], lr=1e-3)
    for step in range(1, max(STEPS) + 1):
        part = torch.randint(len(x), (128,))
        batch = Batch(x[part], labels[part], {"age": known[part]})
        loss, _ = objective.loss(EncoderOutput(linear(x[part])), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in STEPS:
            with torch.no_grad():
                yield step, linear(every).numpy()


# --- images, from nothing -------------------------------------------------------------------------


def rendered(out: Path) -> list[Measured]:
    """Photographs of products whose blur is set."""
    folder = out / "images"
    names = [f"{number}-{shot}.jpg" for number in range(160) for shot in range(10)]
    rng = np.random.default_rng(0)
    blurs = rng.uniform(0.0, 1.6, len(names))
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(seed=11, size=32)
    for name, blur in zip(names, blurs.tolist(), strict=True):
        if not (folder / name).exists():
            number, shot = map(int, name.removesuffix(".jpg").split("-"))
            (folder / name).write_bytes(renderer.file(number, shot, "shop", {"blur": blur})[0])
    identities = [identity_name(int(name.split("-")[0])) for name in names]
    table = pa.table({"image": names, "identity": identities, "blur": blurs})
    return trained(Manifest(table, folder, "rendered"), "blur", 40, out)


def fruits(out: Path) -> list[Measured]:
    """Pieces of fruit on a turntable."""
    folder = Path(os.environ["ARCWISE_DATA"]) / "fruits360"
    with open(folder / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {
        "image": [f"images.zip/{row['path']}" for row in rows],
        "identity": [row["item"] for row in rows],
        "view": [float(row["view"]) for row in rows],
    }
    return trained(Manifest(pa.table(columns), folder, "fruits360"), "view", 16, out)


def trained(images: Manifest, column: str, measured: int, out: Path) -> list[Measured]:
    """Both arms, each with every seed, on identities that are not measured."""
    drawn = np.random.default_rng(0).permutation(len(images.classes))[:measured]
    unseen = np.isin(images.labels, drawn)
    test, rest = images.select(np.flatnonzero(unseen)), images.select(np.flatnonzero(~unseen))
    config = recipe("products-small").replace(
        encoder={"dim": 128, "size": 32, "train_crop": 0, "flip_tta": False},
        data={
            "workers": 0,
            "domain_balance": 0.0,
            "augment": Augment(zoom=0.7, rotation=0.1, flip=0.0),
        },
        run={"steps": TRAINED_STEPS, "validate_every": TRAINED_STEPS, "device": "cpu"},
    )
    weights = {ALONE: 0.0, BOTH: LengthConfig().weight, OTHER.format(LESS): LESS}
    vectors: dict[str, list[np.ndarray]] = {arm: [] for arm in weights}
    told: dict[str, list[np.ndarray]] = {arm: [] for arm in weights}
    for seed in SEEDS:
        for arm, weight in weights.items():
            made = config.replace(run={"seed": seed})
            if weight:
                length = {"column": column, "weight": weight}
                made = made.with_loss("arcface+length").replace(objective={"length": length})
            folder = out / f"weight {weight:g}, seed {seed}"
            result = train(rest, folder, made, resume="auto", page=False)
            model, held_out = arcwise.load(result.model), result.parts.calibration
            assert held_out is not None
            known = np.array(held_out.column(column), float)
            line = LengthReading.fitted(
                column, lengths_of(model, held_out), known, 0.0, 1.0, identities=held_out.identities
            )
            told[arm].append(line.values(lengths_of(model, test)))
            vectors[arm].append(model.embed(test.read(row) for row in range(len(test))))
            print(folder.name, f"{line.r2:.3f}", flush=True)
    return [Measured(np.array(test.identities), np.array(test.column(column)), vectors, told)]


def lengths_of(model: arcwise.runtime.Model, images: Manifest) -> np.ndarray:
    """Return (N,) lengths of the images' embeddings."""
    pixels = [model.prepare(decode(images.read(row), "")) for row in range(len(images))]
    return np.concatenate(
        [model.lengths(np.stack(pixels[at : at + 64])) for at in range(0, len(pixels), 64)]
    )


SETS: dict[str, tuple[Callable[[Path], list[Measured]], tuple[float, float]]] = {
    "FG-NET": (fgnet, (5.0, 15.0)),
    "rendered products": (rendered, (0.4, 0.8)),
    "fruits360": (fruits, (60.0, 150.0)),
}


# --- the page -------------------------------------------------------------------------------------


def arms(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if name not in ("mated", "impostors", "queries", "difference")]


def cell(values: Sequence[float], form: str = ".3f") -> str:
    value, low, high = values
    return f"{value:{form}} ({low:{form}} – {high:{form}})"


def page(known: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "# Ages, blur and view in the length",
        "",
        "Written by `studies/age.py`, which also says how to run it; every number is in",
        "`ageing.json`. ArcFace alone, and with a length that is to tell the age, the blur or the",
        "view (`arcface+length`, [OE-CNN](how-to/ages.md)), on identities that nothing was trained",
        "or chosen on. Mean over three seeds, with a 95 % interval from drawing identities; the",
        "last column is what the length adds, on the same draws. TAR is at FAR 1 %, each group of",
        "gaps with its own threshold. R² is that of the values read off the length by a line that",
        "was fitted on other identities than the measured ones; below 0 it is worse than their",
        "mean.",
        "",
        "The weight of the length is chosen for faces, on people who are not measured. The small",
        f"encoder has the default, {LengthConfig().weight:g}. The tables have another weight too.",
        "Weights and steps to choose from were drawn up after a look at trainings on all people of",
        "FG-NET, the default after one training each on products that are not measured here.",
        "Intervals are not corrected for the number of rows.",
        "",
        "![TAR by age gap on FG-NET](images/ageing.svg)",
    )
    for name, found in known.items():
        row = found["r2"]
        yield from ("", f"## {name}", "", ABOUT[name], "")
        yield f"| {' | '.join(['', *arms(row), 'length minus alone'])} |"
        yield f"|{'---|' * (len(arms(row)) + 2)}"
        cells = [cell(row[arm], ".2f") for arm in arms(row)]
        yield f"| R² | {' | '.join([*cells, cell(row['difference'], '+.2f')])} |"
        for kind, title in (("tar", "TAR"), ("recall", "recall@1")):
            for group, row in found[kind].items():
                cells = [cell(row[arm]) for arm in arms(row)]
                count = row.get("mated", row.get("queries"))
                what = "mated pairs" if "mated" in row else "queries"
                label = f"{title}, gap {group} ({count:,} {what})".replace("gap all", "all gaps")
                yield f"| {label} | {' | '.join([*cells, cell(row['difference'], '+.3f')])} |"
        if found["chosen"]:
            names = sorted(set(found["chosen"]))
            counted = ", ".join(f"{one}: {found['chosen'].count(one)} times" for one in names)
            yield from ("", f"Chosen: {counted}.")
        yield from ("", f"{found['minutes']:.1f} minutes of one core, on {found['machine']}.")
    yield from ("", *verdicts(known))


def verdicts(known: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the intervals say, set by set."""
    yield from ("## What worked, and what did not", "")
    for name, found in known.items():
        told = found["r2"][BOTH]
        does = "tells" if told[1] > 0 else "does not tell"
        yield (
            f"- {name}: the length {does} the number of an unseen identity, R² "
            f"{cell(told, '.2f')}; not trained to, {cell(found['r2'][ALONE], '.2f')}."
        )
        better, worse = [], []
        for kind, title in (("tar", "TAR"), ("recall", "recall@1")):
            for group, row in found[kind].items():
                _, low, high = row["difference"]
                words = f"{title}, {'all gaps' if group == 'all' else f'gap {group}'}"
                if low > 0 or high < 0:
                    (better if low > 0 else worse).append(words)
        yield f"    - Better with it: {'; '.join(better) or 'nothing'}."
        yield f"    - Worse with it: {'; '.join(worse) or 'nothing'}."


if __name__ == "__main__":
    main()
