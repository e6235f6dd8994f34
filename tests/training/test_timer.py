from __future__ import annotations

from arcwise.training import timer as timer_module
from arcwise.training.timer import Timer


def test_an_interval_is_what_came_since_the_last(monkeypatch):
    """Of 10 seconds, 2 waiting and 2 paused; then of 5 seconds, 4 waiting."""
    now = [100.0]
    monkeypatch.setattr(timer_module.time, "perf_counter", lambda: now[0])
    timer = Timer()

    def spend(seconds):
        now[0] += seconds

    with timer.waiting():
        spend(2)
    spend(6)
    with timer.paused():
        spend(2)
    timer.images += 80
    assert timer.interval() == {"images_per_second": 80 / 8, "waiting": 2 / 8}
    with timer.waiting():
        spend(4)
    spend(1)
    timer.images += 10
    assert timer.interval() == {"images_per_second": 10 / 5, "waiting": 4 / 5}
    assert timer.so_far() == {"images_per_second": 90 / 13, "waiting": 6 / 13}
    assert timer.seconds() == 15
