"""The embedded gallery beside FAISS and numpy, in one run: searches, enrolment, opening, memory.

    OMP_NUM_THREADS=1 python benchmarks/gallery.py [--templates 1000000] [--dim 512] [--each 5]
        [--write docs/performance.md]

The vectors are synthetic: identities at random on the sphere, templates around them at a cosine of
about 0.75. The cost of an exact search of all vectors does not depend on them; how many codes leave
open does a little. Half of the queries are of enrolled identities. The lines of a table take turns,
one call each, so that they share whatever else the machine does; times are the least and the
median, in milliseconds. FAISS answers with templates; the gallery with identities, scored again in
float64, which are compared with a plain product and maxima. All answers of the gallery must be
equal to those.

Enrolment is by transactions of 1,000 templates. Opening is once with every row read and checked,
and once from the snapshot that the enrolment left. Memory is what is resident after both, beyond
what it was before: files that are mapped count where they were read.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import faiss
import numpy as np

from arcwise.gallery import Gallery, open_gallery
from arcwise.gallery.snapshot import snapshot_path
from measured import memory, page

BEGIN, END = "<!-- gallery: begin -->", "<!-- gallery: end -->"
K = 10
Calls = Mapping[str, Callable[[np.ndarray], object]]


def clustered(rng: np.random.Generator, identities: int, each: int, dim: int) -> np.ndarray:
    """Return (identities × each, dim) float32 unit rows."""
    vectors = np.empty((identities * each, dim), np.float32)
    for first in range(0, identities, 2000):
        count = min(2000, identities - first)
        centres = rng.standard_normal((count, 1, dim), np.float32)
        some = centres + 0.58 * rng.standard_normal((count, each, dim), np.float32)
        some /= np.linalg.norm(some, axis=2, keepdims=True)
        vectors[first * each : (first + count) * each] = some.reshape(-1, dim)
    return vectors


def in_turns(calls: Calls, batch: np.ndarray, rounds: int) -> dict[str, tuple[float, float]]:
    """Return least and median milliseconds of each call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call(batch)
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: (min(one), float(np.median(one))) for name, one in times.items()}


def repeated(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return least and median milliseconds of a call."""
    return in_turns({"": lambda _: call()}, np.empty(0), rounds)[""]


def check(gallery: Gallery, vectors: np.ndarray, each: int, queries: np.ndarray) -> None:
    """Compare the gallery's answers with a plain product and maxima."""
    best = np.full((len(queries), len(vectors) // each), -1, np.float32)
    step = each * 20_000
    for first in range(0, len(vectors), step):
        part = queries @ vectors[first : first + step].T
        best[:, first // each : (first + part.shape[1]) // each] = part.reshape(
            len(queries), -1, each
        ).max(axis=2)
    top = np.argsort(-best, axis=1)[:, :K]
    for hits, rows, of_query in zip(gallery.search(queries, K), top, best, strict=True):
        assert [hit.identity for hit in hits] == [f"p{row:07}" for row in rows]
        assert np.allclose([hit.similarity for hit in hits], of_query[rows], atol=1e-6)


def enrolled(path: Path, vectors: np.ndarray, each: int) -> float:
    """Enrol all vectors and return templates a second; closing leaves a snapshot."""
    names = [f"p{row // each:07}" for row in range(len(vectors))]
    with open_gallery(path, create=True, dim=vectors.shape[1]) as gallery:
        start = time.perf_counter()
        for first in range(0, len(vectors), 1000):
            part = slice(first, first + 1000)
            gallery.enrol(zip(names[part], vectors[part], strict=True))
        return len(vectors) / (time.perf_counter() - start)


def opened(path: Path) -> tuple[Gallery, float, int]:
    """Open a gallery to read; return it, the seconds, and the bytes it takes after one search."""
    memory.settle()
    before, start = memory.resident(), time.perf_counter()
    gallery = open_gallery(path, mode="r")
    seconds = time.perf_counter() - start
    gallery.search(np.eye(1, gallery.dim), K)
    memory.settle()
    return gallery, seconds, memory.resident() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    options = parser.parse_args()
    each, dim = options.each, options.dim
    rng = np.random.default_rng(0)
    vectors = clustered(rng, options.templates // each, each, dim)
    mated = vectors[rng.integers(0, len(vectors), 128)] + 0.02 * rng.standard_normal((128, dim))
    queries = np.concatenate([mated, rng.standard_normal((128, dim))]).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.gallery"
        rate = enrolled(path, vectors, each)
        kept, aside = snapshot_path(path), Path(folder) / "kept"
        opening = []
        if kept.exists():
            kept.rename(aside)
        at_a_million = 2.0 if len(vectors) >= 10**6 else None
        for what, limit in (("every row read and checked", None),
                            ("from the snapshot", at_a_million)):  # fmt: skip
            gallery, seconds, size = opened(path)
            gallery.close()
            share = size / vectors.nbytes
            opening.append([what, f"{seconds:.2f}", page.goal(seconds, limit, "{:.0f}"),
                            f"{share:.2f}", page.goal(share, 1.3, "{:.1f}")])  # fmt: skip
            if not aside.exists():
                break
            aside.rename(kept)
        with open_gallery(path, mode="r") as gallery:
            check(gallery, vectors, each, queries)
            tables = [searches(gallery, vectors, queries[:count], rounds)
                      for count, rounds in ((1, 20), (256, 3))]  # fmt: skip
        with open_gallery(path) as gallery:
            writing = changes(gallery, queries[0], rate)
    text = report(options, tables, opening, writing)
    print(text)
    if options.write:
        page.write(options.write, BEGIN, END, text)


def searches(gallery: Gallery, vectors: np.ndarray, queries: np.ndarray, rounds: int) -> str:
    """Return the table of one size of query."""
    dim, kinds = vectors.shape[1], faiss.ScalarQuantizer
    flat = faiss.IndexFlatIP(dim)
    calls: dict[str, Callable[[np.ndarray], object]] = {"faiss Flat, float32": flat.search}
    flat.add(vectors)
    for name, kind in (("float16", kinds.QT_fp16), ("8 bits", kinds.QT_8bit)):
        index = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[:20_000])
        index.add(vectors)
        calls[f"faiss scalar quantiser, {name}"] = index.search
    named = {name: functools.partial(_top, call) for name, call in calls.items()}
    named["numpy, product and argpartition"] = functools.partial(_product, vectors)
    named["arcwise: identities, exact"] = lambda batch: gallery.search(batch, K)
    times = in_turns(named, queries, rounds)
    floor = times["faiss Flat, float32"][0]
    goal = 1.1 if len(queries) == 1 else 1 / 0.9
    rows = [
        [name, f"{least:.2f}", f"{median:.2f}", f"{least / floor:.2f}",
         page.goal(least / floor, goal if name.startswith("arcwise") else None, "{:.2f}")]
        for name, (least, median) in times.items()
    ]  # fmt: skip
    count = "one query" if len(queries) == 1 else f"{len(queries)} queries"
    return page.markdown([count, "least, ms", "median, ms", "of faiss Flat", "goal"], rows)


def _top(search: Callable[[np.ndarray, int], object], batch: np.ndarray) -> object:
    return search(batch, K)


def _product(vectors: np.ndarray, batch: np.ndarray) -> object:
    return np.argpartition(batch @ vectors.T, -K, axis=1)[:, -K:]


def changes(gallery: Gallery, query: np.ndarray, rate: float) -> list[list[str]]:
    """Return the rows of the table of changes; everything is undone."""

    def there_and_back() -> None:
        gallery.enrol([("gone", query)])
        gallery.remove("gone")

    one = repeated(lambda: gallery.enrol([("single", query)]), 50)
    both = repeated(there_and_back, 20)
    gallery.remove("single")
    rows = [("enrol one, durable", one, 150), ("enrol one and remove it, erased", both, None)]
    made = [
        [what, f"{least:.2f}", f"{median:.2f}", f"{1000 / median:,.0f}",
         "" if wanted is None else f"≥ {wanted} {'✓' if 1000 / median >= wanted else '✗'}"]
        for what, (least, median), wanted in rows
    ]  # fmt: skip
    made.append(["templates in transactions of 1,000", "", "", f"{rate:,.0f}",
                 f"≥ 20,000 {'✓' if rate >= 20_000 else '✗'}"])  # fmt: skip
    return made


def report(
    options: argparse.Namespace,
    tables: list[str],
    opening: list[list[str]],
    writing: list[list[str]],
) -> str:
    """Return the section of the page."""
    where = page.machine("faiss-cpu", "numpy", "onnxruntime")
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return "\n".join(
        [
            "## The gallery",
            "",
            f"Written by `OMP_NUM_THREADS={threads} python benchmarks/gallery.py --templates "
            f"{options.templates} --write docs/performance.md`,",
            "whose first lines say what is measured and how.",
            "",
            f"Measured {where['date']} on {where['machine']}, faiss-cpu {where['faiss-cpu']}, "
            f"numpy {where['numpy']}, onnxruntime {where['onnxruntime']}; load average "
            f"{os.getloadavg()[1]:.1f}. {options.templates:,} templates × {options.dim} of "
            f"{options.templates // options.each:,} identities, k = {K}, {threads} threads.",
            "",
            *tables,
            page.markdown(["opening", "s", "goal", "memory, of the vectors'", "goal"], opening),
            page.markdown(["change", "least, ms", "median, ms", "a second", "goal"], writing),
        ]
    )


if __name__ == "__main__":
    main()
