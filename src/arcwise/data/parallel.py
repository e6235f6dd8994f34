"""Work on every row by several threads, with the results in order and bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with what is done and the total, from the thread that iterates."""


def each_row(
    function: Callable[[int], T],
    rows: int,
    *,
    workers: int | None = None,
    ahead: int | None = None,
    progress: Progress | None = None,
) -> Iterator[T]:
    """Yield function(0), function(1), … in order, computed by threads.

    OpenCV and hashlib release the interpreter's lock, so threads decode at the same time. What a
    call raises is raised in its turn, and calls that have not begun are then dropped.

    Args:
        function: of the row number.
        rows: how many.
        workers: threads; as many as there are cores by default. With 1 there is no thread.
        ahead: results at most that wait for the reader, 8 a thread by default.
        progress: called after every 64th row and the last.
    """
    workers = os.cpu_count() or 1 if workers is None else workers
    with closing(_results(function, rows, workers, ahead or 8 * workers)) as results:
        for done, result in enumerate(results, 1):
            yield result
            if progress is not None and (done % 64 == 0 or done == rows):
                progress(done, rows)


def _results(function: Callable[[int], T], rows: int, workers: int, ahead: int) -> Generator[T]:
    if workers <= 1 or rows <= 1:
        yield from map(function, range(rows))
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="arcwise-rows") as pool:
        submitted = (pool.submit(function, row) for row in range(rows))
        waiting = deque(islice(submitted, max(ahead, workers)))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(islice(submitted, 1))
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the queue
