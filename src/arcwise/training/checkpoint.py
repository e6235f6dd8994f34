"""Everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from arcwise import distributed
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write

ADVICE = "make room, or give it the rights, and go on with --resume"

LARGEST = 1e3
"""A weight that a network which has diverged exceeds, and no other; they stay under 100."""

KEPT = 2
"""How many checkpoints stay: the last, and the one before in case the last is lost."""


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state reached after `step` updates, whole or not at all; drop older ones.

    Raises:
        ArcwiseError: it cannot be written; the older ones are there.
    """
    path = folder / f"step-{step:08d}.pt"
    for left in folder.glob(".step-*.part"):  # by a process that was killed
        left.unlink()
    with atomic_write(path, advice=ADVICE) as part, part.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as problem:  # which torch makes of a full disk
            if isinstance(problem.__context__, OSError):
                raise problem.__context__ from None
            raise
        file.flush()
        os.fsync(file.fileno())
    for old in saved(folder)[:-KEPT]:
        old.unlink()
    return path


def load(folder: Path) -> tuple[int, dict[str, Any]]:
    """The latest checkpoint: the number of updates done, and the state.

    Raises:
        ArcwiseError: there is none, or it is damaged.
    """
    found = saved(folder)
    if not found:
        raise ArcwiseError(
            f"{folder}: no checkpoint to resume from, the run stopped before its first; begin it "
            f"again with --resume auto, or delete {folder.parent} and train again"
        )
    path = found[-1]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for one damaged file
        raise ArcwiseError(
            f"{path}: damaged checkpoint ({type(error).__name__}); delete it to resume from the "
            "one before"
        ) from error
    return step_of(path), state


def is_sane(state: dict[str, Any]) -> bool:
    """Whether every number of the networks is finite, and no weight is beyond reason."""
    tensors = [
        (name, one) for part in ("encoder", "objective") for name, one in state[part].items()
    ]
    return all(
        bool(one.isfinite().all()) and ("running" in name or float(one.abs().max()) < LARGEST)
        for name, one in tensors
        if one.is_floating_point() and one.numel()
    )


def drop_insane(folder: Path) -> None:
    """Remove the latest checkpoints whose weights have grown beyond reason."""
    while saved(folder) and not is_sane(load(folder)[1]):
        saved(folder)[-1].unlink()


def drop_latest(folder: Path) -> bool:
    """Whether there is another one, once the latest is removed; every rank has to ask."""
    left = saved(folder)[:-1]
    distributed.wait()  # all have looked
    if distributed.first():
        saved(folder)[-1].unlink()
    distributed.wait()
    return bool(left)


def step_of(path: Path) -> int:
    """The number of updates after which a checkpoint was saved."""
    return int(path.stem.split("-")[1])


def saved(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the latest last."""
    pattern = re.compile(r"step-\d{8,}\.pt")
    return sorted(p for p in folder.glob("step-*.pt") if pattern.fullmatch(p.name))
