"""How long the trainer waits for pictures."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.recipes import recipe
from training import train

from .forms import FORMS, written
from .process import Running

EPOCHS = 3


def measure(pictures: Manifest, folder: Path, rounds: int, _: int) -> list[dict[str, Any]]:
    """A row a form: the share of each epoch that is spent waiting.

    Every epoch decodes anew; the last row keeps what the first epoch decoded, as training does
    where it fits into memory.
    """
    rows = []
    for form in (*FORMS, "rec"):
        keep_gb = recipe("products-small").data.cache_gb if len(rows) == len(FORMS) else 0.0
        place = str(written(pictures, folder, form))
        name = f"{form}, kept once decoded" if keep_gb else form
        rows.append({"line": name} | Running(job, [0, 1], place=place, keep_gb=keep_gb).result())
    return rows


def job(place: str, keep_gb: float) -> dict[str, Any]:
    """A short training by the `products` recipe."""
    manifest = open_manifest(place)
    steps = EPOCHS * -(-len(manifest) // recipe("products-small").data.batch)
    config = recipe("products-small").replace(
        data={"holdout": 0.0, "cache_gb": keep_gb},
        run={"steps": steps, "validate_every": steps, "checkpoint_every": steps},
    )
    epochs: list[dict[str, float]] = []
    train(config, manifest, lambda _, row: epochs.append(row) if "epoch" in row else None)
    return {
        "rate": statistics.median(one["images_per_second"] for one in epochs),
        "waiting": [one["waiting"] for one in epochs],
    }
