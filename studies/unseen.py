"""How well recipes recognise what they were never trained on: `python studies/unseen.py SET OUT`.

SET is grocery, omniglot or lfw, prepared in OUT/SET by `studies/prepare.py`. Every run trains by
`arcwise train` on train.csv, all of it (--holdout 0), and is measured by `arcwise evaluate` on
test.csv once. Runs that are in docs/unseen.json already are not repeated; docs/unseen.md is
written from that file.

    python studies/prepare.py grocery sets/grocery
    python studies/unseen.py grocery sets --losses softmax arcface --seeds 0 1 2
    python studies/prepare.py omniglot sets/omniglot && python studies/unseen.py omniglot sets
    python studies/prepare.py lfw sets/lfw && python studies/unseen.py lfw sets
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from arcwise.verbs.evaluate import EvaluationResult, evaluate
from arcwise.verbs.train import train

DOCS = Path(__file__).parent.parent / "docs"
RUNS = DOCS / "unseen.json"

ABOUT = {
    "grocery": "13 products of the grocery set that no run was trained on; the recipe was chosen "
    "on 13 others (tune.csv)",
    "omniglot": "659 evaluation characters, trained on 964 background characters",
    "lfw": "1,200 pairs of folds 7 and 8, trained on the people of folds 1 to 6 with at least two "
    "pictures; the recipe was chosen on fold 6",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("set", choices=ABOUT)
    parser.add_argument("out", type=Path)
    parser.add_argument("--losses", nargs="+", default=["arcface"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    folder = options.out / options.set
    runs = known_runs()
    for seed in options.seeds:
        for loss in options.losses:
            key = {"set": options.set, "loss": loss, "seed": seed}
            if any(key.items() <= run.items() for run in runs):
                continue
            run = key | measure(folder, config_for(options.set, loss, seed))
            print(json.dumps(run), flush=True)
            runs = [*known_runs(), run]  # another process may have added to them
            RUNS.write_text(json.dumps(runs, indent=1) + "\n")
    (DOCS / "unseen.md").write_text(page(runs))


def known_runs() -> list[dict[str, Any]]:
    return json.loads(RUNS.read_text()) if RUNS.exists() else []


def config_for(name: str, loss: str, seed: int) -> TrainConfig:
    """The recipe of the set, all of it trained on, and nothing else changed but loss and seed."""
    recipes = {"grocery": "products-small", "omniglot": "drawings", "lfw": "faces"}
    config = recipe(recipes[name]).with_loss(loss)
    return config.replace(data={"holdout": 0.0}, run={"seed": seed})


def measure(folder: Path, config: TrainConfig) -> dict[str, Any]:
    out = folder / f"{config.objective.loss}-{config.run.seed}"
    shutil.rmtree(out, ignore_errors=True)  # a run that was cut short is not counted
    result = train(folder / "train.csv", out, config)
    pairs = folder / "pairs.csv"
    found = evaluate(
        result.model,
        folder / "test.csv",
        out=out / "evaluation",
        pairs=pairs if pairs.exists() else None,
    )
    return {
        "seconds": round(result.loop.seconds),
        "images_per_second": round(result.loop.images_per_second),
        "steps": config.run.steps,
        "cores": len(os.sched_getaffinity(0)),
    } | numbers(found)


def numbers(found: EvaluationResult) -> dict[str, float]:
    values: dict[str, float] = {}
    if found.verification and found.verification.folds:
        values["accuracy"] = found.verification.accuracy
    elif found.verification and found.retrieval:
        values["recall@1"] = found.retrieval.recall_at(1)
        values["TAR at FAR 1 %"] = found.verification.tar_at(1e-2)
        if found.closed:
            values[f"rank 1, gallery: {found.gallery}"] = found.closed.rank(1)
    return {name: round(float(value), 4) for name, value in values.items()}


def page(runs: list[dict[str, Any]]) -> str:
    lines = [
        "# What a recipe recognises that it was never trained on",
        "",
        "Written by `studies/unseen.py`, which also says how to run it; every number is in",
        "`unseen.json`. Mean over the seeds, and lowest to highest where there are several.",
    ]
    known = {"set", "loss", "seed", "seconds", "images_per_second", "steps", "cores"}
    for name, about in ABOUT.items():
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in runs:
            if run["set"] == name:
                groups[run["loss"]].append(run)
        if not groups:
            continue
        measures = [m for m in next(iter(groups.values()))[0] if m not in known]
        lines += ["", f"## {name}", "", f"Measured on {about}.", ""]
        lines.append(f"| loss | seeds | {' | '.join(measures)} | steps | training time, cores |")
        lines.append("|" + "---|" * (len(measures) + 4))
        for loss, found in groups.items():
            cells = [spread([run[m] for run in found]) for m in measures]
            minutes = max(run["seconds"] for run in found) / 60
            last = found[-1]
            lines.append(
                f"| {loss} | {len(found)} | {' | '.join(cells)} | {last['steps']:,} | "
                f"{minutes:.1f} min at most, {last['cores']} |"
            )
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} – {max(values):.3f})"


if __name__ == "__main__":
    main()
