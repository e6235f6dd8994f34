"""Class centres of a head trained over many rendered identities: what a large softmax really meets.

    OMP_NUM_THREADS=1 python studies/many_identities.py --out runs/many_identities
        [--identities 20000] [--pictures 4] [--size 48] [--minutes 15 | --steps N] [--seed 0]

Renders the identities, trains the small encoder with ArcFace over all of them by `arcwise`'s own
verb, and writes to OUT

    centres.npz   centres (C, 512) of the last step, and embeddings (M, 512) of training pictures
                  with their labels (M,), all of unit length, float32. Views are augmented as in
                  training; batch normalisation uses its running statistics, not the batch's.
    centres.json  steps, loss and target cosine at the end; quantiles of the cosine of every centre
                  to its nearest and of all pairs of centres, and their angles in degrees.

It prints the loss on the way and that JSON at the end. Started again, it goes on from the pictures
and the checkpoint that are there. `--minutes` is turned into steps by timing a few first; `--steps`
makes runs on different machines the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise import evaluation
from arcwise.data.augment import Augment, augment, view_keys
from arcwise.data.formats.opening import open_manifest
from arcwise.data.loader import CachedImages, batches
from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Shuffled
from arcwise.synthetic import render_dataset
from arcwise.training import build, checkpoint, loop, metrics
from arcwise.training.config import TrainConfig
from arcwise.training.run import Run
from arcwise.training.validation import normalise
from arcwise.verbs.train import train

PART = 2500
"""Identities rendered at a time: what is lost when rendering is interrupted."""
EMBEDDED = 4096
"""At least so many training pictures are embedded."""
TIMED = 16
"""Steps that are timed to find how many there is time for."""
BINS = 18_000
"""Of the angles of all pairs: a hundredth of a degree each."""
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--identities", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=4, help="of each identity")
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--minutes", type=float, default=15.0, help="of training")
    parser.add_argument("--steps", type=int, default=0, help="of training, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = render(options.out, options.identities, options.pictures, options.size, options.seed)
    manifest = open_manifest(table)
    folder = options.out / "run"
    resume = any((folder / "checkpoints").glob("step-*.pt"))
    config = config_for(options.size, options.seed, options.steps or TIMED)
    if resume:
        print(f"{folder}: going on, with the settings and steps it began with", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # a run that never reached a checkpoint
        if not options.steps:
            config = config.replace(
                steps=max(1, round(60 * options.minutes / timed(config, manifest)))
            )
    trained = train(manifest, folder, config, resume=resume, report=say)
    if trained.outcome.finished:
        print(json.dumps(write(options.out, folder, manifest, trained.config), indent=1))
    else:
        print(f"stopped after {trained.outcome.steps:,} steps; the same command goes on from there")


def config_for(size: int, seed: int, steps: int) -> TrainConfig:
    """ArcFace as in its paper (s = 64, m = 0.5), the margin growing over the first part."""
    return TrainConfig(
        encoder="small",
        dim=512,
        size=size,
        view=round(size * 2 / 3),
        loss="arcface",
        margin=0.5,
        scale=64.0,
        margin_from=0.2,
        margin_full=0.6,
        steps=steps,
        batch=256,
        augment=Augment(
            zoom=0.7, aspect=0.1, rotation=0.15, flip=0.0,
            brightness=0.15, contrast=0.15, saturation=0.15, hue=0.05,
        ),
        canvas=1.25,
        lr=0.1,
        head_lr=0.1,
        workers=0,
        holdout=0.0,
        validate_every=steps,
        checkpoint_every=250,
        seed=seed,
    )  # fmt: skip


def render(out: Path, identities: int, pictures: int, size: int, seed: int) -> Path:
    """A table of shop photos of that many identities, a third larger than the network's input."""
    side = max(32, round(size * 4 / 3))
    folder = out / f"pictures-{pictures}x{side}px-seed{seed}"
    lines: list[str] = []
    for first in range(0, identities, PART):
        last = min(first + PART, identities)
        part = folder / f"{first}-{last - 1}"
        if not (part / "manifest.csv").exists():
            print(f"rendering identities {first:,} to {last - 1:,}", flush=True)
            shutil.rmtree(part, ignore_errors=True)  # photos without the table that lists them
            render_dataset(part, range(first, last), pictures, studio=0, size=side, seed=seed)
        header, *rows = (part / "manifest.csv").read_text().splitlines()
        lines += [] if lines else [header]
        lines += [f"{part.name}/{row}" for row in rows]
    table = folder / f"first-{identities}.csv"
    replace_with(table, ("\n".join(lines) + "\n").encode())
    return table


def timed(config: TrainConfig, manifest: Manifest) -> float:
    """Seconds a step takes, reading pictures for the first time included."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        loop.train(
            config.replace(log_every=1),
            manifest,
            None,
            Path(folder),
            preparation=build.preparation(config),
            keep=lambda encoder, step, result, last: None,
            report=lambda step, values: times.append(time.perf_counter()),
        )
    return statistics.median(np.diff(times).tolist())


def say(step: int, values: dict[str, float]) -> None:
    if step % 100 == 0 and "loss" in values:
        print(f"step {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)


def write(out: Path, folder: Path, manifest: Manifest, config: TrainConfig) -> dict[str, Any]:
    """Write both files; what the smaller one says."""
    run = Run(config, len(manifest.classes), build.device(config))
    run.restore(*checkpoint.load(folder / "checkpoints"))
    centres = functional.normalize(run.head.state_dict()["centres"].float().cpu())
    embeddings, labels = embed(run, manifest, config)
    path = out / "centres.npz"
    beside = path.with_name("centres.part.npz")
    np.savez(beside, centres=centres.numpy(), embeddings=embeddings.numpy(), labels=labels.numpy())
    os.replace(beside, path)
    cosines = embeddings @ centres.T
    target = cosines.gather(1, labels[:, None]).squeeze(1)
    other = cosines.scatter(1, labels[:, None], -1.0).amax(1)
    losses = [row["loss"] for row in metrics.read(folder / "metrics.jsonl") if "loss" in row]
    found = {
        "identities": len(centres),
        "pictures": len(manifest),
        "steps": run.step,
        "batch": config.batch,
        "epochs": round(run.step * config.batch / len(manifest), 2),
        "size": config.size,
        "view": config.view,
        "scale": config.scale,
        "margin": config.margin,
        "loss": round(statistics.mean(losses[-10:]), 4),
        "embedded": len(labels),
        "views": "augmented as in training, running statistics in batch normalisation",
        "target_cosine": round(float(target.mean()), 4),
        "target_nearest": round(float((target > other).float().mean()), 4),
        "target": quantiles(target.numpy()),
        "hardest_other": quantiles(other.numpy()),
        "nearest_centre": quantiles(nearest(centres)),
        "pairs_of_centres": quantiles_of_pairs(centres.numpy()),
    }
    replace_with(out / "centres.json", (json.dumps(found, indent=1) + "\n").encode())
    return found


@torch.no_grad()
def embed(run: Run, manifest: Manifest, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """(M, D) unit embeddings and (M,) labels of shuffled training pictures, in fresh views."""
    device = build.device(config)
    preparation = build.preparation(config)
    canvas = round((config.view or config.size) * config.canvas)
    larger = replace(preparation, height=canvas, width=canvas)
    pictures = CachedImages(manifest, manifest.labels, larger, 0)
    sampler = Shuffled(np.arange(len(manifest)), config.batch, config.seed + 1)
    plan = (sampler.batch(step) for step in range(math.ceil(EMBEDDED / config.batch)))
    run.encoder.eval()
    found, labels = [], []
    for step, batch in enumerate(batches(pictures, plan, workers=0)):
        keys = view_keys(config.seed + 1, step, batch.positions)
        views = augment(batch.pixels.to(device), config.augment, config.view or config.size, keys)
        with build.autocast(config, device):
            embeddings = run.encoder(normalise(views, preparation))
        found.append(functional.normalize(embeddings.float()).cpu())
        labels.append(batch.labels)
    return torch.cat(found), torch.cat(labels)


def nearest(centres: Tensor) -> np.ndarray:
    """(C,) cosines of every centre to the nearest other one."""
    found = []
    for start in range(0, len(centres), 1024):
        block = centres[start : start + 1024] @ centres.T
        rows = torch.arange(len(block))
        block[rows, start + rows] = -1.0
        found.append(block.amax(1))
    return torch.cat(found).numpy()


def quantiles(cosines: np.ndarray) -> dict[str, dict[str, float]]:
    """Of cosines, by share; and their angles in degrees."""
    return spelled(np.quantile(cosines.astype(np.float64), SHARES))


def quantiles_of_pairs(centres: np.ndarray) -> dict[str, dict[str, float]]:
    """The same of all pairs of centres, to a hundredth of a degree."""
    angles = evaluation.angles_from_embeddings(centres, np.arange(len(centres)), BINS)
    below = np.cumsum(angles.impostor) / angles.impostor.sum()
    middle = (angles.edges[:-1] + angles.edges[1:]) / 2
    # The share of pairs with a smaller cosine is the share with a larger angle.
    places = [int(np.searchsorted(below, 1 - share)) for share in SHARES]
    return spelled(np.cos(middle[places]))


def spelled(cosines: np.ndarray) -> dict[str, dict[str, float]]:
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    names = [f"{share:.0%}" for share in SHARES]
    return {
        "cosine": dict(zip(names, cosines.round(4).tolist(), strict=True)),
        "degrees": dict(zip(names, angles.round(2).tolist(), strict=True)),
    }


def replace_with(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".part")
    beside.write_bytes(data)
    os.replace(beside, path)


if __name__ == "__main__":
    main()
