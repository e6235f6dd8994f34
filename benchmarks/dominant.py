"""A step over dominant classes beside one over all and one over random classes.

    python benchmarks/dominant.py [--classes 100000 1000000] [--refresh 100000]
        [--write docs/performance.md]

A step is loss, both gradients and SGD with momentum and weight decay, at D = 512 with 128
embeddings, s = 64 and ArcFace's m = 0.5; random and dominant classes are 1,024 a step. Each line is
a process of its own on one core with one thread. Times are CPU time, the median after a warm-up.
Memory of a step is its peak beyond what was resident before; kept are centres, momentum and queues.
The queues are drawn at random for that: what is in them does not change the work. A refresh, the
search for the neighbours of every class, is timed once, over random centres, which is the
hardest case for its index, for the classes named by --refresh.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measured import memory, page

BATCH, DIM, ACTIVE = 128, 512, 1024
RULE = {"lr": 1e-5, "momentum": 0.9, "weight_decay": 5e-4}
LINES = {"all": "all classes", "random": "random classes (Partial FC)", "dominant": "dominant"}
REPETITIONS = {"all": 3, "random": 11, "dominant": 11}
BEGIN = "<!-- measured: written by benchmarks/dominant.py -->"
END = "<!-- end of what dominant classes measured -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--refresh", type=int, nargs="*", default=[100_000])
    parser.add_argument("--write", type=Path, metavar="MD", help="put the tables into this page")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(child(**json.loads(options.job))))
        return
    jobs = [{"line": line, "classes": count} for count in options.classes for line in LINES]
    jobs += [{"line": "refresh", "classes": count} for count in options.refresh]
    records = []
    for job in jobs:
        records.append(job | run(job))
        print(records[-1], flush=True)
    if options.write:
        page.write(options.write, BEGIN, END, text(records))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a process of one thread measured."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(line: str, classes: int) -> dict[str, Any]:
    import torch

    from arcwise.heads import All, CentreHead, CentreSGD, Dominant, Sampled
    from arcwise.margins import ArcFace

    torch.manual_seed(0)
    if line == "refresh":
        centres = torch.randn(classes, DIM)
        queues = Dominant(classes)
        start = time.process_time()
        queues.refresh(centres)
        return {"seconds": time.process_time() - start}
    selection = All() if line == "all" else Sampled(ACTIVE / classes)
    if line == "dominant":
        selection = Dominant(classes, active=ACTIVE)
        for queue in (selection.candidates, selection.dominant):
            queue.random_(0, classes)
        selection.refreshed.zero_()
    head = CentreHead(classes, DIM, margin=ArcFace(0.5), scale=64.0, selection=selection)
    optimiser = CentreSGD(head, **RULE)
    x, y = torch.randn(BATCH, DIM).requires_grad_(), torch.randint(0, classes, (BATCH,))

    def step() -> float:
        start = time.process_time()
        optimiser.zero_grad()
        head.loss(x, y).backward()
        optimiser.step()
        return time.process_time() - start

    step()
    state = optimiser.state[head.centres]["momentum_buffer"]
    kept = [head.centres, state, *head.buffers()]
    torch.add(state, 1e-9, out=state)  # untouched pages are not resident
    memory.settle()
    before = memory.resident()
    memory.reset_peak()
    times = [step() for _ in range(REPETITIONS[line])]
    return {
        "seconds": statistics.median(times),
        "step_bytes": memory.peak() - before,
        "kept_bytes": sum(one.numel() * one.element_size() for one in kept),
    }


def text(records: list[dict[str, Any]]) -> str:
    """Return the section of the page."""
    rows = [
        [
            LINES[one["line"]],
            f"{one['classes']:,}",
            page.seconds(one["seconds"]),
            f"{one['step_bytes'] / 2**20:.0f}",
            f"{one['kept_bytes'] / 2**20:,.0f}",
        ]
        for one in records
        if one["line"] in LINES
    ]
    names = ["classes of a step", "C", "step, s", "memory of a step, MiB", "kept, MiB"]
    where = page.machine("torch", "faiss-cpu")
    lines = [
        "## Dominant classes",
        "",
        "Written by `python benchmarks/dominant.py --write docs/performance.md`, whose first lines",
        f"say what is measured and how: {BATCH} embeddings of {DIM} dimensions, {ACTIVE:,} random",
        "or dominant classes a step. What is kept of dominant classes is in host memory.",
        "",
        f"Measured {where['date']} on {where['machine']}, torch {where['torch']}, faiss-cpu "
        f"{where['faiss-cpu']}.",
        "",
        page.markdown(names, rows),
    ]
    lines += [
        f"A search for the neighbours of {one['classes']:,} classes, every `queue_refresh` steps: "
        f"{page.seconds(one['seconds'])} s.\n"
        for one in records
        if one["line"] == "refresh"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
