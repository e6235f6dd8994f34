"""Work that runs ahead of whoever uses its results, but not far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_order(
    count: int, work: Callable[[int], Result], *, workers: int, ahead: int
) -> Iterator[Result]:
    """work(0), work(1), …, computed by threads (OpenCV lets others run while it decodes).

    At most `ahead` results exist that were not asked for yet, so memory is bounded however slow
    the asker is. What a call raises is raised in its turn; what was not begun is then given up.
    """
    if workers <= 1 or count <= 1:
        for index in range(count):
            yield work(index)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="arcwise-decode") as pool:
        waiting: deque[Future[Result]] = deque()
        submitted = 0
        try:
            while waiting or submitted < count:
                while submitted < count and len(waiting) < max(ahead, workers):
                    waiting.append(pool.submit(work, submitted))
                    submitted += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
