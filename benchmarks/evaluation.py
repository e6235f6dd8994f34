"""Protocols at their published sizes, against the obvious way with numpy and scikit-learn.

    python benchmarks/evaluation.py [--lines ijbc folds ...] [--threads 2] [--scale 1]
        [--write docs/performance.md]

From embeddings, or from scores where a protocol starts there, to the printed table. Each line runs
in a process of its own. Libraries are loaded, and a small problem solved, before anything is
counted; what takes less than a second is the median of 11. Peak memory is VmHWM: embeddings, pairs
and libraries included; "its own" is how much of it came on top of these. The embeddings are
identities at random with images around them, from a seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from measured import page

TASKS = ("ijbc", "folds", "all_pairs", "bootstrap", "search")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", nargs="+", choices=TASKS, default=TASKS, metavar="LINE",
                        help=", ".join(TASKS))  # fmt: skip
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the published sizes")
    parser.add_argument("--write", type=Path, metavar="MD", help="put the table into this page")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(child(**json.loads(options.job))))
        return

    from protocols import table

    records = []
    for task in options.lines:
        for way in ("arcwise", "peer"):
            record = run({"task": task, "way": way, "scale": options.scale}, options.threads)
            records.append(record)
            print(f"{task}, {way}: {summary(record)}", flush=True)
    print(f"\n{table.table(records)}")
    if options.write:
        table.write(options.write, records)


def run(job: dict[str, Any], threads: int) -> dict[str, Any]:
    """Return the record that the job's own process prints."""
    count = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(
        command, env=os.environ | count, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{job['task']}, {job['way']}: its process failed with {done.returncode}")
    record = json.loads(done.stdout.splitlines()[-1])
    return job | record | {"threads": threads} | page.machine("numpy", "scikit-learn")


def child(task: str, way: str, scale: float) -> dict[str, Any]:
    """One job, in the process that is its own."""
    from protocols import lines, measure

    about = lines.TASKS[task].ours if way == "arcwise" else lines.TASKS[task].peer()
    try:
        return {"about": about.about} | measure.run(task, way == "arcwise", scale)
    except measure.Absent as error:
        return {"about": about.about, "absent": str(error)}


def summary(record: dict[str, Any]) -> str:
    if "absent" in record:
        return record["absent"]
    peak = f"{record['peak'] / 2**20:,.0f} MiB" if record["peak"] else "memory not measured"
    return f"{page.seconds(record['seconds'])} s, {peak}"


if __name__ == "__main__":
    main()
