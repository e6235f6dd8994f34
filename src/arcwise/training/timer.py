"""How fast a run is, and how much of its time it waits for images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timer:
    """Counts images, and the time spent waiting for them; validation does not count.

    Attributes:
        images: trained on so far.
    """

    def __init__(self) -> None:
        self.images = 0
        self._began = time.perf_counter()
        self._waited = 0.0
        self._paused = 0.0
        self._last = (0, 0.0, 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Return a context that waits for images."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Return a context that is not training."""
        began = time.perf_counter()
        yield
        self._paused += time.perf_counter() - began

    def seconds(self) -> float:
        """Return the time since the start, pauses included."""
        return time.perf_counter() - self._began

    def so_far(self) -> dict[str, float]:
        """Return images a second of training time, and the share of it spent waiting, 0 to 1."""
        return _speed(self.images, self._waited, self.seconds() - self._paused)

    def interval(self) -> dict[str, float]:
        """Return the same since the last call, or since the start."""
        now = (self.images, self._waited, self.seconds() - self._paused)
        images, waited, seconds = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        return _speed(images, waited, seconds)


def _speed(images: float, waited: float, seconds: float) -> dict[str, float]:
    seconds = max(seconds, 1e-9)
    return {"images_per_second": images / seconds, "waiting": waited / seconds}
