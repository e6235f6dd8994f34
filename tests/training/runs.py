"""Tiny runs, and what two of them must have in common."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import torch

from arcwise.data.augment import Augment
from arcwise.data.manifest import Manifest
from arcwise.training import build, checkpoint, loop
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from arcwise.training.losses import CentresConfig
from arcwise.training.metrics import read
from tests.settings import changed

TIMINGS = {"images_per_second", "waiting"}


def config(**changes: Any) -> TrainConfig:
    """8 steps of 8 images; every step is logged, every third saved, every fourth validated."""
    return changed(
        TrainConfig(
            encoder=EncoderConfig(name="small", dim=16, size=32),
            objective=CentresConfig(scale=16.0),
            data=DataConfig(batch=8, augment=Augment(zoom=0.6), workers=0, cache_gb=0.1),
            optim=OptimConfig(ema_decay=0.9),
            run=RunConfig(
                steps=8,
                precision="fp32",
                device="cpu",
                validate_every=4,
                checkpoint_every=3,
                log_every=1,
            ),
        ),
        **changes,
    )


def train(
    config: TrainConfig,
    images: Manifest,
    folder: Path,
    *,
    validation: Manifest | None = None,
    on_best: Any = lambda *args: None,
    report: Any = lambda step, values: None,
    resume: bool = False,
    **more: Any,
) -> loop.LoopResult:
    """One run of the loop in a folder that may not be there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return loop.train(
        config,
        images,
        validation,
        folder,
        preparation=build.preparation(config.encoder),
        on_best=on_best,
        report=report,
        resume=resume,
        **more,
    )


def press_ctrl_c_at(when: int) -> Any:
    """A report that presses Ctrl-C once, during that step."""

    def report(step: int, values: dict[str, float]) -> None:
        if step == when and "loss" in values:
            signal.raise_signal(signal.SIGINT)

    return report


def rows(folder: Path) -> list[dict[str, Any]]:
    """What metrics.jsonl says, the timings left out and so the epochs' rows."""
    found = [row for row in read(folder / "metrics.jsonl") if "epoch" not in row]
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in found]


def state(folder: Path) -> tuple[int, dict[str, Any]]:
    """The latest checkpoint: its step, and its leaves by their path."""
    step, content = checkpoint.load(folder / "checkpoints")
    return step, dict(_leaves("", content))


def differences(one: Path, other: Path) -> list[str]:
    """Every leaf of the latest checkpoints that is not equal bit for bit."""
    (step, first), (step_too, second) = state(one), state(other)
    found = [] if step == step_too else [f"step {step} and {step_too}"]
    found += sorted(first.keys() ^ second.keys())
    return found + [name for name in first.keys() & second.keys() if first[name] != second[name]]


def _leaves(path: str, value: Any) -> Any:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(f"{path}/{key}", inner)
    elif isinstance(value, torch.Tensor):
        yield path, (value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes())
    else:
        yield path, value
