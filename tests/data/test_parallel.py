from __future__ import annotations

import threading
import time

import pytest

from arcwise.data.parallel import each_row
from arcwise.errors import ImageError


@pytest.mark.parametrize("workers", [1, 2, 8, None])
@pytest.mark.parametrize("rows", [0, 1, 5, 200])
def test_results_are_in_order(workers, rows):
    assert list(each_row(lambda row: row * row, rows, workers=workers)) == [
        row * row for row in range(rows)
    ]


def test_an_error_is_raised_in_its_turn_and_the_rest_dropped():
    begun: list[int] = []

    def work(row):
        begun.append(row)
        if row == 3:
            raise ImageError("3.png", "damaged")
        return row

    results = each_row(work, 1000, workers=2, ahead=8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImageError):
        next(results)
    assert len(begun) < 20
    assert not [one for one in threading.enumerate() if one.name.startswith("arcwise-rows")]


def test_no_more_than_some_results_wait_for_a_slow_reader():
    begun: list[int] = []
    results = each_row(begun.append, 1000, workers=2, ahead=5)
    for taken in range(1, 20):
        next(results)
        time.sleep(0.002)
        assert len(begun) <= taken + 5


def test_a_reader_that_stops_ends_the_threads():
    results = each_row(lambda row: row, 1000, workers=4)
    assert next(results) == 0
    results.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("arcwise-rows")]


def test_progress_comes_every_64_rows_and_at_the_end():
    calls = []
    list(each_row(str, 130, workers=2, progress=lambda done, rows: calls.append((done, rows))))
    assert calls == [(64, 130), (128, 130), (130, 130)]
