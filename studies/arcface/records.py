"""What was measured, a line a run, so that a study that was stopped goes on from there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from .family import FAMILY

Run = dict[str, Any]
FOLDER = Path("runs/arcface")


def measure(path: Path, keys: Sequence[Run], run: Callable[..., Run]) -> list[Run]:
    """The run of every key: from the file, or else measured now, by `run(**key)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for key in keys:
        if any(key.items() <= known.items() for known in read(path)):
            continue
        began = time.perf_counter()
        found = key | run(**key)
        found |= {"seconds": round(time.perf_counter() - began, 1)}
        found |= {"cores": torch.get_num_threads()}
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        shown = {name: value for name, value in found.items() if not isinstance(value, list)}
        print(json.dumps(shown), flush=True)
    known = read(path)
    return [found for key in keys for found in known if key.items() <= found.items()]


def read(path: Path) -> list[Run]:
    """The runs of a file; a line cut short by a crash is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def by_seed(runs: Iterable[Run], family: Collection[str] = FAMILY) -> dict[int, dict[str, Run]]:
    """The runs of each seed that has all losses of a family, by loss, in the family's order."""
    found: dict[int, dict[str, Run]] = {}
    for run in runs:
        found.setdefault(run["seed"], {})[run["loss"]] = run
    return {
        seed: {name: losses[name] for name in family}
        for seed, losses in sorted(found.items())
        if losses.keys() >= set(family)
    }


def time_taken(runs: Iterable[Run]) -> str:
    """In words."""
    runs = list(runs)
    cores = max(run["cores"] for run in runs)
    minutes = sum(run["seconds"] for run in runs) / 60
    return f"{len(runs)} trainings in {minutes:.0f} minutes of {cores} core{'s' * (cores > 1)}"
