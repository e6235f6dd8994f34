"""ArcFace's figures 4a, 6 and 7 and its table 3: angles under every loss, in training and after it.

    python studies/angles.py [--seeds 0 1 2]

Trains a small network on rendered products and measures it on them and on products held out;
draws docs/images/arcface_{training,pairs,all_pairs}.svg and writes its part of docs/arcface.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from arcface import claims, page, pictures, records
from arcface.claims import Claim
from arcface.family import FAMILY, Training, centres
from arcface.histograms import falling, paired, training
from arcface.network import SIZE, Network
from arcwise import evaluation
from arcwise.data.augment import Augment
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from arcwise.training.losses import CentresConfig

IDENTITIES, SHOTS, HELD_OUT, OTHERS = 200, 12, 100, 6
WATCHED = 400
"""Pictures learned from whose angles are followed."""
RUNS = records.FOLDER / "angles.jsonl"
CENTRES = CentresConfig(scale=32.0, margin_from=0.1, margin_full=0.6)
CONFIG = TrainConfig(
    encoder=EncoderConfig(dim=128, size=SIZE),
    objective=CENTRES,
    data=DataConfig(
        batch=64,
        sampling="balanced",
        images_per_identity=4,
        augment=Augment(zoom=0.7, rotation=0.1, flip=0.0, hue=0.0),
    ),
    optim=OptimConfig(name="adamw", lr=0.002),
    run=RunConfig(steps=400),
)
TABLE = {
    "w_ec": "W-EC",
    "w_inter": "W-Inter",
    "intra1": "Intra1",
    "inter1": "Inter1",
    "intra2": "Intra2",
    "inter2": "Inter2",
    "overlap": "overlap, %",
}
NS, INTRA, INTER = "normsoftmax", "normsoftmax + intra", "normsoftmax + inter"
FIVE = (NS, "arcface", INTRA, INTER, "triplet")


def besides(loss: str) -> tuple[str, ...]:
    return tuple(one for one in FIVE if one != loss)


CLAIMS = (
    Claim("ArcFace's centres are nearer to its embedding centres (W-EC) than the normalised "
          "softmax's", "w_ec", "arcface", "<", (NS,)),
    Claim("the intra-loss draws pictures of one identity together (Intra1)",
          "intra1", INTRA, "<", (NS,)),
    Claim("but identities too (Inter1)", "inter1", INTRA, "<", (NS,)),
    Claim("its Intra1 is the smallest of the five", "intra1", INTRA, "<", besides(INTRA)),
    Claim("its Intra2 is", "intra2", INTRA, "<", besides(INTRA)),
    Claim("its Inter1 is", "inter1", INTRA, "<", besides(INTRA)),
    Claim("its Inter2 is", "inter2", INTRA, "<", besides(INTRA)),
    Claim("the inter-loss drives identities apart (Inter1)", "inter1", INTER, ">", (NS,)),
    Claim("its class centres are the farthest apart (W-Inter)", "w_inter", INTER, ">",
          (NS, "arcface", INTRA)),
    Claim("identities are farther apart under ArcFace than under the triplet loss (Inter1)",
          "inter1", "arcface", ">", ("triplet",)),
    Claim("held-out ones too (Inter2)", "inter2", "arcface", ">", ("triplet",)),
    Claim("mated and non-mated held-out pairs overlap less", "overlap", "arcface", "<",
          ("triplet",), "%"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    keys = [
        {"seed": seed, "loss": loss, "steps": CONFIG.run.steps}
        for seed in options.seeds
        for loss in FAMILY
    ]
    runs = records.measure(RUNS, keys, measured)
    page.write("angles", text(runs))


def measured(
    seed: int,
    loss: str,
    steps: int,
    config: TrainConfig = CONFIG,
    network: Callable[[int], nn.Module] = Network,
) -> records.Run:
    identities = list(range(IDENTITIES + HELD_OUT))
    seen = pictures.kept(
        records.FOLDER / f"products-{IDENTITIES}x{SHOTS}-{SIZE}px.npz",
        lambda: pictures.products(
            identities[:IDENTITIES], identities[IDENTITIES:], SHOTS, OTHERS, SIZE
        ),
    )
    config = config.replace(run={"seed": seed, "steps": steps})
    trained = Training(loss, config, seen.pixels, seen.labels, network)
    watched = np.linspace(0, len(seen.labels) - 1, WATCHED).astype(int)
    theta: list[list[int]] = []
    for step in (0, steps // 2, steps):
        trained.to(step)
        directions = centres(trained.objective)
        if directions is not None:
            embeddings = trained.embed(seen.pixels[watched])
            cosines = (embeddings * directions[seen.labels[watched]]).sum(1)
            angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
            theta.append(np.histogram(angles, 180, (0.0, 180.0))[0].tolist())
    learned = evaluation.centre_angles(
        trained.embed(seen.pixels), seen.labels, centres(trained.objective)
    )
    others = trained.embed(seen.other_pixels)
    held_out = evaluation.centre_angles(others, seen.other_labels)
    pairs = evaluation.angles_from_embeddings(others, seen.other_labels)
    shares = [counts / counts.sum() for counts in (pairs.mated, pairs.impostor)]
    return {
        "w_ec": degrees(learned.w_ec),
        "w_inter": degrees(learned.w_inter),
        "intra1": degrees(learned.intra),
        "inter1": degrees(learned.inter),
        "intra2": degrees(held_out.intra),
        "inter2": degrees(held_out.inter),
        "overlap": float(100 * np.minimum(*shares).sum()),
        "theta": theta,
        "mated": pairs.mated.tolist(),
        "impostor": pairs.impostor.tolist(),
    }


def degrees(radians: float | None) -> float | None:
    return None if radians is None else math.degrees(radians)


def text(runs: list[records.Run]) -> str:
    seeds = records.by_seed(runs)
    if not seeds:
        return ""
    thetas = [run["theta"] for losses in seeds.values() for run in losses.values() if run["theta"]]
    three = page.picture(
        "training", training(seeds), "Angles to the own centre at start, middle and end"
    )
    two = page.picture(
        "pairs",
        paired(seeds, ("arcface", "triplet"), 2, 3.6),
        "Angles of held-out pairs, ArcFace beside the triplet loss",
    )
    all_ = page.picture(
        "all_pairs", paired(seeds, tuple(FAMILY), 4, 1.9), "Angles of held-out pairs, every loss"
    )
    return f"""\
## Figure 4a: angles to the own centre, over training

{three}

{IDENTITIES} rendered products, {SHOTS} photos each, {SIZE} pixels; a network of three convolutions,
{CONFIG.encoder.dim} dimensions, {CONFIG.run.steps} steps of {CONFIG.data.batch} pictures,
s = {CENTRES.scale:.0f}, margins as published, growing over the first
{CENTRES.margin_full:.0%} of the steps; all seeds
together. The mean angle falls from the start to the middle and on to the end in
{sum(falling(theta) for theta in thetas)} of {len(thetas)} trainings.

## Table 3: angles after training

Degrees, mean over the seeds ± half the range. W is a class's centre in the loss, EC the direction
of the mean of its embeddings. W-EC: between the two. W-Inter, Inter: from a class to the nearest
other one, by W and by EC. Intra: from a picture to the EC of its class. 1: the pictures learned
from. 2: {HELD_OUT} products held out, {OTHERS} photos each. Overlap: what the two histograms of
figure 7 share. The regularisers have weight 1, as in the paper; in a training as short as this one
they move little.

{claims.table(seeds, TABLE)}

What the paper says of it, of the five in its table ({", ".join(FIVE)}):

{claims.verdicts(CLAIMS, seeds)}

## Figures 6 and 7: pairs of held-out pictures

{two}

Every loss:

{all_}

{records.time_taken(runs)}.
"""


if __name__ == "__main__":
    main()
