"""Clustering from embeddings to ids, in the shape of real sets; against Infomap where it is there.

    python benchmarks/clustering.py [--lines 10k 100k 1m] [--threads 2] [--keep results.json]
        [--write docs/performance.md]

The embeddings are synthetic: sizes of identities follow a power law with many singletons, images
lie around their identity at distances that differ, and identities come in look-alike families.
`100k` is 100,000 of 256 dimensions (promised: 3 minutes, 4 GB), `1m` a million of 128 (40 minutes,
12 GB). Peak memory is VmHWM of a process of its own, the embeddings included, Infomap not.
`infomap`, where that package is installed (GPL: a peer, no dependency), searches the same graph:
its seconds and code length stand beside ours. What `--keep` has already is not measured again; the
growth between the last two lines, and what it makes of 5.2 million images, is printed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from measured import page

BEGIN, END = "<!-- clustering: begin -->", "<!-- clustering: end -->"
LINES = {"10k": (10_000, 128), "100k": (100_000, 256), "1m": (1_000_000, 128)}
GOALS = {"100k": (180, 4), "1m": (2400, 12)}
"""Seconds on two cores, and GB."""

PUBLISHED_IMAGES, PUBLISHED_GB = 5_200_000, 37
"""MS1M, and the memory of GCN-V on it (issue 54 of Yang et al.'s repository, CVPR 2020)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", nargs="+", choices=LINES, default=["10k", "100k"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="JSON file of what was measured")
    parser.add_argument("--write", type=Path, help="page to put the tables into")
    parser.add_argument("--job", choices=LINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(measured(*LINES[options.job])))
        return
    kept: Path | None = options.keep
    records = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
    for line in options.lines:
        if line not in records:
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), options.threads)
            environment = os.environ | {name: str(count) for name, count in threads.items()}
            command = [sys.executable, __file__, "--job", line]
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            records[line] = json.loads(done.stdout)
            if kept is not None:
                kept.write_text(json.dumps(records, indent=1) + "\n")
        print(tables(records), flush=True)
    section = tables({line: records[line] for line in LINES if line in records})
    if len(records) > 1:
        section += "\n" + growth(*(records[line] for line in LINES if line in records))
    print(section)
    if options.write:
        page.write(options.write, BEGIN, END, head(options) + section)


def head(options: argparse.Namespace) -> str:
    """Return what the section begins with."""
    where = page.machine("numpy", "faiss-cpu", "numba")
    return (
        "## Clustering\n\n"
        f"Written by `python benchmarks/clustering.py --lines {' '.join(options.lines)} --write "
        "docs/performance.md`, whose\nfirst lines say what is measured and how.\n\n"
        f"Measured {where['date']} on {where['machine']}, faiss-cpu {where['faiss-cpu']}, numba "
        f"{where['numba']}, numpy {where['numpy']}; {options.threads} threads. Core seconds are in "
        "brackets.\n\n"
    )


def tables(records: dict[str, Any]) -> str:
    """Return what each set took with its goals, and the stages beside Infomap."""
    whole, stages = [], []
    for line, one in records.items():
        name = f"{one['images']:,} × {one['dim']}"
        longest, largest = GOALS.get(line, (None, None))
        whole.append([
            name, f"{one['identities']:,}", f"{one['clusters']:,}", f"{one['total']:,.0f}",
            page.goal(one["total"], longest, "{:,.0f}"), f"{one['gigabytes']:.2f}",
            page.goal(one["gigabytes"], largest, "{:.0f}"), f"{one['pairwise_f']:.4f}",
            f"{one['bcubed_f']:.4f}",
        ])  # fmt: skip
        times = [
            f"{one['seconds'][stage]:,.1f} ({one['cores'][stage]:,.1f})"
            if stage in one["seconds"]
            else ""
            for stage in ("neighbours", "links", "map equation", "Infomap")
        ]
        theirs = one.get("infomap_code_length")
        lengths = [f"{one['code_length']:.4f}", "" if theirs is None else f"{theirs:.4f}"]
        stages.append([name, f"{one['recall']:.1%}", *times, *lengths])
    first = (
        "images", "identities", "clusters", "s", "goal", "GB", "goal", "pairwise F", "BCubed F",
    )  # fmt: skip
    second = (
        "images", "recall of neighbours", "neighbours, s", "links, s", "map equation, s",
        "Infomap, s", "code length", "of Infomap",
    )  # fmt: skip
    return page.markdown(first, whole) + "\n" + page.markdown(second, stages)


def growth(*records: dict[str, Any]) -> str:
    """Return the exponents between the two largest sets, and what they make of the published one.

    Memory goes by images and by dimensions; the published set has 256.
    """
    small, large = records[-2:]
    ratio = np.log(large["images"] / small["images"])
    parts = []
    for name in ("links", "map equation"):
        power = np.log(large["cores"][name] / small["cores"][name]) / ratio
        parts.append(f"{name} grow with the images to the {power:.2f}")
    per_image = (large["gigabytes"] - small["gigabytes"]) / (large["images"] - small["images"])
    wider = (256 - large["dim"]) * 4 / 2**30
    expected = large["gigabytes"] + per_image * (PUBLISHED_IMAGES - large["images"])
    expected += wider * PUBLISHED_IMAGES
    grown = "; ".join(parts)
    return (
        f"Between the last two, {grown}. On paper {PUBLISHED_IMAGES:,} × 256 take {expected:.0f} "
        f"GB;\nGCN-V was reported to take {PUBLISHED_GB}.\n"
    )


def synthetic(count: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, D) float32 unit rows, and their identities: five images each on average."""
    draw = np.random.default_rng(seed)
    sizes = np.minimum(draw.zipf(2.0, count), 500)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count) + 1]
    ids = np.repeat(np.arange(len(sizes)), sizes)[:count]
    families = draw.normal(size=(len(sizes) // 20 + 1, dim)).astype(np.float32)
    centres = draw.normal(size=(len(sizes), dim)).astype(np.float32)
    centres += 0.5 * families[np.arange(len(sizes)) // 20]
    spread = draw.uniform(0.5, 1.3, len(ids)).astype(np.float32)[:, None]
    vectors = centres[ids]
    for start in range(0, len(ids), 2**16):
        part = slice(start, start + 2**16)
        noise = draw.standard_normal(vectors[part].shape, dtype=np.float32)
        vectors[part] += spread[part] * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = draw.permutation(len(ids))
    return vectors[order], ids[order]


def measured(count: int, dim: int) -> dict[str, Any]:
    from arcwise.clustering.clusters import NEIGHBOURS, beyond_chance
    from arcwise.clustering.graph import nearest_neighbours
    from arcwise.clustering.impostors import impostors_of
    from arcwise.clustering.links import links
    from arcwise.clustering.map_equation import code_length, modules, undirected_flow
    from arcwise.clustering.methods import LEAST_WEIGHT
    from arcwise.evaluation import clustering

    warm, _ = synthetic(500, 16)
    found = links(nearest_neighbours(warm, 20), impostors_of(warm))
    modules(undirected_flow(found.pairs, found.agreement, 500))  # compiled, kept on disk
    vectors, ids = synthetic(count, dim)
    seconds: dict[str, float] = {}
    cores: dict[str, float] = {}
    begun, started = time.perf_counter(), time.process_time()

    def done(what: str) -> None:
        nonlocal begun, started
        seconds[what] = round(time.perf_counter() - begun, 1)
        cores[what] = round(time.process_time() - started, 1)
        begun, started = time.perf_counter(), time.process_time()

    impostors = impostors_of(vectors)
    near = nearest_neighbours(vectors, NEIGHBOURS, at_least=beyond_chance(impostors))
    done("neighbours")
    found = links(near, impostors)
    done("links")
    pairs, weight = found.pairs[found.linked], found.agreement[found.linked] + LEAST_WEIGHT
    flow = undirected_flow(pairs, weight, count)
    labels = modules(flow)
    done("map equation")
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    total = sum(seconds.values())
    scores = clustering(ids, labels, draws=2)
    record: dict[str, Any] = {
        "images": count, "dim": dim, "identities": int(ids.max()) + 1,
        "clusters": int(labels.max()) + 1, "seconds": seconds, "cores": cores, "total": total,
        "gigabytes": peak / 2**20, "recall": near.recall, "links": len(pairs),
        "code_length": code_length(flow, labels), "pairwise_f": float(scores.pairwise_f),
        "bcubed_f": float(scores.bcubed_f),
    }  # fmt: skip
    try:
        from infomap import Infomap
    except ImportError:
        return record
    peer = Infomap("--two-level --silent --seed 1")
    for (a, b), w in zip(pairs.tolist(), weight.tolist(), strict=True):
        peer.add_link(a, b, w)
    begun, started = time.perf_counter(), time.process_time()  # reading links is no search
    result = peer.run()
    done("Infomap")
    theirs = np.arange(count) + count
    for node, module in result.modules().items():
        theirs[node] = module
    theirs = np.unique(theirs, return_inverse=True)[1]
    return record | {"infomap_code_length": code_length(flow, theirs)}


if __name__ == "__main__":
    main()
