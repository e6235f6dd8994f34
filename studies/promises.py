"""Do the rates that a search promises come true? `python studies/promises.py lfw|grocery OUT`.

lfw uses the vectors in ARCWISE_DATA/features. grocery trains a model on 20 of the 65 products, into
OUT, and embeds the other 45, which nothing was chosen on. Then, split after split: half of the
identities calibrate, in one call of `evaluation.calibrate_search` for each size of gallery; of the
other half one gallery is drawn, and everybody else searches it. What is measured there is a cell,
and it is right if it lies in the interval that was promised. docs/promises.md is written from
docs/promises.json, which keeps the cells.

    python studies/promises.py lfw
    python studies/prepare.py grocery sets/grocery && python studies/promises.py grocery sets
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.recipes import recipe
from arcwise.verbs.train import train

DOCS = Path(__file__).parent.parent / "docs"
CELLS, PAGE = DOCS / "promises.json", DOCS / "promises.md"
RATES = (0.1, 0.05, 0.01, 0.001)
TEMPLATES = (1, 2, 5, None)
SIZES = {"lfw": (20, 100, 346), "grocery": (5, 10, 20)}
TRAINED = 20  # products
ABOUT = {
    "lfw": "4,859 people of LFW (10,562 images), embedded by a network that saw none of them",
    "grocery": "45 products of the grocery set, embedded by a model trained on 20 others",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("set", choices=SIZES)
    parser.add_argument("out", type=Path, nargs="?", default=Path("sets"))
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    vectors, ids = lfw() if options.set == "lfw" else grocery(options.out / "grocery")
    for split in range(options.splits):
        if not any((one["set"], one["split"]) == (options.set, split) for one in known_cells()):
            found = measured(options.set, vectors, ids, split)
            cells = known_cells()  # another process may have added to them
            CELLS.write_text(
                json.dumps([*cells, *found], indent=None).replace("}, ", "},\n") + "\n"
            )
            print(f"split {split}: {right(found)}", flush=True)
    PAGE.write_text(page(known_cells()))


def known_cells() -> list[dict[str, Any]]:
    return json.loads(CELLS.read_text()) if CELLS.exists() else []


def lfw() -> tuple[np.ndarray, np.ndarray]:
    """The unit vectors and who they are of."""
    found = np.load(Path(os.environ["ARCWISE_DATA"]) / "features" / "lfw_mobilefacenet.npz")
    vectors = found["feature"].astype(np.float32)
    ids = np.unique(found["person"], return_inverse=True)[1]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), ids


def grocery(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of the products that a model was not trained on; it is trained if missing."""
    with (folder / "data" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["domain"] == "shop"]
    names = sorted({row["identity"] for row in rows})
    known = set(np.random.default_rng(0).permutation(names)[:TRAINED].tolist())
    for part in ("known", "new"):
        with (folder / f"{part}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["image", "identity"], extrasaction="ignore")
            writer.writeheader()
            chosen = (row for row in rows if (row["identity"] in known) == (part == "known"))
            writer.writerows(chosen)
    run = folder / "promises"
    if not (run / "model" / "model.json").exists():
        train(folder / "known.csv", run, replace(recipe("products"), holdout=0.0))
    manifest = open_manifest(folder / "new.csv")
    embedded = runtime.embed_manifest(runtime.load(run / "model"), manifest)
    kept = manifest.select(embedded.rows)
    return embedded.vectors, np.asarray(kept.labels)


def measured(name: str, vectors: np.ndarray, ids: np.ndarray, split: int) -> list[dict[str, Any]]:
    """Every cell of one split of the identities."""
    generator = np.random.default_rng(split)
    people = generator.permutation(int(ids.max()) + 1)
    calibrating = np.isin(ids, people[: len(people) // 2])
    sizes = np.bincount(np.unique(ids[~calibrating], return_inverse=True)[1])
    fewest = np.bincount(np.unique(ids[calibrating], return_inverse=True)[1])
    cells = []
    for templates in TEMPLATES:
        for gallery in SIZES[name]:
            able = [int(np.count_nonzero(one >= (templates or 1))) for one in (sizes, fewest)]
            if min(able) <= gallery:
                continue
            promised = evaluation.calibrate_search(
                vectors[calibrating], ids[calibrating], RATES, gallery, templates=templates
            )
            new = vectors[~calibrating], ids[~calibrating]
            rates = one_gallery(
                *new, gallery, templates, [p.threshold for p in promised], generator
            )
            cells += [
                {
                    "set": name, "split": split, "templates": templates, "gallery": gallery,
                    "rate": one.fpir, "resolved": one.resolved,
                    "fpir": [rounded(one.fpir_low), rounded(one.fpir_high), rounded(fpir)],
                    "dir": None if found is None or one.dir is None else
                    [rounded(one.dir_low), rounded(one.dir_high), rounded(found), rounded(one.dir)],
                }
                for one, (fpir, found) in zip(promised, rates, strict=True)
            ]  # fmt: skip
    return cells


def one_gallery(
    vectors: np.ndarray,
    ids: np.ndarray,
    gallery: int,
    templates: int | None,
    thresholds: list[float],
    generator: np.random.Generator,
) -> list[tuple[float, float | None]]:
    """The false-positive and the detection rate in one gallery that is drawn, at each threshold."""
    names, counts = np.unique(ids, return_counts=True)
    enrolled = generator.choice(names[counts >= (templates or 1)], gallery, replace=False)
    rows = []
    for name in enrolled:
        images = np.flatnonzero(ids == name)
        rows.append(images if templates is None else generator.choice(images, templates, False))
    template = np.concatenate(rows)
    scores = vectors @ vectors[template].T
    scores[template, np.arange(len(template))] = -np.inf  # with all enrolled: leave one out
    same = ids[:, None] == ids[template][None, :]
    own = np.where(same, scores, -np.inf).max(axis=1)
    other = np.where(same, -np.inf, scores).max(axis=1)
    stranger = ~np.isin(ids, enrolled)
    mated = own > -np.inf
    if templates is not None:
        mated &= ~np.isin(np.arange(len(ids)), template)
    found = []
    for threshold in thresholds:
        right = own[mated] >= np.maximum(threshold, np.nextafter(other[mated], np.float32(2)))
        rate = float(np.mean(other[stranger] >= threshold))
        found.append((rate, float(np.mean(right)) if mated.any() else None))
    return found


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def inside(values: list[float] | None) -> bool | None:
    return None if values is None else values[0] <= values[2] <= values[1]


def right(cells: list[dict[str, Any]]) -> str:
    """How many cells lie in the interval promised."""
    said = []
    for rate, name in (("fpir", "FPIR"), ("dir", "DIR")):
        found = [ok for one in cells if one["resolved"] and (ok := inside(one[rate])) is not None]
        said.append(f"{name} {sum(found)} of {len(found)} ({np.mean(found):.1%})")
    return ", ".join(said)


def page(cells: list[dict[str, Any]]) -> str:
    lines = [
        "# Do the promised rates come true?",
        "",
        "Written by `studies/promises.py`, which also says how to run it; every cell is in",
        "`promises.json`. Half of the identities calibrate; of the other half one gallery is drawn",
        "and everybody else searches it. So a measured rate is that of one gallery of other",
        "identities, on other people. A cell is right if it lies in the promised interval. A row",
        "has the mean of what was promised and measured over the splits; rates that the images do",
        "not resolve promise nothing and are left out.",
    ]
    for name in SIZES:
        of_set = [one for one in cells if one["set"] == name and one["resolved"]]
        if not of_set:
            continue
        splits = len({one["split"] for one in of_set})
        lines += [
            "", f"## {name}", "",
            f"{ABOUT[name]}; {splits} splits. In the interval: {right(of_set)}.", "",
            "| templates | identities | FPIR promised | measured | in the interval "
            "| DIR promised | measured | in the interval |",
            "|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        groups = defaultdict(list)
        for one in of_set:
            groups[one["templates"], one["gallery"], one["rate"]].append(one)
        lines += [row(*key, found) for key, found in groups.items()]
    return "\n".join(lines) + "\n"


def row(templates: int | None, gallery: int, rate: float, cells: list[dict[str, Any]]) -> str:
    each = "all" if templates is None else templates
    columns = [f"{each}", f"{gallery}"]
    for name, promise in (("fpir", f"{rate:.1%}"), ("dir", None)):
        values = [one[name] for one in cells if one[name] is not None]
        if not values:
            columns += ["", "", ""]
            continue
        low, high, found, *mean = np.mean(values, axis=0)
        promised = promise or f"{mean[0]:.1%}"
        good = sum(bool(inside(one)) for one in values)
        columns += [
            f"{promised} ({low:.2%} – {high:.2%})",
            f"{found:.2%}",
            f"{good} of {len(values)}",
        ]
    return f"| {' | '.join(columns)} |"


if __name__ == "__main__":
    main()
