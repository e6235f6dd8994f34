"""One way to one task in this process: wall time, resident memory, and its figures."""

from __future__ import annotations

import resource
import statistics
import time
from pathlib import Path
from typing import Any

from measured import memory

from .lines import TASKS

REHEARSAL = 0.002
"""Share of the full size at which libraries are loaded before anything is counted."""
REPETITIONS, SHORT = 11, 1.0
"""So many times what takes less than so many seconds."""


class Absent(Exception):
    """This line cannot be measured on this machine; the message gives the reason."""


def run(name: str, ours: bool, scale: float) -> dict[str, Any]:
    """Everything measured about this line, ready to be written as JSON.

    Raises:
        Absent: it needs more memory than there is.
    """
    free = limit()
    task = TASKS[name]
    way = task.ours if ours else task.peer()
    way.run(task.make(REHEARSAL))
    problem = task.make(scale)
    memory.settle()
    before = memory.resident()
    memory.reset_peak()
    try:
        times, result = [], None
        while not times or (len(times) < REPETITIONS and times[0] < SHORT):
            start = time.perf_counter()
            result = way.run(problem)
            times.append(time.perf_counter() - start)
    except MemoryError as error:
        raise Absent(f"needs more than {free / 2**30:.0f} GiB") from error
    peak = memory.peak()
    return {
        "seconds": statistics.median(times),
        "repetitions": len(times),
        "peak": peak or None,
        "growth": peak - before if peak else None,
        "figures": {key: float(value) for key, value in way.figures(result).items()},
    }


def limit() -> int:
    """Bytes that this process may have, those that are free now: asking for more is an error."""
    facts = Path("/proc/meminfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    if available:
        resource.setrlimit(resource.RLIMIT_AS, (available[0], available[0]))
    return available[0] if available else 0
