from __future__ import annotations

import pytest

from arcwise.training import clock
from arcwise.training.clock import Clock


def test_a_lap_is_what_came_since_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 seconds, 2 waiting and 2 paused; then of 5 seconds, 4 waiting."""
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    watch = Clock()

    def spend(seconds: float) -> None:
        now[0] += seconds

    with watch.waiting():
        spend(2)
    spend(6)
    with watch.paused():
        spend(2)
    watch.pictures += 80
    assert watch.lap() == (80 / 8, 2 / 8)
    with watch.waiting():
        spend(4)
    spend(1)
    watch.pictures += 10
    assert watch.lap() == (10 / 5, 4 / 5)
    assert (watch.rate(), watch.share_waited()) == (90 / 13, 6 / 13)
    assert watch.seconds() == 15
