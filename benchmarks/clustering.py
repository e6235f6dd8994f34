"""Clustering from embeddings to ids, in the shape of real sets; against Infomap where it is there.

    python benchmarks/clustering.py [--lines 100k 1m] [--threads 2]

The embeddings are synthetic: sizes of identities follow a power law with many singletons, images
lie around their identity at distances that differ, and identities come in look-alike families.
`100k` is 100,000 of 256 dimensions (promised: 3 minutes, 4 GB), `1m` a million of 128 (40 minutes,
12 GB). Peak memory is VmHWM of a process of its own, the embeddings included. `infomap`, where that
package is installed (GPL: a peer, no dependency), searches the same graph: its seconds and code
length stand beside ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

LINES = {"10k": (10_000, 128), "100k": (100_000, 256), "1m": (1_000_000, 128)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", nargs="+", choices=LINES, default=["100k"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--job", choices=LINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(measured(*LINES[options.job])))
        return
    for line in options.lines:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(options.threads))
        command = [sys.executable, __file__, "--job", line]
        done = subprocess.run(
            command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True
        )
        print(line, done.stdout.strip(), flush=True)


def synthetic(count: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, D) float32 unit rows, and their identities: five images each on average."""
    draw = np.random.default_rng(seed)
    sizes = np.minimum(draw.zipf(1.9, count), 500)
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
    from arcwise.clustering.clusters import NEIGHBOURS
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
    seconds, begun, started = {}, time.perf_counter(), time.process_time()

    def done(what: str) -> None:
        nonlocal begun
        seconds[what], begun = round(time.perf_counter() - begun, 1), time.perf_counter()

    near = nearest_neighbours(vectors, NEIGHBOURS)
    done("neighbours")
    found = links(near, impostors_of(vectors))
    done("links")
    pairs, weight = found.pairs[found.linked], found.agreement[found.linked] + LEAST_WEIGHT
    flow = undirected_flow(pairs, weight, count)
    labels = modules(flow)
    done("map equation")
    cpu = time.process_time() - started
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    scores = clustering(ids, labels, draws=2)
    record: dict[str, Any] = {
        "images": count, "identities": int(ids.max()) + 1, "clusters": int(labels.max()) + 1,
        "seconds": seconds, "total": round(sum(seconds.values()), 1), "cpu_seconds": round(cpu, 1),
        "gigabytes": peak / 2**20,
        "recall": near.recall, "links": len(pairs), "code_length": code_length(flow, labels),
        "pairwise_f": float(scores.pairwise_f), "bcubed_f": float(scores.bcubed_f),
    }  # fmt: skip
    try:
        from infomap import Infomap
    except ImportError:
        return record
    begun = time.perf_counter()
    peer = Infomap("--two-level --silent --seed 1")
    for (a, b), w in zip(pairs.tolist(), weight.tolist(), strict=True):
        peer.add_link(a, b, w)
    peer.run()
    done("Infomap")
    theirs = np.arange(count) + count
    for node, module in peer.get_modules().items():
        theirs[node] = module
    theirs = np.unique(theirs, return_inverse=True)[1]
    return record | {"seconds": seconds, "infomap_code_length": code_length(flow, theirs)}


if __name__ == "__main__":
    main()
