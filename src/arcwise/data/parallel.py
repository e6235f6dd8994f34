"""Something done to every row on several threads, in order, with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with what is done and the total, from the thread that asked for the work."""


def each_row(
    function: Callable[[int], T],
    rows: int,
    *,
    workers: int | None = None,
    ahead: int | None = None,
    progress: Progress | None = None,
) -> Iterator[T]:
    """Yield function(0), function(1), … in order, computed by threads ahead of the reader.

    OpenCV and hashlib let go of the interpreter, so threads decode side by side. What a call raises
    is raised in its turn; what was not begun is then given up.

    Args:
        function: of the row number.
        rows: how many.
        workers: threads; as many as there are cores when not given. One computes in the reader's.
        ahead: at most so many results wait for the reader; 8 for each thread when not given.
        progress: called after every 64th row and the last.
    """
    workers = cores() if workers is None else workers
    results = _in_turn(function, rows, workers, ahead or 8 * workers)
    for done, result in enumerate(results, start=1):
        yield result
        if progress is not None and (done % 64 == 0 or done == rows):
            progress(done, rows)


def cores() -> int:
    """Return how many processor cores this process may use; OMP_NUM_THREADS lowers it."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    requested = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(requested)) if requested.isdigit() and int(requested) > 0 else allowed


def _in_turn(function: Callable[[int], T], rows: int, workers: int, ahead: int) -> Iterator[T]:
    if workers <= 1 or rows <= 1:
        yield from map(function, range(rows))
        return
    waiting: deque[Future[T]] = deque()
    begun = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="arcwise-decode") as pool:
        try:
            while waiting or begun < rows:
                while begun < rows and len(waiting) < max(ahead, workers):
                    waiting.append(pool.submit(function, begun))
                    begun += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # Ctrl-C does not wait for the queue
