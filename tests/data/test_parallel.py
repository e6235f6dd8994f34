from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from arcwise.data.parallel import cores, each_row
from arcwise.errors import ImageError


def test_what_was_not_begun_is_given_up() -> None:
    begun: list[int] = []

    def work(index: int) -> int:
        begun.append(index)
        if index == 3:
            raise ImageError("3.png", "damaged")
        return index

    def consume(results: Iterator[int]) -> list[Any]:
        return list(results)

    with pytest.raises(ImageError):
        consume(each_row(work, 1000, workers=2, ahead=8))
    assert len(begun) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("arcwise-decode")]


@pytest.mark.parametrize(("workers", "ahead"), [(4, 2), (4, None), (1, None), (None, None)])
def test_results_come_in_order(workers: int | None, ahead: int | None) -> None:
    assert list(each_row(lambda i: i, 150, workers=workers, ahead=ahead)) == list(range(150))


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_is_reported_every_64th_row_and_at_the_end(workers: int) -> None:
    reported: list[tuple[int, int]] = []
    results = each_row(
        lambda i: i, 150, workers=workers, progress=lambda *row: reported.append(row)
    )
    assert len(list(results)) == 150
    assert reported == [(64, 150), (128, 150), (150, 150)]


def test_cores_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert cores() >= 1
