from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from arcwise.serving.limiting import PixelBudget, RateLimiter


def test_a_bucket_against_a_simulation():
    """Requests pass just where a bucket that is filled in small steps holds a token."""
    rng = np.random.default_rng(0)
    now = 0
    limiter = RateLimiter(2.0, 5, clock=lambda: now / 1000)
    tokens = 5_000  # thousandths
    passed = []
    for pause in rng.integers(1, 600, 400):
        for _ in range(pause):
            now += 1
            tokens = min(5_000, tokens + 2)
        expected = tokens >= 1_000
        wait = limiter.wait("a")
        passed.append(wait == 0)
        assert passed[-1] == expected
        if expected:
            tokens -= 1_000
        else:
            assert wait == pytest.approx((1_000 - tokens) / 2_000)
    assert 0.2 < np.mean(passed) < 0.95


def test_keys_do_not_share_a_bucket():
    limiter = RateLimiter(1, 1, clock=lambda: 0.0)
    assert [limiter.wait(name) for name in ("a", "b", "a")] == [0, 0, 1]


def test_old_ones_are_forgotten():
    limiter = RateLimiter(1, 1, clock=lambda: 0.0)
    limiter.wait("first")
    for number in range(5000):
        limiter.wait(str(number))
    assert len(limiter._buckets) < 5000
    assert limiter.wait("first") == 0


def test_pixels_at_a_time():
    budget, most, held = PixelBudget(100), [0], [0]
    lock = threading.Lock()

    def work(pixels: int) -> None:
        with budget.of(pixels):
            with lock:
                held[0] += min(pixels, 100)
                most[0] = max(most[0], held[0])
            time.sleep(0.001)
            with lock:
                held[0] -= min(pixels, 100)

    threads = [threading.Thread(target=work, args=(size,)) for size in [30, 60, 1000, 10] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 30 < most[0] <= 100
