"""What a server costs beside the model: requests a second, their times, and memory.

    python benchmarks/serving.py [--requests 1000] [--clients 1 8 64] [--write docs/performance.md]
        [--networks small@96 efficientnet_lite0@160 iresnet50@112]

The networks are those of the recipes: for products from nothing and from pretrained weights, and
for faces. A server process has one of them, exported, which has learnt nothing, and a gallery of
300 templates; clients in a process of their own send JPEGs of 400 × 300 pixels over connections
that they keep, and read the decisions. Beside it in the same run, the bare model: `Model.embed` of
the same files, 32 at a time, without gallery, decision or HTTP. Server, clients and model share the
machine's cores. The rates of the bare model are measured before and after the server's, and the
mean counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from measured import page

BEGIN, END = "<!-- serving: begin -->", "<!-- serving: end -->"
TEMPLATES, DIM, IMAGES, BATCH = 300, 512, 64, 32
NETWORKS = ["small@96", "efficientnet_lite0@160", "iresnet50@112"]
HEAD = (
    "POST /v1/galleries/shop/search?k=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
)
PART = (
    b'--b\r\nContent-Disposition: form-data; name="images"; filename="q.jpg"\r\n\r\n%s\r\n--b--\r\n'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument(
        "--networks", nargs="+", default=["small@96", "efficientnet_lite0@160", "iresnet50@112"]
    )
    parser.add_argument("--write", type=Path)
    parser.add_argument("--ask", help=argparse.SUPPRESS)  # this process is the clients
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(asked(Path(options.ask), options.clients[0], options.requests)))
        return
    section = text([measured(one, options) for one in options.networks], options)
    print(section)
    if options.write:
        page.write(options.write, BEGIN, END, section)


class Measured(NamedTuple):
    """What one network's server did.

    Attributes:
        network: its name, and the side of its images in pixels.
        alone: images a second of the bare model, before and after.
        runs: of each number of clients, requests a second and times in milliseconds.
        memory: of the server in MB, after few requests and after all.
        batch: images that a call of the model had, on average.
    """

    network: str
    alone: tuple[float, float]
    runs: dict[int, dict[str, float]]
    memory: tuple[float, float]
    batch: float


def measured(network: str, options: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder, _, side = network.partition("@")
        prepare(folder, encoder, int(side), DIM)
        before = bare(folder)
        with served(folder) as (process, port):
            (folder / "port").write_text(str(port))
            ask(folder, 8, 200)  # warms up
            first = resident(process)
            runs = {one: ask(folder, one, options.requests) for one in options.clients}
            memory, batch = (first, resident(process)), batches(port)
        return Measured(network, (before, bare(folder)), runs, memory, batch)


def prepare(
    folder: Path, name: str, side: int, dim: int, size: tuple[int, int] = (400, 300)
) -> None:
    """Make a model folder with thresholds, a gallery and the images."""
    import torch

    from arcwise import encoders, open_gallery, runtime
    from arcwise.bundle import add_thresholds
    from arcwise.evaluation import Threshold
    from arcwise.images import Preparation
    from arcwise.verbs.export import export

    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    encoder = encoders.create(name, dim=dim, size=(side, side)).eval()
    runtime.save(folder / "model", encoder, Preparation(height=side, width=side))
    export(folder / "model")
    ends = (0.5, 0.5, True, 1000, 100, 0.005, 0.02, 0.5, 0.9, 0.8, 1.0)
    add_thresholds(folder / "model", [Threshold(0.01, 0.5, *ends)], measured_on="", digests=())
    vectors = rng.standard_normal((TEMPLATES, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = runtime.load(folder / "model", runtime="onnx")
    with open_gallery(folder / "shop.gallery", create=True, model=model) as gallery:
        gallery.enrol([(f"product {row}", vector) for row, vector in enumerate(vectors)])
    for row in range(IMAGES):
        coarse = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{row}.jpg"), cv2.resize(coarse, size))


def bare(folder: Path) -> float:
    """Return the images a second of the model alone, in a process of its own."""
    code = f"""
import time
from pathlib import Path
from arcwise import runtime
model = runtime.load("model", runtime="onnx")
files = [Path(f"{{row}}.jpg").read_bytes() for row in range({IMAGES})]
model.embed(files, batch_size={BATCH})
start, done = time.perf_counter(), 0
while time.perf_counter() < start + 4:
    model.embed(files, batch_size={BATCH})
    done += len(files)
print(done / (time.perf_counter() - start))
"""
    return float(
        subprocess.run(
            [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
        ).stdout
    )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a server and its port; it is stopped after the block."""
    limits = {"ARCWISE_SERVE__LIMITS__RATE": "1e9", "ARCWISE_SERVE__LIMITS__BURST": "1000000"}
    process = subprocess.Popen(
        [sys.executable, "-m", "arcwise", "serve", "model", "shop.gallery", "--port", "0"],
        cwd=folder, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = next(one for one in process.stdout if one.startswith("listening"))
        yield process, int(line.rsplit(":", 1)[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def ask(folder: Path, clients: int, requests: int) -> dict[str, float]:
    """Return what a process of clients measures."""
    words = [__file__, "--ask", str(folder), "--clients", str(clients), "--requests", str(requests)]
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def asked(folder: Path, clients: int, requests: int) -> dict[str, float]:
    """Send so many requests from so many threads; return their rate and times in milliseconds."""
    port = int((folder / "port").read_text())
    bodies = [PART % (folder / f"{row}.jpg").read_bytes() for row in range(IMAGES)]
    messages = [HEAD.format(length=len(body)).encode() + body for body in bodies]
    left = iter(range(requests))
    times: list[float] = []

    def send() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for number in left:
                start = time.perf_counter()
                connection.sendall(messages[number % IMAGES])
                answer = answer_of(connection)
                assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
                times.append(1000 * (time.perf_counter() - start))

    threads = [threading.Thread(target=send) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    assert len(times) == requests
    cuts = statistics.quantiles(times, n=100)
    return {"rate": requests / seconds, "p50": cuts[49], "p99": cuts[98]}


def answer_of(connection: socket.socket) -> bytes:
    """Return the bytes of an answer."""
    data = b""
    while True:
        data += connection.recv(65536)
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            if len(body) >= length:
                return data


def resident(process: subprocess.Popen[str]) -> float:
    """Return the memory of a process, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]


def batches(port: int) -> float:
    """Return how many images a call of the model had, on average."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        found = dict(re.findall(r"arcwise_batch_images_(sum|count) (\S+)", answer.read().decode()))
    return float(found["sum"]) / float(found["count"])


def text(found: Sequence[Measured], options: argparse.Namespace) -> str:
    """Return the section of the page."""
    rows = []
    for one in found:
        alone = statistics.mean(one.alone)
        rows.append([one.network, "bare model", f"{alone:.0f}", "1", "", "", ""])
        for clients, run in one.runs.items():
            share = f"{run['rate'] / alone:.2f}"
            goal = (
                ("≥ 0.8 " + ("✓" if run["rate"] >= 0.8 * alone else "✗")) if clients == 64 else ""
            )
            times = [f"{run[name]:.1f}" for name in ("p50", "p99")]
            rows.append(["", f"{clients} clients", f"{run['rate']:.0f}", share, goal, *times])
    where = page.machine("numpy", "onnxruntime", "fastapi", "uvicorn")
    said = "; ".join(
        f"`{one.network}`: the bare model {one.alone[0]:.0f} before and {one.alone[1]:.0f} after, "
        f"{one.batch:.1f} images in a call of the model, memory of the server {one.memory[0]:.0f} "
        f"MB after 200 requests and {one.memory[1]:.0f} MB at the end"
        for one in found
    )
    return "\n".join(
        [
            "## Serving",
            "",
            "Written by `python benchmarks/serving.py --write docs/performance.md`, whose first",
            f"lines say what is measured: {options.requests:,} requests a row.",
            "",
            f"Measured {where['date']} on {where['machine']}, onnxruntime {where['onnxruntime']}, "
            f"fastapi {where['fastapi']}, uvicorn {where['uvicorn']}; load average "
            f"{os.getloadavg()[1]:.1f}. {said}.",
            "",
            page.markdown(
                ["network", "", "requests a second", "of the bare model", "goal", "p50, ms",
                 "p99, ms"],
                rows,
            ),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
