"""Whether the memory of a server grows with what it answers.

    python benchmarks/serving_memory.py [--requests 100000] [--write docs/performance.md]

A server process with a small exported network that has learnt nothing and a gallery of 300
templates, and eight clients in a process of their own. First so many searches, each of one JPEG of
64 × 48 pixels; then, in a server of its own, as many requests of which every tenth enrols an
identity and the next one removes it, so that the gallery does not grow. Forty times in each, the
memory that the server process holds is read, once no request is on its way, and a line is fitted
through what was read after the first fifth. About ten minutes of two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from measured import page
from serving import HEAD, IMAGES, PART, answer_of, prepare, resident, served

BEGIN, END = "<!-- memory of a server: begin -->", "<!-- memory of a server: end -->"
CLIENTS, READINGS, WARM = 8, 40, 0.2
CHANGES = 10
ENROL = HEAD.replace("search?k=5", "enrol?identity={name}")
REMOVE = "DELETE /v1/galleries/shop/identity?identity={name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Run(NamedTuple):
    """What was read.

    Attributes:
        requests: before each reading, (N,).
        bytes: that the server held, (N,).
        gallery: bytes of the gallery's files before and after.
        log: bytes of the audit log, after.
    """

    requests: np.ndarray
    bytes: np.ndarray
    gallery: tuple[int, int]
    log: int

    def slope(self) -> tuple[float, float]:
        """Bytes a request by the line of least squares, and their standard error."""
        warm = self.requests >= WARM * self.requests[-1]
        (slope, _), covariance = np.polyfit(self.requests[warm], self.bytes[warm], 1, cov=True)
        return float(slope), float(np.sqrt(covariance[0, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--ask", help=argparse.SUPPRESS)  # this process is the clients
    parser.add_argument("--changes", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        send(Path(options.ask), options.requests, changes=options.changes)
        return
    runs = {changes: measured(options.requests, changes=changes) for changes in (False, True)}
    section = text(runs)
    print(section)
    if options.write:
        page.write(options.write, BEGIN, END, section)


def measured(requests: int, *, changes: bool) -> Run:
    """Send so many requests to a new server, and read its memory meanwhile."""
    readings: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, "small", 32, 64, (64, 48))
        before = size_of(folder)
        with served(folder) as (process, port):
            (folder / "port").write_text(str(port))
            for part in range(READINGS):
                words = [__file__, "--ask", name, "--requests", str(requests // READINGS)]
                words += ["--changes"] * changes
                subprocess.run([sys.executable, *words], check=True)
                readings.append(((part + 1) * (requests // READINGS), 1e6 * resident(process)))
                print(json.dumps(readings[-1]), file=sys.stderr, flush=True)
        log = (folder / "shop.gallery.audit.jsonl").stat().st_size
        after = size_of(folder)
    done, held = np.array(readings).T
    return Run(done, held, (before, after), log)


def size_of(folder: Path) -> int:
    files = [folder / f"shop.gallery{suffix}" for suffix in ("", "-wal", "-shm")]
    return sum(one.stat().st_size for one in files if one.exists())


def send(folder: Path, requests: int, *, changes: bool) -> None:
    """Send so many requests from several threads."""
    port = int((folder / "port").read_text())
    bodies = [PART % (folder / f"{row}.jpg").read_bytes() for row in range(IMAGES)]
    left, failed = iter(range(requests)), []

    def exchange(connection: socket.socket, message: bytes) -> None:
        connection.sendall(message)
        answer = answer_of(connection)
        if not answer.startswith(b"HTTP/1.1 200"):
            failed.append(answer[:300])

    def run(own: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            enrolled = ""
            for number in left:
                body = bodies[number % IMAGES]
                head = HEAD.format(length=len(body))
                if enrolled:
                    head, body, enrolled = REMOVE.format(name=enrolled), b"", ""
                elif changes and number % CHANGES == 0:
                    enrolled = f"passing-{os.getpid()}-{own}-{number}"
                    head = ENROL.format(name=enrolled, length=len(body))
                exchange(connection, head.encode() + body)
            if enrolled:
                exchange(connection, REMOVE.format(name=enrolled).encode())

    threads = [threading.Thread(target=run, args=(own,)) for own in range(CLIENTS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failed or next(left, None) is not None:
        sys.exit(f"not all were answered: {failed[:3]}")


def text(runs: dict[bool, Run]) -> str:
    """Return the section of the page."""
    rows = []
    for changes, run in runs.items():
        slope, error = run.slope()
        middle = run.bytes[run.requests >= WARM * run.requests[-1]]
        name = f"every {CHANGES}th enrols, the next removes" if changes else "searches"
        rows.append([
            name, f"{run.requests[-1]:,.0f}", f"{run.bytes[0] / 1e6:.0f}", f"{middle[0] / 1e6:.0f}",
            f"{run.bytes[-1] / 1e6:.0f}", f"{middle.max() / 1e6:.0f}",
            f"{slope:+.1f} ± {2 * error:.1f}",
            f"{run.gallery[0] / 1e6:.1f} → {run.gallery[1] / 1e6:.1f}", f"{run.log / 1e6:.1f}",
        ])  # fmt: skip
    where = page.machine("onnxruntime", "fastapi", "uvicorn")
    names = [
        "requests", "how many", "first, MB", f"after {WARM:.0%}, MB", "last, MB", "most, MB",
        "bytes a request", "gallery, MB", "audit log, MB",
    ]  # fmt: skip
    return "\n".join(
        [
            "## Memory of a server",
            "",
            "Written by `python benchmarks/serving_memory.py --write docs/performance.md`, whose",
            "first lines say what is measured. The line through what was read after the first",
            f"{WARM:.0%} of the requests has the slope in the column *bytes a request*, with two",
            "standard errors. The gallery's file keeps the room of what was removed until",
            "`arcwise gallery purge`; the audit log grows with every request, on the disk.",
            "",
            f"Measured {where['date']} on {where['machine']}, onnxruntime {where['onnxruntime']}, "
            f"fastapi {where['fastapi']}, uvicorn {where['uvicorn']}.",
            "",
            page.markdown(names, rows),
        ]
    )


if __name__ == "__main__":
    main()
