"""The embedded gallery beside numpy, in the same run: search, enrolment, opening.

    OMP_NUM_THREADS=1 python benchmarks/gallery.py [--templates 100000] [--dim 512] [--each 5]

The vectors are synthetic: identities at random on the sphere, templates around them at a cosine
of about 0.75. The cost of an exact search does not depend on them. The floor for one query is
what reading the matrix costs: a numpy product and argpartition, which gives templates; the
gallery gives identities. `product + reduceat` is the plain way to identities. Times are the
minimum and the median, in milliseconds.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from arcwise.gallery import open_gallery

K = 10


def clustered(rng: np.random.Generator, identities: int, each: int, dim: int) -> np.ndarray:
    centres = rng.standard_normal((identities, 1, dim), np.float32)
    vectors = (centres + 0.58 * rng.standard_normal((identities, each, dim), np.float32)).reshape(
        -1, dim
    )
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def timed(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return min(times), float(np.median(times))


def top_templates(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return np.argpartition(queries @ vectors.T, -K, axis=1)[:, -K:]


def top_identities(
    vectors: np.ndarray, starts: np.ndarray, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    best = np.maximum.reduceat(queries @ vectors.T, starts, axis=1)
    top = np.argpartition(best, -K, axis=1)[:, -K:]
    return top, np.take_along_axis(best, top, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--each", type=int, default=5)
    options = parser.parse_args()
    people, each, dim = options.templates // options.each, options.each, options.dim
    rng = np.random.default_rng(0)
    vectors = clustered(rng, people, each, dim)
    starts = np.arange(0, len(vectors), each)
    names = [f"p{row // each:07}" for row in range(len(vectors))]
    mated = vectors[rng.integers(0, len(vectors), 128)] + 0.02 * rng.standard_normal((128, dim))
    queries = np.concatenate([mated, rng.standard_normal((128, dim))]).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    one = queries[:1]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.gallery"
        with open_gallery(path, create=True, dim=dim) as gallery:
            start = time.perf_counter()
            for first in range(0, len(vectors), 1000):
                part = slice(first, first + 1000)
                gallery.enrol(zip(names[part], vectors[part], strict=True))
            enrolled = time.perf_counter() - start
            durable = timed(lambda: gallery.enrol([("single", one[0])]), 50)
            removal = timed(lambda: (gallery.enrol([("gone", one[0])]), gallery.remove("gone")), 20)
            gallery.remove("single")
        size = path.stat().st_size / 2**20
        start = time.perf_counter()
        gallery = open_gallery(path, mode="r")
        opened = time.perf_counter() - start

        top, best = top_identities(vectors, starts, queries)
        for hits, rows, values in zip(gallery.search(queries, K), top, best, strict=True):
            assert {hit.identity for hit in hits} == {f"p{row:07}" for row in rows}
            assert np.allclose([hit.similarity for hit in hits], -np.sort(-values), atol=1e-6)

        def floor(batch: np.ndarray) -> object:
            return top_templates(vectors, batch)

        def plain(batch: np.ndarray) -> object:
            return top_identities(vectors, starts, batch)

        def ours(batch: np.ndarray) -> object:
            return gallery.search(batch, K)

        rows = [
            (f"{len(batch)} queries: {name}", timed(functools.partial(call, batch), repeats))
            for batch, repeats in ((one, 30), (queries[:16], 10), (queries, 5))
            for name, call in (
                ("numpy product + argpartition", floor),
                ("numpy product + reduceat", plain),
                ("gallery.search", ours),
            )
        ]
        rows += [
            ("verify", timed(lambda: gallery.verify("p0000003", one[0]), 100)),
            ("enrol one, durable", durable),
            ("enrol one and remove it, erased", removal),
        ]
        gallery.close()

        with open_gallery(path) as gallery:  # a crowd: one identity with 1000 templates
            crowd = vectors[:1] + 0.01 * rng.standard_normal((1000, dim)).astype(np.float32)
            crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
            gallery.enrol([("crowd", vector) for vector in crowd])
            probe = vectors[:1]
            assert len({hit.identity for hit in gallery.search(probe, 5)[0]}) == 5
            rows.append(
                ("one query at 1000 templates of one", timed(lambda: gallery.search(probe, 5), 30))
            )

    print(f"{len(vectors)} templates x {dim}, {people} identities, k = {K}, {size:.0f} MiB on disk")
    print(f"{'':45}{'min ms':>9}{'median ms':>11}")
    for what, (low, median) in rows:
        print(f"{what:45}{low:9.2f}{median:11.2f}")
    print(f"enrolment in batches of 1000: {len(vectors) / enrolled:,.0f} templates/s")
    print(f"opening, every row read and checked: {opened:.2f} s")


if __name__ == "__main__":
    main()
