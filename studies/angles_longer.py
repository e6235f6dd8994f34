"""ArcFace's table 3 once more, where the network and the budget are enough to learn the products.

    python studies/angles_longer.py [--seeds 0 1 2 3 4]

The five losses of the table on the products of `studies/angles.py`, by the small encoder of the
recipes; writes its part of docs/arcface.md.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

from angles import CLAIMS, CONFIG, FIVE, SIZE, TABLE, measured
from arcface import claims, page, records
from arcwise.encoders.small import Small

STEPS = 500
RUNS = records.FOLDER / "angles_longer.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    torch.set_num_threads(1)
    keys = [{"seed": seed, "loss": loss, "steps": STEPS} for seed in options.seeds for loss in FIVE]
    page.write("angles_longer", text(records.measure(RUNS, keys, longer)))


def longer(seed: int, loss: str, steps: int) -> records.Run:
    # s follows from the number of classes: at 32 the centres hardly group in so few steps
    config = CONFIG.replace(objective={"scale": 0.0})
    return measured(seed, loss, steps, config, small)


def small(dim: int) -> nn.Module:
    return Small(dim=dim, size=(SIZE, SIZE))


def text(runs: list[records.Run]) -> str:
    seeds = records.by_seed(runs, FIVE)
    if not seeds:
        return ""
    return f"""\
## Table 3 once more: a network and a budget that learn

The same products, by the small encoder of the recipes in {STEPS} steps, at the scale that recipes
take for so many classes.

{claims.table(seeds, TABLE)}

{claims.verdicts(CLAIMS, seeds)}

{records.time_taken(runs)}.
"""


if __name__ == "__main__":
    main()
