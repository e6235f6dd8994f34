"""What is rationed: requests a second of each key, and pixels that are decoded at a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager

_REMEMBERED = 4096  # keys and addresses


class RateLimiter:
    """A token bucket for each key or address; those that came longest ago are forgotten.

    Args:
        rate: tokens a second, one a request.
        burst: tokens that a full bucket holds.
        clock: seconds, for tests.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def wait(self, name: str) -> float:
        """Take a token; return 0, or after how many seconds there is one again."""
        now = self._clock()
        tokens, then = self._buckets.pop(name, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        lacking = 1 - tokens
        self._buckets[name] = (tokens if lacking > 0 else tokens - 1, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return max(0.0, lacking / self._rate)


class PixelBudget:
    """How many pixels may be decoded at a time; who wants more waits.

    Args:
        pixels: of all together; one that alone wants more gets all of it.
    """

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Generator[None]:
        """Hold so many pixels inside the block."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
