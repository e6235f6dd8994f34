"""What training costs beyond the network: `python benchmarks/training.py DATA [--size 96]`.

Trains the small encoder by `arcwise`'s own loop on the pictures of DATA (decoding, augmentation,
logging and all) and, in the same process, the same encoder, head and optimiser on random tensors:
the limit. The two take turns, so that a machine that is busy for a while is busy for both. The
first epoch, in which pictures are decoded, is timed on its own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.objectives import Batch
from arcwise.recipes import recipe
from arcwise.training import build, loop
from arcwise.training.config import TrainConfig
from arcwise.training.run import Run
from arcwise.training.step import update


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=80, help="of each turn")
    options = parser.parse_args()
    manifest = open_manifest(options.data)
    epoch = len(manifest) // recipe("products-small").data.batch + 1
    total = epoch + options.rounds * options.steps
    config = recipe("products-small").replace(
        encoder={"size": options.size, "train_crop": 0},
        data={"cache_size": 1.25, "holdout": 0.0},
        run={"steps": total, "validate_every": total, "checkpoint_every": total, "log_every": 1},
    )
    batch = config.data.batch
    limits: list[float] = []
    speeds: list[float] = []
    began = [time.perf_counter()]

    def report(step: int, values: dict[str, float]) -> None:
        if step == epoch:
            print(f"first epoch: {epoch * batch / elapsed(began):,.0f} images/s")
        elif step > epoch and (step - epoch) % options.steps == 0:
            speeds.append(options.steps * batch / elapsed(began))
        else:
            return
        limits.append(bare(config, manifest, options.steps))
        began[0] = time.perf_counter()

    train(config, manifest, report)
    limit, speed = statistics.median(limits), statistics.median(speeds)
    print(f"encoder on random tensors: {limit:,.0f} images/s (median of {len(limits)})")
    print(f"training:                  {speed:,.0f} images/s (median of {len(speeds)})")
    print(f"ratio: {speed / limit:.3f}")


def elapsed(began: list[float]) -> float:
    return time.perf_counter() - began[0]


def train(config: TrainConfig, manifest: Manifest, report: loop.Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loop.train(
            config,
            manifest,
            None,
            Path(folder),
            preparation=build.preparation(config.encoder),
            on_best=lambda encoder, step, result, last: None,
            report=report,
        )


def bare(config: TrainConfig, manifest: Manifest, steps: int) -> float:
    """Images a second of forward, backward and update on one random batch."""
    device = build.device(config.run)
    run = Run(config, manifest, device)
    count, size = config.data.batch, config.encoder.size
    images = torch.randn(count, 3, size, size)
    images = images.to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, len(manifest.classes), (count,), device=device)
    start = time.perf_counter()
    for _ in range(steps):
        update(
            run.encoder, run.objective, run.optimiser, Batch(images, labels),
            max_grad_norm=config.optim.max_grad_norm, autocast=build.autocast(config.run, device),
        )  # fmt: skip
    return steps * count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
