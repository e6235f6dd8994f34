"""Images of several requests, in one call of the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.runtime.engines import Engine, Floats


@dataclass(frozen=True, eq=False)
class _Call:
    images: Floats
    quality: bool
    result: Future[Any] = field(default_factory=Future)


class BatchingEngine:
    """An engine that computes what several threads ask for at once; made around another one.

    One thread of its own takes whatever waits, up to a batch. It waits for more only where the
    last batch was of several calls: a single client is answered at once.

    Args:
        engine: computes.
        images: of one batch, at most; one call of more is computed alone.
        wait: seconds to wait for more.
        on_batch: called with the number of images of every batch.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        images: int,
        wait: float,
        on_batch: Callable[[int], object] = lambda images: None,
    ) -> None:
        self.kind = engine.kind
        self._engine, self._most, self._wait, self._on_batch = engine, images, wait, on_batch
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._closed = False
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="arcwise-batch", daemon=True)
        self._thread.start()

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        return self._computed(images, quality=False)

    def with_quality(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the embeddings and (N,) qualities."""
        return self._computed(images, quality=True)

    def close(self) -> None:
        """Compute what waits, and end the thread."""
        with self._guard:
            self._closed = True
            self._calls.put(None)
        self._thread.join()

    def _computed(self, images: Floats, *, quality: bool) -> Any:
        call = _Call(images, quality)
        with self._guard:
            if self._closed:
                raise ArcwiseError("the server is stopping")
            self._calls.put(call)
        return call.result.result()

    def _run(self) -> None:
        together, held = False, None
        while True:
            first = self._calls.get() if held is None else held
            if first is None:
                return
            batch, held, last = self._taken(first, self._wait if together else 0.0)
            together = len(batch) > 1
            self._compute(batch)
            if last:
                return

    def _taken(self, first: _Call, wait: float) -> tuple[list[_Call], _Call | None, bool]:
        """Return a batch, a call that fits into none, and whether no call comes after it."""
        batch, count = [first], len(first.images)
        until = monotonic() + wait
        while count < self._most:
            try:
                left = until - monotonic()
                call = self._calls.get(timeout=left) if left > 0 else self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                return batch, None, True
            alike = (
                call.quality == first.quality and call.images.shape[1:] == first.images.shape[1:]
            )
            if not alike or count + len(call.images) > self._most:
                return batch, call, False
            batch.append(call)
            count += len(call.images)
        return batch, None, False

    def _compute(self, batch: list[_Call]) -> None:
        try:
            self._on_batch(sum(len(call.images) for call in batch))
            images = (
                batch[0].images
                if len(batch) == 1
                else np.concatenate([call.images for call in batch])
            )
            ends = np.cumsum([len(call.images) for call in batch])[:-1]
            if batch[0].quality:
                vectors, quality = self._engine.with_quality(images)
                parts = zip(np.split(vectors, ends), np.split(quality, ends), strict=True)
            else:
                parts = iter(np.split(self._engine(images), ends))
            for call, part in zip(batch, parts, strict=True):
                call.result.set_result(part)
        except BaseException as problem:  # whoever waits must hear of it
            for call in batch:
                if not call.result.done():
                    call.result.set_exception(problem)
