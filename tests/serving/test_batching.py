"""Calls of several threads, computed together: each gets its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.serving.batching import BatchingEngine


class Doubling:
    """An engine that says what it was given; it waits until it may go on."""

    kind = "onnx"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, images):
        self.go.wait(10)
        self.sizes.append(len(images))
        if images.min() < 0:
            raise ArcwiseError("negative")
        return 2 * images.reshape(len(images), -1)

    def with_quality(self, images):
        return self(images), images.reshape(len(images), -1)[:, 0]


def batches_of(first: int, count: int = 1) -> np.ndarray:
    return np.full((count, 1, 1, 2), first, np.float32)


@pytest.mark.parametrize("wait", [0.0, 0.002])
def test_each_gets_its_own(wait):
    inner, sizes = Doubling(), []
    engine = BatchingEngine(inner, images=8, wait=wait, on_batch=sizes.append)

    def ask(number: int):
        images = batches_of(number, 1 + number % 3)
        if number % 5:
            return engine(images), images
        vectors, quality = engine.with_quality(images)
        np.testing.assert_array_equal(quality, images[:, 0, 0, 0])
        return vectors, images

    with ThreadPoolExecutor(32) as pool:
        for vectors, images in pool.map(ask, range(200)):
            np.testing.assert_array_equal(vectors, 2 * images.reshape(len(images), 2))
    engine.close()
    assert sum(inner.sizes) == sum(sizes) == sum(1 + number % 3 for number in range(200))
    assert 1 < max(inner.sizes) <= 8


def test_what_waits_is_one_call():
    inner = Doubling()
    engine = BatchingEngine(inner, images=4, wait=0.0)
    inner.go.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(engine, batches_of(0))
        while not engine._calls.empty():
            pass
        others = [pool.submit(engine, batches_of(number)) for number in range(1, 7)]
        while engine._calls.qsize() < 6:
            pass
        inner.go.set()
        for number, one in enumerate([first, *others]):
            assert one.result()[0, 0] == 2 * number
    engine.close()
    assert inner.sizes == [1, 4, 2]


def test_an_error_reaches_who_asked():
    engine = BatchingEngine(Doubling(), images=4, wait=0.0)
    with pytest.raises(ArcwiseError, match="negative"):
        engine(batches_of(-1))
    assert engine(batches_of(1))[0, 0] == 2
    engine.close()
    with pytest.raises(ArcwiseError, match="stopping"):
        engine(batches_of(1))


def test_closing_answers_what_waits():
    inner = Doubling()
    engine = BatchingEngine(inner, images=1, wait=0.0)
    inner.go.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(engine, batches_of(number)) for number in range(3)]
        closing = pool.submit(engine.close)
        inner.go.set()
        closing.result()
        done = [one.exception() is None or "stopping" in str(one.exception()) for one in asked]
    assert all(done)
    assert not engine._thread.is_alive()
