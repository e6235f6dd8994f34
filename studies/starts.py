"""Which start wins on products that no run was trained on: `python studies/starts.py SETS`.

SETS/grocery is prepared by `studies/prepare.py`. Each start trains by `arcwise train` and is
measured by `arcwise evaluate`: with --choose on tune_train.csv and tune.csv, where recipes are
chosen; without it on train.csv and test.csv, once. --products trains on the first so many products
of a seed's own order. Runs that are in docs/starts.json already are not repeated; docs/starts.md is
written from it.

    python studies/prepare.py grocery sets/grocery
    python studies/starts.py sets --seeds 0 1 2
    python studies/starts.py sets --seeds 0 1 2 --products 10 25
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.train import train

DOCS = Path(__file__).parent.parent / "docs"
RUNS = DOCS / "starts.json"
FAR = 1e-2

STARTS: dict[str, Callable[[], TrainConfig]] = {
    "nothing": lambda: recipe("products-small"),
    "frozen": lambda: recipe("products-frozen"),
    "last blocks": lambda: recipe("products-last-blocks"),
    "whole": lambda: recipe("products-finetuned"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--products", nargs="+", type=int, default=[0])
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    folder = options.sets / "grocery"
    for products in options.products:
        for seed in options.seeds:
            for start in options.starts:
                key = {"start": start, "seed": seed, "products": products}
                key["split"] = "tune" if options.choose else "test"
                if any(key.items() <= run.items() for run in known_runs()):
                    continue
                run = key | measure(folder, STARTS[start](), key)
                print(json.dumps(run), flush=True)
                RUNS.write_text(json.dumps([*known_runs(), run], indent=1) + "\n")
    (DOCS / "starts.md").write_text(page(known_runs()))


def known_runs() -> list[dict[str, Any]]:
    return json.loads(RUNS.read_text()) if RUNS.exists() else []


def measure(folder: Path, config: TrainConfig, key: dict[str, Any]) -> dict[str, Any]:
    train_file, test_file = "train.csv", "test.csv"
    if key["split"] == "tune":
        train_file, test_file = "tune_train.csv", "tune.csv"
    images = some_products(open_manifest(folder / train_file), key["products"], key["seed"])
    config = config.replace(data={"holdout": 0.0}, run={"seed": key["seed"]})
    name = "-".join(str(value).replace(" ", "-") for value in key.values())
    out = folder / "starts" / name
    shutil.rmtree(out, ignore_errors=True)  # a run that was cut short is not counted
    began = time.perf_counter()
    result = train(images, out, config)
    seconds = time.perf_counter() - began
    found = evaluate(result.model, folder / test_file, out=out / "evaluation")
    assert found.verification
    assert found.closed
    values = {"TAR at FAR 1 %": found.verification.tar_at(FAR), "rank 1": found.closed.rank(1)}
    return {
        "identities": len(images.classes),
        "images": len(images),
        "minutes": round(seconds / 60, 1),
        "cores": len(os.sched_getaffinity(0)),
    } | {
        name: [round(float(part), 4) for part in (value, value.low, value.high)]
        for name, value in values.items()
    }


def some_products(images: Manifest, products: int, seed: int) -> Manifest:
    """All images of so many products; of all of them where `products` is 0."""
    if not products:
        return images
    chosen = np.random.default_rng(seed).permutation(len(images.classes))[:products]
    return images.select(np.flatnonzero(np.isin(images.labels, chosen)))


def page(runs: list[dict[str, Any]]) -> str:
    lines = [
        "# Which start wins",
        "",
        "Written by `studies/starts.py`, which also says how to run it; every number is in",
        "`starts.json`. Measured on 13 products that no run was trained on; the recipes were",
        "chosen on 13 others (tune.csv). Rank 1 is from one studio image of each product. Mean",
        "over the seeds, lowest to highest in round brackets, and the 95 % interval over",
        "identities of the first seed in square ones. Minutes are of the slowest seed, on one core",
        "of a machine that did other work too.",
        "",
        "`nothing` is products-small, `frozen` products-frozen, `last blocks` products-last-blocks",
        "and `whole` products-finetuned; all but the first start from EfficientNet-Lite0 as",
        "ImageNet made it.",
    ]
    measures = ("TAR at FAR 1 %", "rank 1")
    test = [run for run in runs if run["split"] == "test"]
    for products in sorted({run["identities"] for run in test}):
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in test:
            if run["identities"] == products:
                groups[run["start"]].append(run)
        lines += ["", f"## {products} products to train on", ""]
        lines.append(f"| start | seeds | {' | '.join(measures)} | minutes, cores |")
        lines.append("|---|---|---|---|---|")
        for start in STARTS:
            if not (found := groups.get(start)):
                continue
            cells = [spread([run[name] for run in found]) for name in measures]
            longest = max(run["minutes"] for run in found)
            cost = f"{longest}, {found[-1]['cores']}"
            lines.append(f"| {start} | {len(found)} | {' | '.join(cells)} | {cost} |")
        lines += ["", *differences(groups)]
    return "\n".join(lines) + "\n"


def differences(groups: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yield how much each start is better than none, seed by seed."""
    nothing = {run["seed"]: run for run in groups["nothing"]}
    for start in list(STARTS)[1:]:
        pairs = [(run, nothing[run["seed"]]) for run in groups[start] if run["seed"] in nothing]
        gains = []
        for name in ("TAR at FAR 1 %", "rank 1"):
            each = (f"{run[name][0] - other[name][0]:+.3f}" for run, other in pairs)
            gains.append(f"{', '.join(each)} {name}")
        if pairs:
            yield f"- {start} minus nothing, seed by seed: {'; '.join(gains)}"


def spread(values: list[list[float]]) -> str:
    means = [value for value, *_ in values]
    _, low, high = values[0]
    text = f"{statistics.mean(means):.3f}"
    if len(means) > 1:
        text += f" ({min(means):.3f} – {max(means):.3f})"
    return f"{text}, [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
