"""SIGTERM and SIGHUP do what Ctrl-C does: the command ends, and what is half-written goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from arcwise.errors import Stopped

_LATER = 0.05  # seconds after which a signal that came at a bad time is sent again
_PATIENCE = 100  # times


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` on Ctrl-C, SIGTERM and SIGHUP inside the block; ignored ones stay ignored.

    Under `nohup` SIGHUP is. A signal in the middle of an import or a finalizer, which would lose
    the exception or take it for another, is put off until that is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    put_off = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal put_off
        if put_off < _PATIENCE and _is_delicate(frame):
            put_off += 1
            again = threading.Timer(_LATER, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            raise Stopped(number)

    numbers = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in numbers}
    taken = {number: handler for number, handler in before.items() if handler in usual}
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def status_of(stop: KeyboardInterrupt) -> int:
    """Return the exit status of a command that a signal ended: 128 and the signal's number."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


def _is_delicate(frame: FrameType | None) -> bool:
    """Return whether an import or a finalizer is running."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
