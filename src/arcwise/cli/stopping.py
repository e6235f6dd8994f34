"""SIGTERM and SIGHUP do what Ctrl-C does: the command ends, and what is half-written goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from arcwise.errors import Stopped


@contextmanager
def stoppable() -> Iterator[None]:
    """A block in which SIGTERM and SIGHUP raise `Stopped`; one that is ignored stays ignored.

    Under `nohup` SIGHUP is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def status_of(stop: KeyboardInterrupt) -> int:
    """The exit status of a command that a signal ended: 128 and the signal's number."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    at = frame
    while at is not None:
        if at.f_code.co_name == "__del__":  # where an exception is printed, and lost
            later = threading.Timer(0.05, os.kill, (os.getpid(), number))
            later.daemon = True
            return later.start()
        at = at.f_back
    raise Stopped(number)
