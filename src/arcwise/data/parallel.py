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
    progress: Progress | None = None,
) -> Iterator[T]:
    """function(0), function(1), … in order; at most a few rows a thread are ahead of the reader.

    OpenCV and hashlib let go of the interpreter, so threads decode side by side.

    Args:
        function: of the row number.
        rows: how many.
        workers: threads; as many as there are cores when not given.
        progress: called after every 64th row and the last.
    """
    workers = workers or os.cpu_count() or 1
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for row in range(rows + 8 * workers):
                if row < rows:
                    waiting.append(pool.submit(function, row))
                if row >= 8 * workers and waiting:
                    yield waiting.popleft().result()
                    done = row - 8 * workers + 1
                    if progress is not None and (done % 64 == 0 or done == rows):
                        progress(done, rows)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # Ctrl-C does not wait for the queue
