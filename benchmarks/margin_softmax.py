"""A margin-softmax step compared with its arithmetic floor and its peers.

    python benchmarks/margin_softmax.py [--batch 128 512] [--classes 10000 100000 1000000]
        [--lines none fp32 pml ...] [--trained FILE.npz] [--threads 2] [--errors] [--gpu]
        [--out runs/margin_softmax.jsonl] [--again] [--write docs/performance.md]

A step is loss, both gradients and SGD with momentum and weight decay, at d = 512, s = 64 and
ArcFace's m = 0.5. Each line runs in a process of its own on one core with one thread; times are
CPU time, medians after a warm-up. The floor, three fp32 matrix products of the full size, takes
turns with the steps. Peak memory is the growth of resident memory beyond X, W and momentum.
Results are appended as they come: a stopped run goes on where it was; `--again` measures anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from head_step import lines, table
from measured import page

TRAINED_CLASSES = 100_000
RESAMPLED = 4096
"""Embeddings whose cosines are compared with the measured ones."""

KEY = ("kind", "line", "data", "batch", "classes", "threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--classes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    names = ["floor", *lines.LINES]
    parser.add_argument("--lines", nargs="*", choices=names, default=names, metavar="LINE",
                        help=", ".join(names))  # fmt: skip
    trained = "centres, embeddings and labels of a model: the truncated lines on them, resampled"
    parser.add_argument("--trained", type=Path, metavar="NPZ", help=trained)
    parser.add_argument("--threads", type=int, help="only wall time: one thread and this many")
    parser.add_argument("--errors", action="store_true", help="only gradients against float64")
    parser.add_argument("--gpu", action="store_true", help="only the CUDA device")
    parser.add_argument("--out", type=Path, default=Path("runs/margin_softmax.jsonl"))
    parser.add_argument("--again", action="store_true", help="measure also what is in --out")
    parser.add_argument("--write", type=Path, metavar="MD", help="put the tables into this page")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(child(json.loads(options.job))))
        return
    failed = measure(options)
    records = read(options.out)
    if options.write:
        table.write(options.write, list(records.values()))
    sys.exit(f"{failed} lines failed" if failed else 0)


def measure(options: argparse.Namespace) -> int:
    """Run what is not in the file yet, a process each; how many failed."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    for job in jobs(options):
        done = read(options.out).get(tuple(job.get(name) for name in KEY))
        if done and "absent" not in done and not options.again:
            continue
        result = run(job)
        name = " ".join(str(job[key]) for key in KEY if key in job)
        if result is None:
            failed += 1
            print(f"{name}: failed", flush=True)
            continue
        record = {name: job[name] for name in KEY if name in job} | result | page.machine("torch")
        with options.out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(f"{name}: {summary(record)}", flush=True)
    return failed


def jobs(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One description a process; its `KEY`s name the record."""
    if options.gpu or options.errors:
        yield {"kind": "gpu"} if options.gpu else {"kind": "errors", "lines": options.lines}
        return
    own = [name for name in options.lines if name in lines.LINES and lines.LINES[name].ours]
    for classes in options.classes:
        for batch in options.batch:
            size = {"batch": batch, "classes": classes, "data": "init"}
            if options.threads:
                for name in own:
                    for threads in (1, options.threads):
                        yield {"kind": "threads", "line": name, **size, "threads": threads}
                continue
            for name in options.lines:
                yield {"kind": "step", "line": name, **size, "threads": 1}
    if options.trained and not options.threads:
        trained = {"data": "trained", "trained": str(options.trained), "classes": TRAINED_CLASSES}
        yield {"kind": "resampled", **trained}
        for batch in options.batch:
            for name in own:
                if lines.LINES[name].truncated:
                    yield {"kind": "step", "line": name, "batch": batch, "threads": 1, **trained}


def run(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of a process; None when it failed, after its own message."""
    threads = str(job.get("threads", 1))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 2:
        sys.exit(2)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def child(job: dict[str, Any]) -> dict[str, Any]:
    """One job, in the process that is its own."""
    from head_step import errors, gpu, measure, resample

    if job["kind"] == "gpu":
        return gpu.run()
    try:
        measure.pin(job.get("threads", 1))
        if job["kind"] == "errors":
            return {"entries": errors.table(job["lines"])}
        if job["kind"] == "resampled":
            trained = resample.Trained.open(job["trained"])
            entries = trained.compare(job["classes"], RESAMPLED)
            count = len(trained.centres)
            return {"entries": entries, "levels": resample.QUANTILES, "trained": count}
        size = job["batch"], job["classes"]
        wall = job["kind"] == "threads"
        return measure.run(measure.Job(job["line"], *size, job.get("trained", ""), wall=wall))
    except lines.Absent as error:
        return {"absent": str(error)}


def read(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The last record of each key."""
    text = path.read_text() if path.exists() else ""
    records = [json.loads(line) for line in text.splitlines()]
    return {tuple(record.get(name) for name in KEY): record for record in records}


def summary(record: dict[str, Any]) -> str:
    if "seconds" in record:
        extra = record["extra_bytes"]
        return (
            f"{record['seconds']:.3f} s, floor {record['floor']:.3f} s, ratio "
            f"{record['ratio']:.2f}, extra memory "
            + (f"{extra / 2**20:.0f} MiB" if extra is not None else "not measured")
        )
    if "floor" in record:
        work = 6 * record["batch"] * record["classes"] * 512
        return f"{record['floor']:.3f} s, {work / record['floor'] / 1e9:.0f} GFLOP/s"
    return record.get("absent", "done")


if __name__ == "__main__":
    main()
