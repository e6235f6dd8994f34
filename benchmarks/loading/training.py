"""How long the trainer waits for pictures."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from arcwise.data.manifest import Manifest, open_manifest
from arcwise.recipes import recipe
from arcwise.training import build, loop

from .forms import FORMS, written
from .process import Running

EPOCHS = 3


def measure(pictures: Manifest, folder: Path, rounds: int, _: int) -> list[dict[str, Any]]:
    """A row a form: the share of each epoch that is spent waiting."""
    return [
        {"line": form} | Running(job, [0, 1], place=str(written(pictures, folder, form))).result()
        for form in FORMS
    ]


def job(place: str) -> dict[str, Any]:
    """A short training by the `products` recipe."""
    manifest = open_manifest(place)
    config = recipe("products")
    steps = EPOCHS * -(-len(manifest) // config.batch)
    config = replace(config, steps=steps, holdout=0.0, validate_every=steps, checkpoint_every=steps)
    with tempfile.TemporaryDirectory() as folder:
        loop.train(
            config,
            manifest,
            None,
            Path(folder),
            preparation=build.preparation(config),
            keep=lambda encoder, step, result, last: None,
            report=lambda step, values: None,
        )
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return {"epochs": [json.loads(line) for line in lines]}
