"""How long a command takes from a cold start, and where the time goes.

    OMP_NUM_THREADS=1 python benchmarks/cold_start.py [--runs 10] [--write docs/performance.md]

`arcwise search` with one image of 400 × 300 pixels, in a gallery of 300 templates, by an exported
network that has learnt nothing; `arcwise --help`; and Python alone. Each run is a new process, from
its start to its end. Files are in the system's cache and the bytecode of every module is compiled,
as `pip install` leaves it. The parts are timed in processes of their own, in the order in which a
search needs them, each right after the search that it is compared with. Times are medians over the
runs, in milliseconds; processor time is user and system time, which other work on the machine
lengthens less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from measured import page

BEGIN, END = "<!-- cold start: begin -->", "<!-- cold start: end -->"
DIM, SIDE, TEMPLATES = 128, 96, 300

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "arcwise --help": ["-m", "arcwise", "--help"],
    "arcwise search": ["-m", "arcwise", "search", "shop.gallery", "query.jpg"],
}

PARTS = """
import json, time
times, start = {}, time.perf_counter()

def lap(name):
    global start
    now = time.perf_counter()
    times[name], start = 1000 * (now - start), now

import numpy
lap("importing numpy")
import cv2
lap("importing OpenCV")
import onnxruntime
lap("importing ONNX Runtime")
import tyro, typeguard
lap("importing tyro, with typeguard and asyncio")
import arcwise.cli.search
lap("importing Arcwise, with what is left of the standard library")
from arcwise import gallery, runtime
model = runtime.load("model")
lap("model: digests, session, self-check")
store = gallery.open_gallery("shop.gallery", mode="r", model=model)
lap("gallery")
vectors = model.embed(["query.jpg"])
lap("embedding the image")
store.search(vectors)
lap("searching")
print(json.dumps(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        once(folder)  # compiles the bytecode
        runs = [once(folder) for _ in range(options.runs)]
    section = text([times for times, _ in runs], [parts for _, parts in runs])
    print(section)
    if options.write:
        page.write(options.write, BEGIN, END, section)


def prepare(folder: Path) -> None:
    """Make a model folder, a gallery and an image."""
    import torch

    from arcwise import encoders, open_gallery, runtime
    from arcwise.images import Preparation
    from arcwise.verbs.export import export

    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    encoder = encoders.create("small", dim=DIM, size=(SIDE, SIDE))
    runtime.save(folder / "model", encoder, Preparation(height=SIDE, width=SIDE))
    export(folder / "model")
    vectors = rng.standard_normal((TEMPLATES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = runtime.load(folder / "model")
    with open_gallery(folder / "shop.gallery", create=True, model=model) as gallery:
        gallery.enrol([(f"product {row}", vector) for row, vector in enumerate(vectors)])
    image = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "query.jpg"), image)


Times = dict[str, tuple[float, float]]
"""Wall and processor time of each command."""


def once(folder: Path) -> tuple[Times, dict[str, float]]:
    """Return the times of each command, and those of the parts of a search."""
    times = {command: timed(folder, words) for command, words in COMMANDS.items()}
    parts = json.loads(run(folder, ["-c", PARTS]))
    start, whole = times["python -c pass"][0], times["arcwise search"][0]
    rest = whole - start - sum(parts.values())
    return times, {"Python itself": start, **parts, "parsing, printing, ending": rest}


def timed(folder: Path, words: list[str]) -> tuple[float, float]:
    """Return the wall and the processor time of one process, in milliseconds."""
    before, start = os.times(), time.perf_counter()
    run(folder, words)
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return 1000 * wall, 1000 * (used - before.children_user - before.children_system)


def run(folder: Path, words: list[str]) -> str:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def text(runs: list[Times], parts: list[dict[str, float]]) -> str:
    """Return the section of the page."""
    rows = []
    for command in COMMANDS:
        wall, processor = zip(*(times[command] for times in runs), strict=True)
        figures = statistics.median(wall), min(wall), max(wall), statistics.median(processor)
        rows.append([f"`{command}`", *(f"{figure:.0f}" for figure in figures)])
    named = {part: statistics.median(one[part] for one in parts) for part in parts[0]}
    whole = sum(named.values())
    where = page.machine("numpy", "onnxruntime", "tyro")
    return "\n".join(
        [
            "## Cold start",
            "",
            "Written by `python benchmarks/cold_start.py --write docs/performance.md`, whose first",
            f"lines say what is measured: a gallery of {TEMPLATES} templates, a new process each.",
            "",
            f"Measured {where['date']} on {where['machine']}, numpy {where['numpy']}, onnxruntime "
            f"{where['onnxruntime']}, tyro {where['tyro']}; load average {os.getloadavg()[1]:.1f}.",
            "",
            page.markdown(["command", "median, ms", "least", "most", "processor time, ms"], rows),
            page.markdown(
                ["part of a search", "ms", "share"],
                [[part, f"{ms:.0f}", f"{ms / whole:.0%}"] for part, ms in named.items()],
            ),
        ]
    )


if __name__ == "__main__":
    main()
