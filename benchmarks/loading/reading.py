"""Images per second from every form, compared with the limit and a plain PyTorch data set."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from arcwise.data.formats.opening import open_manifest
from arcwise.data.loader import CachedImages, batches
from arcwise.data.manifest import Manifest
from arcwise.images import Preparation

from .forms import FORMS, written
from .process import Running

SIZE, BATCH = 112, 64
SECONDS = 0.5
"""Of one turn: long enough for many batches, short enough for a machine that is slow at times."""
LIMIT, PEER = "limit", "pillow"
LINES = (PEER, *FORMS)
CORES = (1, 2)


def measure(images: Manifest, folder: Path, rounds: int, _: int) -> list[dict[str, Any]]:
    """Return a row per line: its rates with one worker and with two, and the ratios."""
    places = {form: str(written(images, folder, form)) for form in FORMS}
    rows, limits = [], []
    for line in LINES:
        task = {
            "line": line,
            "place": places.get(line, places["folder"]),
            "files": places["folder"],
        }
        results = Running(job, [0, 1], turns=4 * rounds, **task).result()
        limits += results["limit"]
        rows.append({"line": line} | _row(results["line"], results["limit"]))
    return [{"line": LIMIT} | _row(limits, limits), *rows]


def _row(rates: list[list[float]], limits: list[list[float]]) -> dict[str, float]:
    """Return the medians over the turns, each of which has a rate for one core and one for two."""
    one, two = zip(*rates, strict=True)
    of_one, of_two = zip(*limits, strict=True)
    return {
        "one": statistics.median(one),
        "of_limit": _ratio(one, of_one),
        "two": statistics.median(two),
        "of_two_limits": _ratio(two, of_two),
        "two_to_one": _ratio(two, one),
    }


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def job(line: str, place: str, files: str, turns: int) -> dict[str, list[list[float]]]:
    """Images per second of the line and of the limit, on one core and on two, turn by turn."""
    cv2.setNumThreads(0)
    loops = [Loop(files, core) for core in range(max(CORES))]
    way = _pillow if line == PEER else _ours
    streams = {}
    for cores in CORES:
        os.sched_setaffinity(0, range(cores))  # which the workers inherit
        streams[cores] = way(Path(place), cores)
        next(streams[cores])
    results: dict[str, list[list[float]]] = {"line": [], LIMIT: []}
    for _turn in range(turns):
        limits, rates = [], []
        for cores in CORES:
            limits.append(sum(rate for rate in _together(loops[:cores])))
            os.sched_setaffinity(0, range(cores))
            rates.append(_rate(streams[cores], cores))
            time.sleep(0.2)  # the workers read ahead as far as they may, and rest
        results[LIMIT].append(limits)
        results["line"].append(rates)
    for loop in loops:
        loop.process.kill()
    return results


def _rate(counts: Iterator[int], workers: int) -> float:
    for _read_ahead in range(5 * workers):
        next(counts)
    done, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < SECONDS:
        done += next(counts)
    return done / taken


class Loop:
    """A process that decodes on request: the limit."""

    def __init__(self, folder: str, core: int) -> None:
        context = multiprocessing.get_context("fork")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_bare, args=(folder, core, theirs), daemon=True)
        self.process.start()


def _together(loops: Sequence[Loop]) -> list[float]:
    for loop in loops:
        loop.ours.send(SECONDS)
    return [loop.ours.recv() for loop in loops]


def _bare(folder: str, core: int, connection: Connection) -> None:
    """Decode with OpenCV in a loop, over files that are in memory."""
    os.sched_setaffinity(0, [core])
    files = itertools.cycle([path.read_bytes() for path in _files(Path(folder))])
    while True:
        seconds = connection.recv()
        done, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < seconds:
            for data in itertools.islice(files, BATCH):
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
                cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            done += BATCH
        connection.send(done / taken)


def _pillow(folder: Path, workers: int) -> Iterator[int]:
    """The simplest loader: a data set over the files of a folder."""
    files = _Files(_files(folder))
    plan = (rows.tolist() for rows in _in_order(len(files)))
    for batch in DataLoader(files, batch_sampler=plan, num_workers=workers, prefetch_factor=4):  # type: ignore[arg-type]
        yield len(batch)


def _ours(place: Path, workers: int) -> Iterator[int]:
    """The trainer's loader, in the order of the file; no image is kept for the next epoch."""
    manifest = open_manifest(place)
    nothing = np.zeros(len(manifest), np.int64)
    images = CachedImages(manifest, nothing, Preparation(SIZE, SIZE), cache_bytes=0)
    for batch in batches(images, _in_order(len(manifest)), workers=workers):
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
