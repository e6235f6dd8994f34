"""Where the training time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Counts pictures, and the time spent waiting for them; validation does not count.

    Attributes:
        pictures: trained on so far.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self.began = time.perf_counter()
        self.waited = 0.0
        self.out = 0.0
        self._lap = (0, 0.0, 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that waits for pictures."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block that is not training."""
        began = time.perf_counter()
        yield
        self.out += time.perf_counter() - began

    def seconds(self) -> float:
        """Since the start, pauses included."""
        return time.perf_counter() - self.began

    def rate(self) -> float:
        """Pictures a second of training time."""
        return self.pictures / max(self.seconds() - self.out, 1e-9)

    def share_waited(self) -> float:
        """Part of the training time spent waiting, 0 to 1."""
        return self.waited / max(self.seconds() - self.out, 1e-9)

    def lap(self) -> tuple[float, float]:
        """`rate` and `share_waited` since the last lap, or since the start."""
        now = (self.pictures, self.waited, self.seconds() - self.out)
        pictures, waited, seconds = (new - old for new, old in zip(now, self._lap, strict=True))
        self._lap = now
        return pictures / max(seconds, 1e-9), waited / max(seconds, 1e-9)
