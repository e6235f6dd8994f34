"""What a server costs beside the model: requests a second, their times, and memory.

    python benchmarks/serving.py [--requests 2000] [--encoder small --side 96 --dim 128]
        [--clients 1 8 64] [--write docs/performance.md]

A server process with an exported network that has learnt nothing and a gallery of 300 templates;
clients in a process of their own, which send JPEGs of 400 × 300 pixels over connections that they
keep, and read the decisions. Beside it in the same run, the bare model: `Model.embed` of the same
files, 32 at a time, without gallery, decision or HTTP. Server, clients and model share the
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
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from measured import page

BEGIN, END = "<!-- serving: begin -->", "<!-- serving: end -->"
TEMPLATES, IMAGES, BATCH = 300, 64, 32
HEAD = (
    "POST /v1/galleries/shop/search?k=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
)
PART = (
    b'--b\r\nContent-Disposition: form-data; name="images"; filename="q.jpg"\r\n\r\n%s\r\n--b--\r\n'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--encoder", default="small")
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--ask", help=argparse.SUPPRESS)  # this process is the clients
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(asked(Path(options.ask), options.clients[0], options.requests)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.encoder, options.side, options.dim)
        before = bare(folder)
        with served(folder) as (process, port):
            (folder / "port").write_text(str(port))
            first = [ask(folder, 8, 200), resident(process)]  # warms up
            runs = {}
            for clients in options.clients:
                runs[clients] = ask(folder, clients, options.requests)
            memory = (first[1], resident(process))
            sizes = batches(port)
        after = bare(folder)
    section = text(runs, (before, after), memory, sizes, options)
    print(section)
    if options.write:
        page.write(options.write, BEGIN, END, section)


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


def text(
    runs: dict[int, dict[str, float]],
    bare_rates: tuple[float, float],
    memory: tuple[float, float],
    batch: float,
    options: argparse.Namespace,
) -> str:
    """Return the section of the page."""
    alone = statistics.mean(bare_rates)
    rows = [["bare model, 32 at a time", f"{alone:.0f}", "1", "", ""]]
    for clients, run in runs.items():
        share = f"{run['rate'] / alone:.2f}"
        times = [f"{run[one]:.1f}" for one in ("p50", "p99")]
        rows.append([f"{clients} clients", f"{run['rate']:.0f}", share, *times])
    where = page.machine("numpy", "onnxruntime", "fastapi", "uvicorn")
    total = options.requests * len(runs)
    return "\n".join(
        [
            "## Serving",
            "",
            "Written by `python benchmarks/serving.py --write docs/performance.md`, whose",
            f"first lines say what is measured: the encoder `{options.encoder}` at {options.side} "
            f"pixels, {options.requests:,} requests a row.",
            "",
            f"Measured {where['date']} on {where['machine']}, onnxruntime {where['onnxruntime']}, "
            f"fastapi {where['fastapi']}, uvicorn {where['uvicorn']}; load average "
            f"{os.getloadavg()[1]:.1f}. The bare model before and after: {bare_rates[0]:.0f} and "
            f"{bare_rates[1]:.0f} images a second. A call of the model had {batch:.1f} images on "
            f"average. Memory of the server after 200 requests {memory[0]:.0f} MB, after "
            f"{total + 200:,} {memory[1]:.0f} MB.",
            "",
            page.markdown(
                ["", "requests a second", "of the bare model", "p50, ms", "p99, ms"], rows
            ),
        ]
    )


if __name__ == "__main__":
    main()
