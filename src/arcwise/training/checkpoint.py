"""Everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from arcwise.errors import ArcwiseError

KEPT = 2
"""How many checkpoints stay: the last, and the one before in case the last is lost."""


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state reached after `step` updates, whole or not at all; drop older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    for old in _saved(folder)[:-KEPT]:
        old.unlink()
    return path


def load(folder: Path) -> tuple[int, dict[str, Any]]:
    """The latest checkpoint: the number of updates done, and the state.

    Raises:
        ArcwiseError: there is none, or it is damaged.
    """
    saved = _saved(folder)
    if not saved:
        raise ArcwiseError(
            f"{folder}: no checkpoint to resume from, the run stopped before its first; delete "
            f"{folder.parent} and train again, or give another --out"
        )
    path = saved[-1]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for one damaged file
        raise ArcwiseError(
            f"{path}: damaged checkpoint ({type(error).__name__}); delete it to resume from the "
            "one before"
        ) from error
    return int(path.stem.split("-")[1]), state


def _saved(folder: Path) -> list[Path]:
    pattern = re.compile(r"step-\d{8,}\.pt")
    return sorted(p for p in folder.glob("step-*.pt") if pattern.fullmatch(p.name))
