"""Pictures a second out of every form, beside the limit and a plain PyTorch data set."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from arcwise.data.loader import Pictures, batches
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.images import Preparation

from .forms import FORMS, written
from .process import Running

SIZE, BATCH, SECONDS = 112, 64, 4.0
LIMIT, PEER = "limit", "pillow"
LINES = (LIMIT, PEER, *FORMS)


def measure(pictures: Manifest, folder: Path, rounds: int, _: int) -> list[dict[str, Any]]:
    """A row a line: its rates with one worker and with two, and the ratios."""
    places = {form: str(written(pictures, folder, form)) for form in FORMS}
    rates: dict[tuple[str, int], list[float]] = {}
    for _round in range(rounds):
        for cores in (1, 2):
            for line in LINES:
                place = places[line if line in FORMS else "folder"]
                rates.setdefault((line, cores), []).append(_rate(line, place, cores))
    return [
        {
            "line": line,
            "one": statistics.median(rates[line, 1]),
            "of_limit": _ratio(rates[line, 1], rates[LIMIT, 1]),
            "two": statistics.median(rates[line, 2]),
            "of_two_limits": _ratio(rates[line, 2], rates[LIMIT, 2]),
            "two_to_one": _ratio(rates[line, 2], rates[line, 1]),
        }
        for line in LINES
    ]


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def _rate(line: str, place: str, cores: int) -> float:
    if line == LIMIT:  # a loop has no workers: a second one is a second process
        loops = [Running(job, [core], line=line, place=place, workers=1) for core in range(cores)]
        return sum(loop.result() for loop in loops)
    return Running(job, range(cores), line=line, place=place, workers=cores).result()


def job(line: str, place: str, workers: int) -> float:
    """Pictures a second, once all workers have begun."""
    cv2.setNumThreads(0)
    way = {LIMIT: _bare, PEER: _pillow}.get(line, _ours)
    counts = way(Path(place), workers)
    list(islice(counts, 8 * workers))
    done, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < SECONDS:
        done += next(counts)
    return done / taken


def _bare(folder: Path, _: int) -> Iterator[int]:
    """OpenCV in a loop, over files that are in memory already."""
    files = [path.read_bytes() for path in _files(folder)]
    for rows in _in_order(len(files)):
        for row in rows:
            image = cv2.imdecode(np.frombuffer(files[row], np.uint8), cv2.IMREAD_COLOR_RGB)
            cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        yield len(rows)


def _pillow(folder: Path, workers: int) -> Iterator[int]:
    """What is written first: a data set over the files of a folder."""
    files = _Files(_files(folder))
    plan = (rows.tolist() for rows in _in_order(len(files)))
    for batch in DataLoader(files, batch_sampler=plan, num_workers=workers, prefetch_factor=4):  # type: ignore[arg-type]
        yield len(batch)


def _ours(place: Path, workers: int) -> Iterator[int]:
    """The trainer's loader, in the order of the file; no picture is kept for the next epoch."""
    manifest = open_manifest(place)
    nothing = np.zeros(len(manifest), np.int64)
    pictures = Pictures(manifest, nothing, Preparation(SIZE, SIZE), keep_bytes=0)
    for batch in batches(pictures, _in_order(len(manifest)), workers=workers):
        if batch.failures:
            raise batch.failures[0]
        yield len(batch.rows)


class _Files(Dataset[torch.Tensor]):
    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> torch.Tensor:
        image = Image.open(self.files[row]).convert("RGB")
        return torch.from_numpy(np.array(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def _in_order(rows: int) -> Iterator[np.ndarray]:
    """Whole batches, epoch after epoch."""
    while True:
        for start in range(0, rows - BATCH, BATCH):
            yield np.arange(start, start + BATCH)
