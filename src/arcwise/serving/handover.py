"""A gallery is let go while another takes its place; requests wait meanwhile, and none is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from arcwise.errors import ArcwiseError
from arcwise.gallery.swapping import promise_to_let_go, swap_waits, wait_for_swap
from arcwise.recognition import Recogniser
from arcwise.serving.problems import RequestProblem

_LONGEST = 30.0  # seconds that a request waits
_LOOK = 0.2  # seconds between two looks at the files
_AGAIN = 5.0  # seconds until a gallery that could not be opened is tried again
_LOG = logging.getLogger("arcwise.serving")


class Turnstile:
    """What requests pass in any number, until it is closed; then they wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._closed = 0, False

    @contextmanager
    def passing(self) -> Generator[None]:
        """Be inside during the block.

        Raises:
            RequestProblem: it stays closed for too long.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._closed, _LONGEST):
                message = "another gallery takes the place of this one"
                raise RequestProblem(503, "busy", message, {"Retry-After": "1"})
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self) -> Generator[None]:
        """Have nobody inside during the block; those who are inside come out first."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()


class InFile(Protocol):
    """A gallery in a file, as a server has it."""

    name: str
    recogniser: Recogniser
    turnstile: Turnstile
    problem: str

    @property
    def file(self) -> Path:
        """The gallery's file."""

    def open_again(self) -> None:
        """Open what is now in the gallery's place."""


class Handover:
    """A thread that lets go of galleries for which a swap waits, and opens them again after it.

    Args:
        galleries: those in files.
        on_look: called every few seconds, with what else is looked after.
    """

    def __init__(self, galleries: Sequence[InFile], on_look: Callable[[], object]) -> None:
        self._galleries, self._on_look = galleries, on_look
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="arcwise-handover", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        tried = time.monotonic()
        while not self._end.wait(_LOOK):
            waited_for = [one for one in self._galleries if swap_waits(one.file)]
            if waited_for:
                _let_go(waited_for)
            if time.monotonic() - tried > _AGAIN:
                tried = time.monotonic()
                for one in self._galleries:
                    if one.problem:
                        _open_again(one)
                self._on_look()


def _let_go(galleries: Sequence[InFile]) -> None:
    """Close all galleries of a swap, and open what is in their places after it."""
    for one in galleries:
        promise_to_let_go(one.file)
    with ExitStack() as closed:
        for one in galleries:
            closed.enter_context(one.turnstile.closed())
            one.recogniser.close()
        for one in galleries:
            wait_for_swap(one.file)
        for one in galleries:
            _open_again(one)


def _open_again(one: InFile) -> None:
    try:
        one.open_again()
    except ArcwiseError as problem:
        _LOG.error("gallery %s cannot be opened again: %s", one.name, problem)
    else:
        _LOG.warning("gallery %s: opened again, model %s", one.name, one.recogniser.model.name)
